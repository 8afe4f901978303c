"""What the terminal shows, worked out beside the relay and never in its way.

The relay's output is only put aside here (:meth:`Screen.feed`); it is looked at
when there is time (:meth:`Screen.work`) or when somebody asks.  What nobody had
time for is dropped from the oldest on, and the screen is marked as incomplete
until the program next draws all of it.
"""

from __future__ import annotations

import codecs
import re
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realm.terminal.board import Board
    from realm.terminal.cells import Cell
    from realm.terminal.parser import Parser

LIMIT = 256 * 1024
"""Bytes put aside at most."""
ROWS, COLUMNS = 400, 1000
"""The largest screen that is kept; a larger terminal is seen from its upper left corner."""
_PIECE = 1024
_PATIENCE = 256 * 1024
"""Bytes after which a synchronized update that does not end is shown as it is."""
_EDGE = 16
"""Bytes in which a sequence that is cut in two is looked for."""
_SCREENS = re.compile(rb"\x1b(?:\[\?(?:\d+;)*(?:47|1047|1049)(?:;\d+)*(?P<on>[hl])|c)")
_FRESH_START = re.compile(rb"[\x1b\n]")


class Screen:
    """The screen of a terminal of ``rows`` by ``columns`` cells; ``limit`` in bytes."""

    def __init__(self, rows: int, columns: int, limit: int = LIMIT) -> None:
        self._size = _bounded(rows, columns)
        self._limit = max(limit, 1)
        self._waiting: deque[bytes | tuple[int, int]] = deque()
        self._bytes = 0
        self._edge = b""
        self._alternate: bool | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._board: Board | None = None
        self._parser: Parser | None = None
        self._gap = False
        self._lost_at: tuple[int, int] | None = None
        self._frozen_for = 0

    # On the relay's path -------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        """Put output aside."""
        self._waiting.append(chunk)
        self._bytes += len(chunk)
        while self._bytes > self._limit:
            self._drop()

    def resize(self, rows: int, columns: int) -> None:
        """Say that the terminal has another size from here on."""
        size = _bounded(rows, columns)
        if self._waiting and not isinstance(self._waiting[-1], bytes):
            self._waiting.pop()
        self._waiting.append(size)

    def _drop(self) -> None:
        oldest = self._waiting.popleft()
        if not isinstance(oldest, bytes):
            self._size = oldest
            return
        if self._bytes == len(oldest):
            self._waiting.appendleft(oldest[-self._limit :])
            oldest = oldest[: -self._limit]
        self._bytes -= len(oldest)
        self._pass_over(oldest)
        self._gap = True

    def _pass_over(self, dropped: bytes) -> None:
        """Keep of what nobody looks at which of the two screens is shown."""
        data = self._edge + dropped if b"\x1b" in dropped or b"\x1b" in self._edge else b""
        self._edge = dropped[-_EDGE:]
        if b"\x1b[?" in data or b"\x1bc" in data:
            for match in _SCREENS.finditer(data):
                self._alternate = match["on"] == b"h"

    # Beside it -----------------------------------------------------------------

    @property
    def lost(self) -> bool:
        """Whether the screen may lack what was dropped since it was last drawn in full."""
        self._catch_up()
        return self._lost_at is not None

    def work(self, seconds: float = 0.002) -> bool:
        """Look at what was put aside for about so long; return whether there is more."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            self._take()
        return bool(self._waiting)

    def _catch_up(self) -> None:
        while self._waiting:
            self._take()

    def _take(self) -> None:
        item = self._waiting.popleft()
        if not isinstance(item, bytes):
            self._size = item
            self._open().resize(*item)
            return
        if len(item) > _PIECE:
            self._waiting.appendleft(item[_PIECE:])
            item = item[:_PIECE]
        self._bytes -= len(item)
        board = self._open()
        if self._gap:
            item = self._bridge(board, item)
        if item:
            self._parse(board, item)

    def _parse(self, board: Board, item: bytes) -> None:
        if self._parser is not None:
            self._parser.feed(self._decoder.decode(item))
        self._find_again(board)
        self._frozen_for = self._frozen_for + len(item) if board.frozen is not None else 0
        if self._frozen_for > _PATIENCE:
            board.frozen = None

    def _find_again(self, board: Board) -> None:
        """See whether nothing is left of what the screen showed before a gap."""
        if self._lost_at is not None:
            cleared, scrolled = self._lost_at
            if board.cleared > cleared or board.scrolled - scrolled >= board.lines:
                self._lost_at = None

    def _bridge(self, board: Board, item: bytes) -> bytes:
        """Go on after a gap: from the first place where nothing is cut in two."""
        start = _FRESH_START.search(item)
        skipped = item[: start.start()] if start else item
        self._pass_over(skipped)
        if start is None:
            return b""
        self._gap = False
        self._decoder.reset()
        if self._parser is not None:
            self._parser.reset()
        board.resize(*self._size)
        if self._alternate is not None:
            board.show_alternate(on=self._alternate)
        self._alternate, self._edge = None, b""
        self._lost_at = (board.cleared, board.scrolled)
        return item[start.start() :]

    def _open(self) -> Board:
        """Return the board; the first call imports pyte."""
        if self._board is None:
            from realm.terminal.board import Board
            from realm.terminal.parser import Parser

            self._board = Board(*self._size)
            self._parser = Parser(self._board)
        return self._board

    # What is seen --------------------------------------------------------------

    @property
    def alternate(self) -> bool:
        """Whether the program shows its alternate screen."""
        self._catch_up()
        return self._open().alternate

    def text(self) -> str:
        """Return what a person would read, cleaned, without trailing blanks and blank last lines."""
        from realm.terminal import picture

        return picture.text(*self._seen())

    def ansi(self) -> bytes:
        """Return the bytes that draw the screen on an empty one and put the cursor in its place.

        They move the cursor and set colours, no more.
        """
        from realm.terminal import picture

        drawing = picture.ansi(*self._seen())
        board = self._open()
        x, y = min(board.cursor.x, board.columns - 1), board.cursor.y
        return drawing + b"\x1b[%d;%dH" % (y + 1, x + 1)

    def parting(self) -> tuple[str, bytes]:
        """Return text and drawing of what a person saw last of the program.

        A program that left its alternate screen and said a few parting words is
        remembered by that screen, if there was anything on it.
        """
        from realm.terminal import picture

        _, lines, columns, width = self._seen()
        left = self._open().left
        shown = picture.text(left, lines, columns, width) if left else ""
        if left is None or not shown:
            return self.text(), self.ansi()
        return shown, picture.ansi(left, lines, columns, width)

    def _seen(self) -> tuple[Mapping[int, Mapping[int, Cell]], int, int, Callable[[str], int]]:
        from pyte.screens import wcwidth

        self._catch_up()
        board = self._open()
        grid = board.buffer if board.frozen is None else board.frozen
        return grid, board.lines, board.columns, wcwidth


def _bounded(rows: int, columns: int) -> tuple[int, int]:
    return min(max(rows, 1), ROWS), min(max(columns, 1), COLUMNS)
