"""What a run has shown: kept beside the relay for the record, for an attach, and for the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.session.stills import DIRECTORY, Album, Shown, Stills, missed, note_missed
from realm.terminal.ansi.modes import Modes
from realm.terminal.emulator.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from realm.terminal.recording.recorder import Recorder
    from realm.terminal.relay.ears import Sound


class View:
    """The screen, the modes and the recording of a run's output.

    ``size`` is rows and columns; a run without a terminal (``tty`` false) has
    no screen.
    """

    def __init__(self, size: tuple[int, int], *, tty: bool) -> None:
        self.modes = Modes()
        self._size = size
        self._screen = Screen(*size) if tty else None
        self._recorder: Recorder | None = None
        self._stills: Stills | None = None
        self._place: Path | None = None
        self._missed = 0
        self._noted: tuple[int, bool] | None = None
        self._silent = True

    def record(self, recorder: Recorder, place: Path) -> None:
        """Keep a recording of what comes from now on, and in ``place``, its directory, what turns show."""
        self._recorder = recorder
        recorder.resize(*self._size)
        if self._screen is None:
            return
        self._place = place
        self._stills = Stills(self._screen, Album(place / DIRECTORY))
        self._missed, incomplete = missed(place)
        if incomplete:
            self._screen.doubt()

    def hear(self, sound: Sound) -> None:
        """Take what the agent let hear, before the output that follows it."""
        if self._stills is not None:
            self._stills.hear(sound)

    def feed(self, data: bytes) -> None:
        """Put output aside, on the relay's path."""
        self._silent = False
        if self._recorder is not None:
            self._recorder.feed(data)
        if self._screen is not None:
            self._screen.feed(data)

    def keep(self, data: bytes) -> None:
        """Take output that no terminal takes account of."""
        self.modes.feed(data)
        self.feed(data)

    def work(self) -> bool:
        """Look at some of it, for about two milliseconds; return whether there is more."""
        more = self._screen.work() if self._screen is not None else False
        more = more or (self._stills is not None and self._stills.work())
        if not more:
            self._write()
        return more

    def flush(self) -> None:
        """Write all that is known so far: another process may go on with it."""
        if self._stills is not None:
            self._stills.finish()
        self._write()

    def _write(self) -> None:
        if self._recorder is not None:
            self._recorder.flush()
        if self._screen is None or self._place is None or not self._screen.dropped:
            return
        now = (self._dropped, self._screen.lost)
        if now != self._noted:
            self._noted = now
            note_missed(self._place, now[0], incomplete=now[1])

    @property
    def _dropped(self) -> int:
        """Bytes of output that no screen was made of, in the whole run."""
        return self._missed + (self._screen.dropped if self._screen is not None else 0)

    def resize(self, rows: int, columns: int) -> None:
        """Take account of a new size."""
        self._size = (rows, columns)
        if self._recorder is not None:
            self._recorder.resize(rows, columns)
        if self._screen is not None:
            self._screen.resize(rows, columns)

    def doubt(self) -> None:
        """Take it that some output did not come."""
        if self._screen is not None:
            self._screen.doubt()

    def text(self) -> str:
        """Return what a person would read."""
        return self._screen.text() if self._screen is not None else ""

    def drawing(self) -> bytes:
        """Return what draws the screen in a fresh terminal and switches its modes on."""
        return self.modes.redo(self._screen.ansi()) if self._screen is not None else b""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the terminal that shows it, or showed it last."""
        return self._size

    def shown(self) -> Shown:
        """Return what goes into the record of the screen; nothing when nothing was shown."""
        if self._screen is None or self._silent:
            return Shown()
        text, drawing = self._screen.parting()
        files = {"screen.txt": text.encode(), "screen.ans": drawing}
        return Shown(files, self._place, self._dropped, incomplete=self._screen.lost)
