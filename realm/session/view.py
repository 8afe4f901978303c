"""What a run's output goes into on its way: the account of the terminal's modes, and the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.session import recordings
from realm.terminal.ansi.modes import Modes
from realm.terminal.recording.segments import Marker
from realm.terminal.relay.events import Event

if TYPE_CHECKING:
    from pathlib import Path

    from realm.terminal.recording.recorder import Recorder


class View:
    """The modes and the recording of a run's output; what it shows is played from the recording.

    ``size`` is rows and columns; a run without a terminal (``tty`` false) has
    no screen.
    """

    def __init__(self, size: tuple[int, int], *, tty: bool) -> None:
        self.modes = Modes()
        self.size = size
        """Rows and columns of the terminal that shows it, or showed it last."""
        self._tty = tty
        self._recorder: Recorder | None = None
        self._place: Path | None = None

    def record(self, recorder: Recorder, place: Path) -> None:
        """Keep a recording of what comes from now on; ``place`` is its directory."""
        self._recorder, self._place = recorder, place
        recorder.resize(*self.size)

    def hear(self, sound: Event) -> None:
        """Take what the agent let hear, before the output that follows it."""
        marker = {Event.BEGUN: Marker.BEGUN, Event.ENDED: Marker.ENDED}.get(sound)
        if self._recorder is not None and marker is not None:
            self._recorder.mark(marker)

    def feed(self, data: bytes) -> None:
        """Record output, on the relay's path."""
        if self._recorder is not None:
            # Without a terminal nothing has made line ends of it as a screen wants them.
            self._recorder.feed(data if self._tty else data.replace(b"\n", b"\r\n"))

    def keep(self, data: bytes) -> None:
        """Take output that no terminal takes account of."""
        self.modes.feed(data)
        self.feed(data)

    def flush(self) -> None:
        """Write all that came so far: others may read it, or go on with it."""
        if self._recorder is not None:
            self._recorder.flush()

    def resize(self, rows: int, columns: int) -> None:
        """Take account of a new size."""
        self.size = (rows, columns)
        if self._recorder is not None:
            self._recorder.resize(rows, columns)

    def doubt(self) -> None:
        """Take it that some output did not come."""
        if self._recorder is not None:
            self._recorder.mark(Marker.GAP)

    def text(self) -> str:
        """Return what a person would read."""
        self.flush()
        return recordings.text(self._place, self.size) if self._tty and self._place is not None else ""

    def drawing(self) -> bytes:
        """Return what draws the screen in a fresh terminal and switches its modes on."""
        self.flush()
        return recordings.drawing(self._place, self.size) if self._tty and self._place is not None else b""
