"""A grid of cells on pyte's screen: cursor, erasing, moving rows and cells, size.

pyte raises on some parameters that real programs send and forgets to clear what
moves; here its margins, tab stops and cursor movements are used, the rest is
done anew.  This module imports pyte: it is itself imported only when a screen
is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyte import modes as pyte_modes
from pyte.screens import Margins, Screen

from realm.terminal.emulator.cells import BLANK, DEFAULT, Cell, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = 16
"""Cells that are as quickly written, moved or copied together as one row is added, moved or forgotten."""


class Grid(Screen):
    """What can be done to the cells, whoever asks for it.

    ``cleared`` counts the moments at which nothing old was left, ``scrolled`` the
    rows that left the screen at its top.  ``steps`` counts the work that control
    functions made: one for a row, or for :data:`CELLS` cells.  ``frozen`` is a copy
    of the cells that is shown while the program draws the next picture.
    """

    buffer: Any
    cursor: Any

    def __init__(self, lines: int, columns: int) -> None:
        self.cleared = self.scrolled = self.steps = 0
        self.frozen: list[Row] | None = None
        super().__init__(columns, lines)

    def reset(self) -> None:
        """Everything as at the start."""
        super().reset()
        self.buffer = self._empty()

    def _empty(self) -> list[Row]:
        self.steps += self.lines
        return [Row() for _ in range(self.lines)]

    @property
    def default_char(self) -> Any:
        """A cell with nothing in it."""
        return BLANK

    # Cursor --------------------------------------------------------------------

    def tab(self) -> None:
        """Move to the next tab stop."""
        self.tab_on(1)

    def tab_on(self, count: int) -> None:
        """Move on by ``count`` tab stops."""
        ahead = sorted(stop for stop in self.tabstops if stop > self.cursor.x)
        self.steps += 1 + len(self.tabstops) // CELLS
        self.cursor.x = ahead[count - 1] if count <= len(ahead) else self.columns - 1
        self.ensure_hbounds()

    def tab_back(self, count: int) -> None:
        """Move back by ``count`` tab stops."""
        behind = sorted((stop for stop in self.tabstops if stop < self.cursor.x), reverse=True)
        self.steps += 1 + len(self.tabstops) // CELLS
        self.cursor.x = behind[count - 1] if count <= len(behind) else 0

    def place(self, values: list[int]) -> None:
        """Move to a row and column, counted from 1."""
        line, column, *_ = [*values, 0, 0]
        self.cursor_position(line, column)

    def cursor_to_line(self, line: int | None = None) -> None:
        """Move to a row, counted from the top margin in origin mode."""
        top = self.margins.top if self.margins and pyte_modes.DECOM in self.mode else 0
        self.cursor.y = (line or 1) - 1 + top
        self.ensure_vbounds()

    def mend(self, row: Row, start: int, end: int) -> None:
        """Blank the other halves of wide characters that a write between two columns cuts."""
        if start in row and row[start].data == "" and start > 0:
            row[start - 1] = row[start - 1]._replace(data=" ")
        if end in row and row[end].data == "":
            row[end] = row[end]._replace(data=" ")

    # Erasing and moving --------------------------------------------------------

    def _blank(self) -> Cell:
        """Erased cells take the background colour, nothing else."""
        return BLANK if self.cursor.attrs.bg == DEFAULT else Cell(bg=self.cursor.attrs.bg)

    def _fill(self, y: int, start: int, end: int) -> None:
        row, blank = self.buffer[y], self._blank()
        if start == 0 and end >= self.columns:
            self.steps += 1
            row.clear()
            row.default = blank
            return
        self.steps += 1 + (end - start) // CELLS
        self.mend(row, start, end)
        row.update(dict.fromkeys(range(start, end), blank))

    def erase_row(self, how: int) -> None:
        """EL: 0 to the end, 1 to the start, 2 all of it."""
        x = min(self.cursor.x, self.columns - 1)
        spans = {0: (x, self.columns), 1: (0, x + 1), 2: (0, self.columns)}
        if how in spans:
            self._fill(self.cursor.y, *spans[how])

    def erase_screen(self, how: int) -> None:
        """ED: 0 to the end, 1 to the start, 2 all of it."""
        y = self.cursor.y
        spans = {0: range(y + 1, self.lines), 1: range(y), 2: range(self.lines)}
        if how not in spans:
            # 3 clears what has scrolled away, which is not kept here.
            return
        blank, rows = self._blank(), spans[how]
        self.steps += len(rows)
        for row in self.buffer[rows.start : rows.stop]:
            row.clear()
            row.default = blank
        self.erase_row(how)
        self.cleared += how == 2 or (how == 0 and y == 0 and self.cursor.x == 0)  # noqa: PLR2004

    def erase_cells(self, count: int) -> None:
        """ECH."""
        x = min(self.cursor.x, self.columns - 1)
        self._fill(self.cursor.y, x, min(x + count, self.columns))

    def insert_cells(self, count: int) -> None:
        """ICH."""
        self._shift_cells(min(self.cursor.x, self.columns - 1), count)

    def delete_cells(self, count: int) -> None:
        """DCH."""
        self._shift_cells(min(self.cursor.x, self.columns - 1), -count)

    def _shift_cells(self, x: int, by: int) -> None:
        row, blank = self.buffer[self.cursor.y], self._blank()
        cells = list(map(row.__getitem__, range(x, self.columns)))
        self.steps += 1 + 2 * len(cells) // CELLS
        gap = [blank] * min(abs(by), len(cells))
        cells = [*gap, *cells[: len(cells) - len(gap)]] if by > 0 else [*cells[len(gap) :], *gap]
        row.update(zip(range(x, self.columns), cells, strict=True))

    def insert_rows(self, count: int) -> None:
        """IL."""
        self._shift_rows(self.cursor.y, count)

    def delete_rows(self, count: int) -> None:
        """DL."""
        self._shift_rows(self.cursor.y, -count)

    def scroll_up(self, count: int) -> None:
        """SU."""
        self._scroll(-count)

    def scroll_down(self, count: int) -> None:
        """SD."""
        self._scroll(count)

    def _scroll(self, by: int) -> None:
        self._shift_span(*(self.margins or Margins(0, self.lines - 1)), by)

    def _shift_rows(self, y: int, by: int) -> None:
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if top <= y <= bottom:
            self._shift_span(y, bottom, by)
            self.carriage_return()

    def _shift_span(self, top: int, bottom: int, by: int) -> None:
        """Move the rows of a span down by ``by``, or up; what comes free is blank."""
        count, blank = min(abs(by), bottom - top + 1), self._blank()
        gone, free = (bottom - count + 1, top) if by > 0 else (top, bottom - count + 1)
        self.steps += count
        del self.buffer[gone : gone + count]
        self.buffer[free:free] = [Row(blank) for _ in range(count)]

    def index(self) -> None:
        """Move down a row; at the bottom margin the rows move up."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == bottom:
            self._shift_span(top, bottom, -1)
            self.scrolled += self.margins is None
        else:
            self.cursor.y = min(self.cursor.y + 1, self.lines - 1)

    def reverse_index(self) -> None:
        """Move up a row; at the top margin the rows move down."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == top:
            self._shift_span(top, bottom, 1)
        else:
            self.cursor.y = max(self.cursor.y - 1, 0)

    def copied(self, rows: Sequence[Row]) -> list[Row]:
        """Return an independent copy of ``rows``."""
        self.steps += len(rows) + sum(map(len, rows)) // CELLS
        return [row.copy() for row in rows]

    # Size ----------------------------------------------------------------------

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Take another size; rows below the cursor go first, then those at the top."""
        before, self.lines = self.lines, lines or self.lines
        if columns and columns != self.columns:
            for row in self.buffer:
                for x in [x for x in row if x >= columns]:
                    del row[x]
            self.columns = columns
            self.tabstops = {stop for stop in self.tabstops if stop < columns} | set(range(8, columns, 8))
        self.margins = self.frozen = None
        self.fit(before)

    def fit(self, before: int, row: int | None = None) -> None:
        """Bring the rows of a screen that had ``before`` of them into this one.

        ``row`` is the one that the cursor is in, not yet bounded.
        """
        row = self.cursor.y if row is None else row
        surplus = max(0, row - self.lines + 1)
        if self.lines != before or surplus:
            kept = self.buffer[surplus : surplus + self.lines]
            self.buffer = kept + [Row() for _ in range(self.lines - len(kept))]
        self.cursor.y = row - surplus
        self.ensure_hbounds()
        self.ensure_vbounds()
