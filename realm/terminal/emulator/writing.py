"""Writing text on the grid: of one column or two or none, character sets, wrap, insertion, repetition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyte import charsets
from pyte import modes as pyte_modes
from pyte.screens import wcwidth

from realm.terminal.emulator.grid import Grid

if TYPE_CHECKING:
    from realm.terminal.emulator.cells import Cell

_PARTS = re.compile("(?P<narrow>[ -~\u00ae-\u02ff\u2500-\u259f]+)|[^ -~\u00ae-\u02ff\u2500-\u259f]+")
"""Text of one column each (ASCII, accents, lines and blocks), and any other."""
_DEAR = 4
"""Steps for a repeated character that may be wide."""
_TALLEST_CLUSTER = 12
"""Characters of no width that are kept in one cell."""


class Writing(Grid):
    """A grid with text on it."""

    def __init__(self, lines: int, columns: int) -> None:
        self._last = " "
        super().__init__(lines, columns)

    def draw(self, data: str) -> None:
        """Write ``data``, which holds no control character, at the cursor."""
        table = self.g1_charset if self.charset else self.g0_charset
        if table is not charsets.LAT1_MAP:
            data = data.translate(table)
        self._write(data, insert=pyte_modes.IRM in self.mode)
        if data and data[-1].isprintable():
            self._last = data[-1]

    def _write(self, data: str, *, insert: bool) -> None:
        for part in _PARTS.finditer(data):
            start, end = part.span()
            if part.lastgroup:
                while start < end:
                    start += self._draw_run(data, start, end, insert=insert)
            else:
                for character in part[0]:
                    self._draw_one(character, insert=insert)

    def _draw_run(self, data: str, start: int, end: int, *, insert: bool) -> int:
        """Write as many narrow characters as the row takes; return how many."""
        self._wrap(1)
        x = self.cursor.x
        run = data[start : min(end, start + self.columns - x)]
        if insert:
            self.insert_cells(len(run))
        row = self.buffer[self.cursor.y]
        self.mend(row, x, x + len(run))
        replace = self.cursor.attrs._replace
        cells: dict[str, Cell] = {}
        for offset, character in enumerate(run, x):
            cell = cells.get(character)
            if cell is None:
                cell = cells[character] = replace(data=character)
            row[offset] = cell
        self.cursor.x = x + len(run)
        return len(run)

    def _draw_one(self, character: str, *, insert: bool) -> None:
        width = wcwidth(character)
        if width <= 0:
            if width == 0:
                self._combine(character)
            return
        self._wrap(width)
        if insert:
            self.insert_cells(width)
        x, row = self.cursor.x, self.buffer[self.cursor.y]
        self.mend(row, x, x + width)
        row[x] = self.cursor.attrs._replace(data=character)
        if width > 1 and x + 1 < self.columns:
            row[x + 1] = self.cursor.attrs._replace(data="")
        self.cursor.x = min(x + width, self.columns)

    def _wrap(self, width: int) -> None:
        if self.cursor.x + width <= self.columns:
            return
        if pyte_modes.DECAWM in self.mode and self.columns >= width:
            self.carriage_return()
            self.index()
        else:
            self.cursor.x = max(0, self.columns - width)

    def _combine(self, character: str) -> None:
        """Put a character of no width into the cell before the cursor."""
        row, x = self.buffer[self.cursor.y], self.cursor.x - 1
        if x > 0 and row[x].data == "":
            x -= 1
        if x >= 0 and len(row[x].data) < _TALLEST_CLUSTER:
            row[x] = row[x]._replace(data=row[x].data + character)

    def repeat(self, count: int) -> None:
        """REP, as far as a row goes."""
        count = min(count, self.columns)
        self.steps += count if self._last.isascii() else _DEAR * count
        if pyte_modes.IRM in self.mode:
            self.insert_cells(count * max(1, wcwidth(self._last)))
        self._write(self._last * count, insert=False)
