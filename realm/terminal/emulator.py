"""A terminal's screen: pyte's, behind realm's own lexer, with the alternate screen that pyte lacks.

The lexer decides what reaches pyte, which raises on some parameters that real programs send, drops text after
zero-width characters and does not clear what it moves.  pyte's cursor, margins, tab stops, character sets and
drawing are used; rows are moved and erased here.  Importing pyte is slow: import this module only when a
screen is needed.
"""

from __future__ import annotations

import copy
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pyte import charsets
from pyte import modes as pyte_modes
from pyte.screens import Margins, StaticDefaultDict, wcwidth
from pyte.screens import Screen as PyteScreen

from realm.terminal.ansi import sgr
from realm.terminal.ansi.lexer import CONTROL, CSI, ESCAPE, TEXT, Lexer, Token, numbers
from realm.terminal.ansi.modes import ALTERNATE, SAVES_CURSOR, SYNCHRONIZED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROWS, COLUMNS = 250, 700
"""The largest screen; of a larger terminal the upper left corner is kept."""
_PATIENCE = 256 * 1024
"""Bytes after which a synchronized update that does not end is shown unfinished."""
_PARTING_LINES = 8
"""Lines that a program may write to the main screen after leaving the alternate one, which is kept till then.
"""
_TALLEST_CLUSTER = 12
"""Characters kept in one cell at most."""
JOINER = "\u200d"
"""Joins characters that are shown as one, such as a family."""
_AS_EMOJI, _TONES = "\ufe0f", ("\U0001f3fb", "\U0001f3ff")
_FIRST_EMOJI, _KEYCAPS = "\u2030", "0123456789#*©®"
_PARTS = re.compile("(?P<narrow>[ -~\u00ae-\u02ff\u2500-\u259f]+)|[^ -~\u00ae-\u02ff\u2500-\u259f]+")
"""Text of single-column characters (ASCII, accents, lines and blocks), and any other text."""
_PRIVATE = {6: pyte_modes.DECOM, 7: pyte_modes.DECAWM, 25: pyte_modes.DECTCEM}
_ANSI = {4: pyte_modes.IRM, 20: pyte_modes.LNM}
_EIGHT_BIT = {b"D": b"\n", b"\xc2\x84": b"\n", b"\xc2\x85": b"E", b"\xc2\x88": b"H", b"\xc2\x8d": b"M"}

Row = StaticDefaultDict
"""The cells of a row by column; a missing one is its ``default``."""


class Cell(NamedTuple):
    """A character and its SGR parameters; ``data`` is empty in the right half of a wide one."""

    data: str = " "
    codes: str = ""


class _Hidden(NamedTuple):
    """The main screen while the alternate one is shown."""

    buffer: list[Any]
    saved: Any
    lines: int


BLANK = Cell()


def takes_two(text: str) -> bool:
    """Tell whether the text of a cell takes two columns: a wide character, or one shown as an emoji.

    Programs count the latter so, and most terminals show it so.
    """
    may_be = text[:1] > _FIRST_EMOJI or text[:1] in _KEYCAPS
    return bool(text) and (wcwidth(text[0]) > 1 or (text[1:2] == _AS_EMOJI and may_be))


class Screen(PyteScreen):
    """The screen of a terminal of ``rows`` by ``columns`` cells."""

    buffer: Any
    cursor: Any

    def __init__(self, rows: int, columns: int) -> None:
        self._lexer = Lexer()
        self._saved: Any = None
        self._hidden: _Hidden | None = None
        self._frozen: list[Any] | None = None
        self._left: list[Any] | None = None
        self._lines_since = self._frozen_for = 0
        self._cleared = self._scrolled = 0
        self._doubted: tuple[int, int] | None = None
        self._last = " "
        rows, columns = _bounded(rows, columns)
        super().__init__(columns, rows)
        self._functions = self._table()

    # What comes ---------------------------------------------------------------------

    def feed(self, data: bytes, until: float | None = None) -> bool:
        """Process output; return false if that was not finished by ``until`` (monotonic seconds)."""
        for token in self._lexer.tokens(data):
            self.take(token)
            if until is not None and time.monotonic() > until:
                self._lexer.reset()
                return False
        self._frozen_for = self._frozen_for + len(data) if self._frozen is not None else 0
        if self._frozen_for > _PATIENCE:
            self._frozen = None
        return True

    def take(self, token: Token) -> None:
        """Process one token."""
        if token.kind == TEXT:
            self._write(token.data.decode("utf-8", "replace"))
        elif token.kind == CSI:
            if token.name == b"m":
                codes = sgr.rendition(self.cursor.attrs.codes, token.data[:256].decode("ascii", "replace"))
                self.cursor.attrs = Cell(codes=codes)
            elif handler := self._functions.get(token.name):
                handler(numbers(token.data))
        elif token.kind == CONTROL:
            self._control(token.name)
        elif token.kind == ESCAPE:
            self._escape(token.name)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the size; rows below the cursor go first, then those at the top."""
        before = self.lines
        self.lines, columns = _bounded(lines or self.lines, columns or self.columns)
        if columns != self.columns:
            for row in self.buffer:
                for x in [x for x in row if x >= columns]:
                    del row[x]
            self.columns = columns
            self.tabstops = {stop for stop in self.tabstops if stop < columns} | set(range(8, columns, 8))
        self.margins = self._frozen = None
        self._fit(before, self.cursor.y)

    def _fit(self, before: int, y: int) -> None:
        """Fit the rows of a screen of ``before`` rows into this one; the cursor was in row ``y``."""
        surplus = max(0, y - self.lines + 1)
        if self.lines != before or surplus:
            kept = self.buffer[surplus : surplus + self.lines]
            self.buffer = kept + self._empty(self.lines - len(kept))
        self.cursor.y = y - surplus
        self.ensure_hbounds()
        self.ensure_vbounds()

    # What is seen -------------------------------------------------------------------

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self._hidden is not None

    def shown(self) -> Sequence[Any]:
        """Return the rows of the screen that is shown."""
        rows: Sequence[Any] = self.buffer if self._frozen is None else self._frozen
        return rows

    def left(self) -> Sequence[Any] | None:
        """Return the alternate screen as it was left; ``None`` once much has been written to the main one."""
        return self._left[: self.lines] if self._left is not None else None

    @property
    def between(self) -> bool:
        """Whether the output so far ends between two sequences."""
        return self._lexer.between

    def doubt(self) -> None:
        """Note that what is shown may be incomplete."""
        self._doubted = (self._cleared, self._scrolled)

    @property
    def lacking(self) -> bool:
        """Whether some of what :meth:`doubt` was called on may still be shown."""
        if self._doubted is None:
            return False
        cleared, scrolled = self._doubted
        return self._cleared == cleared and self._scrolled - scrolled < self.lines

    # Text ---------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        for part in _PARTS.finditer(text):
            if part.lastgroup:
                self._write_narrow(part[0])
            else:
                for character in part[0]:
                    self._write_one(character)
        if text[-1].isprintable():
            self._last = text[-1]

    def _write_narrow(self, text: str) -> None:
        """Do what pyte's ``draw`` does, for many single-column characters at a time."""
        text = text.translate(self.g1_charset if self.charset else self.g0_charset)
        codes, place = self.cursor.attrs.codes, 0
        while place < len(text):
            if self.cursor.x >= self.columns:
                self._wrap(1)
                if pyte_modes.DECAWM not in self.mode:
                    place = len(text) - 1  # each further one overwrites the last column
            x = self.cursor.x
            run = text[place : place + self.columns - x]
            if pyte_modes.IRM in self.mode:
                self._shift_cells(len(run))
            cells = {character: Cell(character, codes) for character in set(run)}
            row = self.buffer[self.cursor.y]
            row.update(zip(range(x, x + len(run)), map(cells.__getitem__, run), strict=True))
            self.cursor.x = x + len(run)
            place += len(run)

    def _write_one(self, character: str) -> None:
        width = 0 if character > _FIRST_EMOJI and self._continues(character) else wcwidth(character)
        if width == 0:
            row, x = self.buffer[self.cursor.y], self.cursor.x - 1
            x -= x > 0 and row[x].data == ""
            if x >= 0 and len(row[x].data) < _TALLEST_CLUSTER:
                row[x] = row[x]._replace(data=row[x].data + character)
                if x + 1 == self.cursor.x < self.columns and takes_two(row[x].data):
                    row[x + 1] = row[x]._replace(data="")
                    self.cursor.x += 1
        elif 0 < width <= self.columns:
            if self.cursor.x + width > self.columns:
                self._wrap(width)
            if pyte_modes.IRM in self.mode:
                self._shift_cells(width)
            row, x = self.buffer[self.cursor.y], self.cursor.x
            row[x] = self.cursor.attrs._replace(data=character)
            if width > 1:
                row[x + 1] = self.cursor.attrs._replace(data="")
            self.cursor.x = x + width

    def _continues(self, character: str) -> bool:
        """Tell whether a character joins the one before it: in a family, or as a skin tone."""
        x = self.cursor.x - 2
        before = self.buffer[self.cursor.y][x].data if x >= 0 else ""
        return before.endswith(JOINER) or (_TONES[0] <= character <= _TONES[1] and takes_two(before))

    def _wrap(self, width: int) -> None:
        if pyte_modes.DECAWM in self.mode:
            self.carriage_return()
            self.index()
        else:
            self.cursor.x = self.columns - width

    # Functions ----------------------------------------------------------------------

    def _control(self, name: bytes) -> None:
        name = _EIGHT_BIT.get(name, name)
        if name in (b"\n", b"\v", b"\f"):
            self._lines_since += 1
            if self._lines_since > _PARTING_LINES:
                self._left = None
            self.linefeed()
        elif name == b"\r":
            self.carriage_return()
        elif name == b"\b":
            self.backspace()
        elif name == b"\t":
            self.tab()
        elif name in (b"\x0e", b"\x0f"):
            self.charset = int(name == b"\x0e")
        elif name in (b"E", b"H", b"M"):
            self._escape(name)

    def _escape(self, name: bytes) -> None:
        if name[:1] in (b"(", b")") and len(name) > 1:
            table = charsets.VT100_MAP if name[1:] == b"0" else charsets.LAT1_MAP
            setattr(self, "g0_charset" if name[:1] == b"(" else "g1_charset", table)
        elif name == b"c":
            self.reset()
        elif name == b"7":
            self.save_cursor()
        elif name == b"8":
            self.restore_cursor()
        elif name == b"D":
            self._control(b"\n")
        elif name == b"E":
            self.carriage_return()
            self._control(b"\n")
        elif name == b"M":
            self.reverse_index()
        elif name == b"H":
            self.tabstops.add(min(self.cursor.x, self.columns - 1))
        elif name == b"#8":
            self.buffer = [Row(Cell("E")) for _ in range(self.lines)]

    def _table(self) -> dict[bytes, Callable[[list[int]], object]]:
        counted: dict[bytes, Callable[[int], object]] = {
            b"@": self._shift_cells, b"A": self.cursor_up, b"B": self.cursor_down, b"C": self.cursor_forward,
            b"D": self.cursor_back, b"E": self.cursor_down1, b"F": self.cursor_up1,
            b"G": self.cursor_to_column, b"I": self._tab_on, b"L": self._shift_rows,
            b"M": lambda count: self._shift_rows(-count), b"P": lambda count: self._shift_cells(-count),
            b"S": lambda count: self._scroll(-count), b"T": self._scroll, b"X": self._erase_cells,
            b"Z": lambda count: self._tab_on(-count), b"`": self.cursor_to_column, b"a": self.cursor_forward,
            b"b": lambda count: self._write(self._last * min(count, self.columns)),
            b"d": self.cursor_to_line, b"e": self.cursor_down,
        }  # fmt: skip
        table: dict[bytes, Callable[[list[int]], object]] = {
            b"H": lambda values: self.cursor_position(*values[:2]),
            b"f": lambda values: self.cursor_position(*values[:2]),
            b"J": lambda values: self._erase_screen(values[0]),
            b"?J": lambda values: self._erase_screen(values[0]),
            b"K": lambda values: self._erase_row(values[0]),
            b"?K": lambda values: self._erase_row(values[0]),
            b"g": lambda values: self.clear_tab_stop(values[0]),
            b"r": self._set_margins,
            b"h": lambda values: self._switch(values, _ANSI, on=True),
            b"l": lambda values: self._switch(values, _ANSI, on=False),
            b"?h": lambda values: self._switch(values, _PRIVATE, on=True),
            b"?l": lambda values: self._switch(values, _PRIVATE, on=False),
            b"s": lambda _: self.save_cursor(), b"u": lambda _: self.restore_cursor(),
            b"!p": lambda _: self._soft_reset(),
        }  # fmt: skip
        for name, handler in counted.items():
            table[name] = lambda values, handler=handler: handler(max(1, values[0]))  # type: ignore[misc]
        return table

    def cursor_to_line(self, line: int | None = None) -> None:
        """Move to a row; pyte fails in origin mode without margins."""
        self.cursor_position(line, min(self.cursor.x, self.columns - 1) + 1)

    def _tab_on(self, count: int) -> None:
        """Move by ``count`` tab stops, back if it is negative."""
        x = self.cursor.x
        stops = sorted((stop for stop in self.tabstops if (stop - x) * count > 0), reverse=count < 0)
        edge = self.columns - 1 if count > 0 else 0
        self.cursor.x = stops[abs(count) - 1] if abs(count) <= len(stops) else edge

    # Erasing and moving -------------------------------------------------------------

    @property
    def default_char(self) -> Any:
        """An empty cell."""
        return BLANK

    def _erased(self) -> Cell:
        """Return an erased cell, which keeps only the background colour."""
        return Cell(codes=sgr.paper(self.cursor.attrs.codes))

    def _empty(self, count: int) -> list[Any]:
        return [Row(BLANK) for _ in range(count)]

    def _erase_cells(self, count: int) -> None:
        x = min(self.cursor.x, self.columns - 1)
        self.buffer[self.cursor.y].update(
            dict.fromkeys(range(x, min(x + count, self.columns)), self._erased())
        )

    def _erase_row(self, how: int) -> None:
        """EL: 0 to the end, 1 to the start, 2 all of it."""
        if how == 0:
            self._erase_cells(self.columns)
        elif how == 1:
            row, end = self.buffer[self.cursor.y], min(self.cursor.x, self.columns - 1) + 1
            row.update(dict.fromkeys(range(end), self._erased()))
        elif how == 2:  # noqa: PLR2004 - see above
            self.buffer[self.cursor.y] = Row(self._erased())

    def _erase_screen(self, how: int) -> None:
        """ED: 0 to the end, 1 to the start, 2 all of it; 3 (the scrollback) is ignored, as there is none."""
        y = self.cursor.y
        for row in {0: range(y + 1, self.lines), 1: range(y), 2: range(self.lines)}.get(how, ()):
            self.buffer[row] = Row(self._erased())
        if how in (0, 1):
            self._erase_row(how)
        self._cleared += how == 2 or (how == 0 and y == 0 and self.cursor.x == 0)  # noqa: PLR2004 - see above

    def _shift_cells(self, count: int) -> None:
        """ICH, DCH: move the cells from the cursor on to the right, or left; freed cells are blank."""
        row, x = self.buffer[self.cursor.y], min(self.cursor.x, self.columns - 1)
        cells = [row[place] for place in range(x, self.columns)]
        gap = [self._erased()] * min(abs(count), len(cells))
        cells = [*gap, *cells[: len(cells) - len(gap)]] if count > 0 else [*cells[len(gap) :], *gap]
        row.update(zip(range(x, self.columns), cells, strict=True))

    def _shift_rows(self, count: int) -> None:
        """IL, DL: move the rows from the cursor on down, or up."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if top <= self.cursor.y <= bottom:
            self._move_rows(self.cursor.y, bottom, count)
            self.carriage_return()

    def _scroll(self, count: int) -> None:
        self._move_rows(*(self.margins or Margins(0, self.lines - 1)), count)

    def _move_rows(self, top: int, bottom: int, by: int) -> None:
        """Move the rows ``top`` to ``bottom`` down by ``by``, or up if it is negative.

        Freed rows are blank.
        """
        count = min(abs(by), bottom - top + 1)
        gone, free = (bottom - count + 1, top) if by > 0 else (top, bottom - count + 1)
        del self.buffer[gone : gone + count]
        self.buffer[free:free] = [Row(self._erased()) for _ in range(count)]

    def index(self) -> None:
        """Move down a row; at the bottom margin the rows move up."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == bottom:
            self._move_rows(top, bottom, -1)
            self._scrolled += self.margins is None
        else:
            self.cursor.y = min(self.cursor.y + 1, self.lines - 1)

    def reverse_index(self) -> None:
        """Move up a row; at the top margin the rows move down."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == top:
            self._move_rows(top, bottom, 1)
        else:
            self.cursor.y = max(self.cursor.y - 1, 0)

    # Modes --------------------------------------------------------------------------

    def _set_margins(self, values: list[int]) -> None:
        top, bottom, *_ = [*values, 0, 0]
        top, bottom = max(top, 1) - 1, min(bottom or self.lines, self.lines) - 1
        if top < bottom:
            self.margins = None if (top, bottom) == (0, self.lines - 1) else Margins(top, bottom)
            self.cursor_position()

    def _switch(self, values: list[int], known: dict[int, int], *, on: bool) -> None:
        for value in values:
            if value in known:
                (self.mode.add if on else self.mode.discard)(known[value])
                if known[value] == pyte_modes.DECOM:
                    self.cursor_position()
            elif known is _PRIVATE and value in ALTERNATE:
                self._show_alternate(on=on, cursor=value == SAVES_CURSOR)
            elif known is _PRIVATE and value == SYNCHRONIZED:
                if not on:
                    self._frozen = None
                elif self._frozen is None:
                    self._frozen = [_copied(row) for row in self.buffer]

    def _show_alternate(self, *, on: bool, cursor: bool) -> None:
        """Switch between the two screens; with ``cursor``, save or restore it as mode 1049 does."""
        if on and self._hidden is None:
            if cursor:
                self.save_cursor()
            self._hidden = _Hidden(self.buffer, self._saved, self.lines)
            self.buffer, self._saved = self._empty(self.lines), None
            self._cleared += 1
        elif not on and self._hidden is not None:
            hidden, self._hidden = self._hidden, None
            self._left, self._lines_since = self.buffer, 0
            self.buffer, self._saved = hidden.buffer, hidden.saved
            y = self.cursor.y
            if cursor and hidden.saved is not None:
                y = hidden.saved[0].y
                self.restore_cursor()
            self._fit(hidden.lines, y)
        self._frozen = None

    def save_cursor(self) -> None:
        """DECSC: each screen has one saved cursor, where pyte has an unbounded stack."""
        origin = pyte_modes.DECOM in self.mode
        self._saved = (copy.copy(self.cursor), self.charset, self.g0_charset, self.g1_charset, origin)

    def restore_cursor(self) -> None:
        """DECRC: without a saved cursor, it goes home."""
        if self._saved is None:
            self.mode.discard(pyte_modes.DECOM)
            self.cursor_position()
            return
        cursor, self.charset, self.g0_charset, self.g1_charset, origin = self._saved
        self.cursor = copy.copy(cursor)
        (self.mode.add if origin else self.mode.discard)(pyte_modes.DECOM)
        self.ensure_hbounds()
        self.ensure_vbounds()

    def reset(self) -> None:
        """RIS: reset everything."""
        super().reset()
        self.buffer = self._empty(self.lines)
        self.cursor.attrs = BLANK
        self._saved = self._hidden = self._frozen = self._left = None
        self._cleared += 1

    def _soft_reset(self) -> None:
        self.mode.difference_update({pyte_modes.IRM, pyte_modes.DECOM})
        self.mode.update({pyte_modes.DECAWM, pyte_modes.DECTCEM})
        self.cursor.attrs = BLANK
        self.margins, self.charset, self._saved = None, 0, None
        self.g0_charset, self.g1_charset = charsets.LAT1_MAP, charsets.VT100_MAP


def _copied(row: Any) -> Any:
    other: Any = Row(row.default)
    other.update(row)
    return other


def _bounded(rows: int, columns: int) -> tuple[int, int]:
    return min(max(rows, 1), ROWS), min(max(columns, 1), COLUMNS)
