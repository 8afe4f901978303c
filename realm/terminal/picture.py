"""A grid of cells as readable text and as the fewest harmless bytes that draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.cells import BLANK, Cell
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Grid = Mapping[int, Mapping[int, Cell]]

_JUMP = 8
"""From this many blanks on, moving the cursor is shorter than writing them."""


def row_cells(row: Mapping[int, Cell], columns: int, width: Callable[[str], int]) -> list[Cell]:
    """Return a row from left to right; the right half of a wide character is left out.

    Halves that lost their other one are blank, and so is what cannot be shown.
    """
    cells: list[Cell] = []
    x = 0
    while x < columns:
        cell = row.get(x, BLANK)
        text = clean(cell.data)
        wide = bool(text) and width(text[0]) > 1
        whole = not wide or (x + 1 < columns and row.get(x + 1, BLANK).data == "")
        cells.append(cell._replace(data=text if text and whole else " "))
        x += 2 if wide and whole else 1
    return cells


def text(grid: Grid, lines: int, columns: int, width: Callable[[str], int]) -> str:
    """Return what a person would read: lines without trailing blanks, none empty at the end."""
    rows = [row_cells(grid.get(y, {}), columns, width) for y in range(lines)]
    readable = ["".join(" " if cell.conceal else cell.data for cell in row).rstrip() for row in rows]
    return "\n".join(readable).rstrip("\n")


def ansi(grid: Grid, lines: int, columns: int, width: Callable[[str], int]) -> bytes:
    """Return bytes that draw it: text, cursor positions and renditions, nothing else."""
    out: list[str] = []
    pen = ""
    for y in range(lines):
        pen = _draw_row(row_cells(grid.get(y, {}), columns, width), y, pen, width, out)
    if pen:
        out.append("\x1b[m")
    return "".join(out).encode("utf-8", "replace")


def _draw_row(cells: list[Cell], y: int, pen: str, width: Callable[[str], int], out: list[str]) -> str:
    """Append one row to ``out``; return the rendition that is left on."""
    while cells and cells[-1].blank:
        cells.pop()
    x, blanks, placed = 0, 0, False
    for cell in cells:
        if cell.blank:
            blanks += 1
        else:
            if not placed or blanks >= _JUMP:
                out.append(f"\x1b[{y + 1};{x + 1}H")
            elif blanks:
                pen = _pen(pen, "", out)
                out.append(" " * blanks)
            placed, blanks = True, 0
            pen = _pen(pen, cell.codes(), out)
            out.append(cell.data)
        x += max(1, width(cell.data[0]))
    return pen


def _pen(before: str, after: str, out: list[str]) -> str:
    if before != after:
        start = "0;" if before and after else ""
        out.append(f"\x1b[{start}{after}m")
    return after
