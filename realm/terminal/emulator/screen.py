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
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.emulator.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.terminal.ansi.parser import Parser
    from realm.terminal.emulator.board import Board
    from realm.terminal.emulator.cells import Row
    from realm.terminal.render.picture import Picture

LIMIT = 256 * 1024
"""Bytes put aside at most."""
ROWS, COLUMNS = 250, 700
"""The largest screen that is kept; a larger terminal is seen from its upper left corner."""
BUDGET = 384 * 1024
"""Steps that what was put aside may take when somebody asks for the screen: one for each byte, and
those of :class:`realm.terminal.emulator.grid.Grid`.  Half a second's work or so; what is not done by then is
dropped like what nobody had time for."""
_BUDGETS = ((BUDGET, 16 * 1024), (BUDGET // 8, 2048), (BUDGET // 16, 256), (BUDGET // 16, 0))
"""Budgets one after the other, and how many of the newest bytes are left for the next when one is spent."""
_PIECE, _SMALL_PIECE = 256, 32
_DEAR = 8
"""Steps for a byte from which on small pieces are taken: the next one may be as dear."""
_PATIENCE = 256 * 1024
"""Bytes after which a synchronized update that does not end is shown as it is."""
_TAKEN = 2
_FRESH_START = re.compile(rb"[\x1b\n]")


class Taken(NamedTuple):
    """What was seen at a moment: not drawn yet, so that it can be drawn when there is time.

    ``cursor`` is what puts the cursor in its place, ``incomplete`` whether
    something may be missing.
    """

    moment: float
    picture: Picture
    cursor: bytes
    incomplete: bool


class Screen:
    """The screen of a terminal of ``rows`` by ``columns`` cells; ``limit`` in bytes."""

    def __init__(self, rows: int, columns: int, limit: int = LIMIT) -> None:
        self._limit = max(limit, 1)
        self._backlog = Backlog(_bounded(rows, columns))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._board: Board | None = None
        self._parser: Parser | None = None
        self._lost_at: tuple[int, int] | None = None
        self._frozen_for = 0
        self._piece = _PIECE
        self.taken: deque[Taken] = deque(maxlen=_TAKEN)
        """What was seen at the moments that were marked, for whoever takes it out."""

    # On the relay's path -------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        """Put output aside."""
        self._backlog.add(chunk, self._limit)

    def resize(self, rows: int, columns: int) -> None:
        """Say that the terminal has another size from here on."""
        self._backlog.resize(_bounded(rows, columns))

    def mark(self, moment: float) -> None:
        """Keep in :attr:`taken` what shows here; where that is dropped unseen there is nothing to keep.

        ``moment`` is any name for it.
        """
        self._backlog.mark(moment)

    # Beside it -----------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Bytes that nobody looked at."""
        return self._backlog.dropped

    @property
    def lost(self) -> bool:
        """Whether the screen may lack what was dropped since it was last drawn in full."""
        self.catch_up()
        return self._lacking

    @property
    def _lacking(self) -> bool:
        return self._backlog.gap or self._lost_at is not None

    def doubt(self) -> None:
        """Take what is shown so far for incomplete."""
        self.catch_up()
        board = self._open()
        self._lost_at = (board.cleared, board.scrolled)

    def work(self, seconds: float = 0.002) -> bool:
        """Look at what was put aside for about so long; return whether there is more."""
        if self._is_blank():
            return False
        deadline = time.monotonic() + seconds
        while self._backlog and time.monotonic() < deadline:
            self._take()
        return bool(self._backlog)

    def _is_blank(self) -> bool:
        """Whether nothing was ever shown: a size alone is not worth the parser's import."""
        return self._board is None and self._backlog.has_only_sizes

    def catch_up(self) -> None:
        """Look at all that was put aside, as far as the budget goes."""
        if self._is_blank():
            return
        for budget, rest in _BUDGETS:
            steps = 0
            while self._backlog and steps < budget:
                steps += self._take()
            self._backlog.drop_to(rest)
        while self._backlog:
            self._take()

    def _take(self) -> int:
        """Look at the next piece; return the steps that it took."""
        board = self._open()
        before = board.steps
        if (other := self._backlog.other()) is not None:
            if isinstance(other, tuple):
                board.resize(*other)
            else:
                self._keep(other)
            return board.steps - before
        item = self._backlog.piece(self._piece)
        length = len(item)
        if self._backlog.gap:
            item = self._bridge(board, item)
        if item:
            self._parse(board, item)
        steps = board.steps - before
        self._piece = _SMALL_PIECE if steps > _DEAR * length else _PIECE
        return steps + length

    def _keep(self, moment: float) -> None:
        picture = self._picture(self._open().copied(self._shown()))
        self.taken.append(Taken(moment, picture, self._cursor(), self._lacking))

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
        backlog = self._backlog
        start = _FRESH_START.search(item)
        skipped = item[: start.start()] if start else item
        backlog.pass_over(skipped)
        if start is None:
            return b""
        self._decoder.reset()
        if self._parser is not None:
            self._parser.reset()
        board.resize(*backlog.size)
        if backlog.alternate is not None:
            board.show_alternate(on=backlog.alternate)
        backlog.bridged()
        self._lost_at = (board.cleared, board.scrolled)
        return item[start.start() :]

    def _open(self) -> Board:
        """Return the board; the first call imports pyte."""
        if self._board is None:
            from realm.terminal.ansi.parser import Parser
            from realm.terminal.emulator.board import Board

            self._board = Board(*self._backlog.size)
            self._parser = Parser(self._board)
        return self._board

    # What is seen --------------------------------------------------------------

    @property
    def alternate(self) -> bool:
        """Whether the program shows its alternate screen."""
        self.catch_up()
        return self._open().alternate

    def text(self) -> str:
        """Return what a person would read, cleaned, without trailing blanks and blank last lines."""
        self.catch_up()
        return self._picture(self._shown()).text()

    def ansi(self) -> bytes:
        """Return the bytes that draw the screen on an empty one and put the cursor in its place.

        They move the cursor and set colours, no more.
        """
        self.catch_up()
        return self._picture(self._shown()).ansi() + self._cursor()

    def parting(self) -> tuple[str, bytes]:
        """Return text and drawing of what a person saw last of the program.

        A program that left its alternate screen and said a few parting words is
        remembered by that screen, if there was anything on it.
        """
        self.catch_up()
        board = self._open()
        if board.left:
            left = self._picture(board.left[: board.lines])
            if left.text():
                return left.text(), left.ansi()
        shown = self._picture(self._shown())
        return shown.text(), shown.ansi() + self._cursor()

    def _shown(self) -> Sequence[Row]:
        board = self._open()
        rows: Sequence[Row] = board.buffer if board.frozen is None else board.frozen
        return rows

    def _picture(self, rows: Sequence[Row]) -> Picture:
        from pyte.screens import wcwidth

        from realm.terminal.render.picture import Picture

        return Picture(rows, self._open().columns, wcwidth)

    def _cursor(self) -> bytes:
        board = self._open()
        x, y = min(board.cursor.x, board.columns - 1), board.cursor.y
        return b"\x1b[%d;%dH" % (y + 1, x + 1)


def _bounded(rows: int, columns: int) -> tuple[int, int]:
    return min(max(rows, 1), ROWS), min(max(columns, 1), COLUMNS)
