"""A grid of cells as readable text and as the fewest harmless bytes that draw it."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from realm.terminal.emulator.cells import BLANK, Cell, Row
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_JUMP = 8
"""From this many blanks on, moving the cursor is shorter than writing them."""


def row_cells(row: Row, columns: int, width: Callable[[str], int]) -> list[Cell]:
    """Return a row from left to right, without blanks at its end and right halves of wide characters.

    Halves that lost their other one are blank, and so is what cannot be shown.
    """
    if row.default.blank:
        columns = min(columns, max(row, default=-1) + 1)
    cells: list[Cell] = []
    x = 0
    while x < columns:
        cell = row[x]
        text, wide = _glyph(cell.data, width)
        whole = not wide or (x + 1 < columns and row[x + 1].data == "")
        if not (text and whole):
            cell = cell._replace(data=" ")
        elif text != cell.data:
            cell = cell._replace(data=text)
        cells.append(cell)
        x += 2 if wide and whole else 1
    return cells


@lru_cache(maxsize=4096)
def _glyph(data: str, width: Callable[[str], int]) -> tuple[str, bool]:
    """Return what can be shown of a cell's text, and whether it takes two columns."""
    text = clean(data)
    return text, bool(text) and width(text[0]) > 1


class Picture:
    """The first ``columns`` of some rows of cells; ``width`` tells how many columns a character takes.

    ``rows`` are taken as they come: :meth:`draw` can be spread over time when
    they are a copy.
    """

    def __init__(self, rows: Sequence[Row], columns: int, width: Callable[[str], int]) -> None:
        self._width, self._lines = width, len(rows)
        self._rows = (row_cells(row, columns, width) for row in rows)
        self._readable: list[str] = []
        self._out: list[str] = []
        self._pen = BLANK

    def draw(self, rows: int | None = None) -> bool:
        """Draw so many more rows, all of them unless told; return whether some are left."""
        for cells in islice(self._rows, rows):
            self._readable.append("".join(" " if cell.conceal else cell.data for cell in cells).rstrip())
            self._draw_row(cells, len(self._readable))
        return len(self._readable) < self._lines

    def text(self) -> str:
        """Return what a person would read: lines without trailing blanks, none empty at the end."""
        self.draw()
        return "\n".join(self._readable).rstrip("\n")

    def ansi(self) -> bytes:
        """Return bytes that draw it: text, cursor positions and renditions, nothing else."""
        self.draw()
        end = ["\x1b[m"] if self._pen.codes() else []
        return "".join([*self._out, *end]).encode("utf-8", "replace")

    def _draw_row(self, cells: list[Cell], number: int) -> None:
        while cells and cells[-1].blank:
            cells.pop()
        x, blanks, placed = 0, 0, False
        for cell in cells:
            if cell.blank:
                blanks += 1
            else:
                if not placed or blanks >= _JUMP:
                    self._out.append(f"\x1b[{number};{x + 1}H")
                elif blanks:
                    self._take(BLANK)
                    self._out.append(" " * blanks)
                placed, blanks = True, 0
                self._take(cell)
                self._out.append(cell.data)
            x += 2 if _glyph(cell.data, self._width)[1] else 1

    def _take(self, pen: Cell) -> None:
        """Change to the rendition of ``pen``."""
        if pen[1:] != self._pen[1:]:
            before, after = self._pen.codes(), pen.codes()
            if before != after:
                self._out.append(f"\x1b[{'0;' if before and after else ''}{after}m")
            self._pen = pen
