"""What a run has shown: kept beside the relay for the record, for an attach, and for the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.modes import Modes
from realm.terminal.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable


class View:
    """The screen and the modes of a run's output.

    ``size`` is rows and columns; a run without a terminal (``tty`` false) has
    no screen.  ``record`` gets every piece of output as well.
    """

    def __init__(
        self, size: tuple[int, int], *, tty: bool, record: Callable[[bytes], object] | None = None
    ) -> None:
        self.modes = Modes()
        self._screen = Screen(*size) if tty else None
        self._record = record
        self._silent = True

    def feed(self, data: bytes) -> None:
        """Put output aside, on the relay's path."""
        self._silent = False
        if self._record is not None:
            self._record(data)
        if self._screen is not None:
            self._screen.feed(data)

    def keep(self, data: bytes) -> None:
        """Take output that no terminal takes account of."""
        self.modes.feed(data)
        self.feed(data)

    def work(self) -> bool:
        """Look at some of it, for about two milliseconds; return whether there is more."""
        return self._screen.work() if self._screen is not None else False

    def resize(self, rows: int, columns: int) -> None:
        """Take account of a new size."""
        if self._screen is not None:
            self._screen.resize(rows, columns)

    def text(self) -> str:
        """Return what a person would read."""
        return self._screen.text() if self._screen is not None else ""

    def drawing(self) -> bytes:
        """Return what draws the screen in a fresh terminal and switches its modes on."""
        return self.modes.redo(self._screen.ansi()) if self._screen is not None else b""

    def files(self) -> dict[str, bytes]:
        """Return the screen as files of the record; none when nothing was shown."""
        if self._screen is None or self._silent:
            return {}
        return {"screen.txt": self._screen.text().encode(), "screen.ans": self._screen.ansi()}
