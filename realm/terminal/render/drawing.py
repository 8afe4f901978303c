"""Turns a screen into readable text, or into the fewest harmless bytes that draw it, and reads these back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.ansi.lexer import CSI, TEXT, Lexer
from realm.terminal.ansi.sgr import attributes, shows_on_blanks
from realm.terminal.emulator import BLANK, COLUMNS, JOINER, ROWS, Cell, Screen, takes_two
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

LIMIT = 4 * 1024 * 1024
"""Bytes of a drawing that are read."""
NARROWEST = 80
_NO_WRAP = b"\x1b[?7l"
_JUMP = 8
"""From this many blanks on, a cursor movement is shorter."""


def cells(row: Any, columns: int) -> list[Cell]:
    """Return a row's cells from left to right, without trailing blanks and right halves of wide characters.

    Halves without their other half are blank, and so is what cannot be shown.
    """
    if not shows_on_blanks(row.default.codes) and row.default.data == " ":
        columns = min(columns, max(row, default=-1) + 1)
    found: list[Cell] = []
    x = 0
    while x < columns:
        cell = row[x]
        text, wide = _glyph(cell.data)
        whole = not wide or (x + 1 < columns and row[x + 1].data == "")
        found.append(cell._replace(data=text if text and whole else " "))
        x += 2 if wide and whole else 1
    while found and _is_blank(found[-1]):
        found.pop()
    return found


@lru_cache(maxsize=4096)
def _glyph(data: str) -> tuple[str, bool]:
    """Return the visible part of a cell's text (of several characters the first), and if it is wide."""
    text = clean(data.partition(JOINER)[0])
    return text, takes_two(text)


@lru_cache(maxsize=4096)
def _is_hidden(codes: str) -> bool:
    return "conceal" in attributes(codes)


def _is_blank(cell: Cell) -> bool:
    """Whether nothing of the cell is visible."""
    return cell.data == " " and not shows_on_blanks(cell.codes)


def read(screen: Screen, rows: Sequence[Any] | None = None) -> str:
    """Return the readable text: cleaned lines without trailing blanks, and without empty lines at the end."""
    lines = (
        "".join(" " if _is_hidden(cell.codes) else cell.data for cell in cells(row, screen.columns)).rstrip()
        for row in (screen.shown() if rows is None else rows)
    )
    return "\n".join(lines).rstrip("\n")


def below(screen: Screen) -> int:
    """Return how many rows below the cursor everything is empty; 0 if the cursor's own row is."""
    free = max((y for y, row in enumerate(screen.shown(), 1) if cells(row, screen.columns)), default=0)
    return max(0, free - int(screen.cursor.y))


def draw(screen: Screen, rows: Sequence[Any] | None = None) -> bytes:
    """Return bytes that draw a screen on an empty one: only text, cursor positions and renditions.

    The cursor ends at its position, unless ``rows`` other than the shown ones are drawn.
    """
    out: list[str] = []
    codes = ""
    for number, row in enumerate(screen.shown() if rows is None else rows, 1):
        codes = _draw_row(cells(row, screen.columns), number, out, codes)
    out += ["\x1b[m"] if codes else []
    if rows is None:
        out.append(f"\x1b[{screen.cursor.y + 1};{min(screen.cursor.x, screen.columns - 1) + 1}H")
    return "".join(out).encode("utf-8", "replace")


def _draw_row(row: list[Cell], number: int, out: list[str], codes: str) -> str:
    """Append the bytes for one row to ``out``; return the rendition at its end."""
    x, blanks, placed = 0, 0, False
    for cell in row:
        if _is_blank(cell):
            blanks += 1
        else:
            if not placed or blanks >= _JUMP:
                out.append(f"\x1b[{number};{x + 1}H")
            elif blanks:
                out.append(_change(codes, "") + " " * blanks)
                codes = ""
            placed, blanks = True, 0
            out.append(_change(codes, cell.codes) + cell.data)
            codes = cell.codes
        x += 2 if _glyph(cell.data)[1] else 1
    return codes


def _change(before: str, after: str) -> str:
    if before == after:
        return ""
    return f"\x1b[{'0;' if before and after else ''}{after}m"


class TextRun(NamedTuple):
    """Adjacent characters with one rendition, the column where they begin, and their width in columns."""

    column: int
    columns: int
    text: str
    codes: str


class Drawing:
    """A screen read back from the bytes that draw it (untrusted).

    Only text, cursor positions and renditions are understood.  ``rows`` ends with the last row that is not
    empty; hidden text is blank.  ``columns`` is the widest row's width, at least 80.
    """

    def __init__(self, drawing: bytes) -> None:
        paper = Screen(ROWS, COLUMNS)
        paper.feed(_NO_WRAP)
        for token in Lexer().tokens(drawing[:LIMIT]):
            if token.kind == TEXT or (token.kind == CSI and token.name in (b"H", b"m")):
                paper.take(token)
        self.rows = [_runs(cells(row, COLUMNS)) for row in paper.shown()]
        while self.rows and not self.rows[-1]:
            self.rows.pop()
        self.columns = max([NARROWEST, *(row[-1].column + row[-1].columns for row in self.rows if row)])

    def text(self) -> str:
        """Return the readable text, a line for every row."""
        rows = ("".join(run.text for run in row).rstrip() for row in self.rows)
        return "".join(f"{row}\n" for row in rows)

    def ansi(self) -> str:
        """Return the text with renditions, and nothing that moves the cursor."""
        parts = ("".join(f"\x1b[{run.codes}m{run.text}\x1b[m" if run.codes else run.text for run in row)
                 for row in self.rows)  # fmt: skip
        return "".join(f"{line}\n" for line in parts)


def _runs(row: list[Cell]) -> list[TextRun]:
    """Join cells; a wide or composed character stays separate, so that its column is known."""
    runs: list[TextRun] = []
    column = 0
    for cell in row:
        columns = 2 if _glyph(cell.data)[1] else 1
        data = " " * columns if _is_hidden(cell.codes) else cell.data
        last = runs[-1] if runs else None
        single = columns == len(data) == 1
        simple = last is not None and last.columns == len(last.text) and not takes_two(last.text)
        if last is not None and single and simple and _alike(last.codes, cell):
            runs[-1] = last._replace(columns=last.columns + 1, text=last.text + data)
        else:
            runs.append(TextRun(column, columns, data, cell.codes))
        column += columns
    return runs


def _alike(codes: str, cell: Cell) -> bool:
    """Whether ``cell`` looks the same with the rendition ``codes``, as a blank does with most."""
    return codes == cell.codes or (cell == BLANK and not shows_on_blanks(codes))
