"""A screen read back from the bytes that draw it (:meth:`realm.terminal.emulator.screen.Screen.ansi`).

They may come from a record that anybody wrote: text, cursor positions and
renditions are understood and nothing else, and only characters and their
renditions come out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.emulator.cells import BLANK, Cell, Row, render
from realm.terminal.emulator.screen import COLUMNS, ROWS
from realm.terminal.render.picture import row_cells
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 4 * 1024 * 1024
"""Bytes of a drawing that are looked at."""
NARROWEST = 80
_TALLEST_CLUSTER = 12
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)|\x1b\[(?:(?P<row>\d{1,4});(?P<column>\d{1,4})H|(?P<pen>[\d;:]{0,256})m)"
)


class Run(NamedTuple):
    """Characters side by side with one rendition: where they begin, how many columns they take.

    ``pen`` is a cell with that rendition.
    """

    column: int
    columns: int
    text: str
    pen: Cell


class Still:
    """The rows of a screen down to the last one with something in it; hidden text is blank.

    ``columns`` is the widest row's width, 80 at least.
    """

    def __init__(self, drawing: bytes) -> None:
        from pyte.screens import wcwidth

        paper = _Paper(wcwidth)
        paper.draw(drawing[:LIMIT].decode("utf-8", "replace"))
        rows = [row_cells(row, paper.filled(row), wcwidth) for row in paper.rows]
        while rows and not rows[-1]:
            rows.pop()
        self.rows = [_runs(row, wcwidth) for row in rows]
        self.columns = max([NARROWEST, *(row[-1].column + row[-1].columns for row in self.rows if row)])

    def text(self) -> str:
        """Return what a person would read, a line for every row."""
        rows = ("".join(run.text for run in row).rstrip() for row in self.rows)
        return "".join(f"{row}\n" for row in rows)

    def ansi(self) -> str:
        """Return the same in colour: renditions and text, nothing that moves the cursor."""
        lines = []
        for row in self.rows:
            parts = [(run.pen.codes(), run.text) for run in row]
            lines.append("".join(f"\x1b[{codes}m{text}\x1b[m" if codes else text for codes, text in parts))
        return "".join(f"{line}\n" for line in lines)


class _Paper:
    """Cells that are written once, at places that are given."""

    def __init__(self, width: Callable[[str], int]) -> None:
        self.rows = [Row() for _ in range(ROWS)]
        self._width = width
        self._y = self._x = 0
        self._pen = BLANK

    def draw(self, drawing: str) -> None:
        for token in _TOKEN.finditer(drawing):
            if token["text"]:
                self._write(clean(token["text"]))
            elif token["row"]:
                self._y = min(max(int(token["row"]), 1), ROWS) - 1
                self._x = min(max(int(token["column"]), 1), COLUMNS) - 1
            else:
                self._pen = render(self._pen, token["pen"])

    def _write(self, text: str) -> None:
        row = self.rows[self._y]
        hidden = self._pen.conceal
        for character in text:
            width = 1 if hidden else self._width(character)
            if width <= 0:
                self._combine(row, character)
            elif self._x + width <= COLUMNS:
                row[self._x] = self._pen._replace(data=" " if hidden else character)
                if width > 1:
                    row[self._x + 1] = self._pen._replace(data="")
                self._x += width

    def _combine(self, row: Row, mark: str) -> None:
        """Put a character of no width on the one before."""
        x = self._x - 1
        x -= x in row and row[x].data == ""
        if x in row and len(row[x].data) < _TALLEST_CLUSTER:
            row[x] = row[x]._replace(data=row[x].data + mark)

    @staticmethod
    def filled(row: Row) -> int:
        """Return the width of a row without the blanks at its end."""
        return max((x for x, cell in row.items() if not cell.blank), default=-1) + 1


def _runs(cells: list[Cell], width: Callable[[str], int]) -> list[Run]:
    """Join cells; a wide or composed character stays alone, so that its place is known."""
    runs: list[Run] = []
    column = 0
    for cell in cells:
        columns = max(1, width(cell.data[0]))
        pen, last = cell._replace(data=""), runs[-1] if runs else None
        single = columns == len(cell.data) == 1
        if last is not None and single and last.columns == len(last.text) and _alike(last.pen, cell):
            runs[-1] = last._replace(columns=last.columns + 1, text=last.text + cell.data)
        else:
            runs.append(Run(column, columns, cell.data, pen))
        column += columns
    return runs


def _alike(pen: Cell, cell: Cell) -> bool:
    """Whether ``cell`` looks the same with the rendition ``pen``: a blank does with most."""
    return pen == cell._replace(data="") or (cell.blank and pen._replace(data=" ").blank)
