"""What a program's output does to the screen: functions, modes, the two screens, the saved cursor.

pyte's own parser drops text after characters of no width, leaks parts of
sequences as text and knows no alternate screen: it is not used.  This module
imports pyte: it is itself imported only when a screen is looked at.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyte import charsets
from pyte import modes as pyte_modes
from pyte.screens import Margins

from realm.terminal.ansi.parser import numbers
from realm.terminal.emulator.cells import BLANK, Cell, Row, render
from realm.terminal.emulator.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable

_ALTERNATE = {47, 1047, 1049}
_SAVES_CURSOR = 1049
_SYNCHRONIZED = 2026
_PRIVATE = {6: pyte_modes.DECOM, 7: pyte_modes.DECAWM, 25: pyte_modes.DECTCEM}
_ANSI = {4: pyte_modes.IRM, 20: pyte_modes.LNM}


@dataclass(slots=True)
class _Save:
    """What DECSC keeps."""

    cursor: Any
    charset: int
    g0: Any
    g1: Any
    origin: bool


@dataclass(slots=True)
class _Hidden:
    """The main screen while the alternate one is shown."""

    buffer: list[Row]
    saved: _Save | None
    lines: int


_PARTING_LINES = 8
"""Lines that a program may write to the main screen when it leaves the alternate one."""


class Board(Writing):
    """The grid that a :class:`~realm.terminal.ansi.parser.Parser` writes to."""

    def __init__(self, lines: int, columns: int) -> None:
        self._saved: _Save | None = None
        self._hidden: _Hidden | None = None
        self.left: list[Row] | None = None
        """The alternate screen as it was left, until much has been written to the main one."""
        self._lines_since = 0
        super().__init__(lines, columns)
        self._functions = self._table()

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self._hidden is not None

    def reset(self) -> None:
        """RIS: everything as at the start."""
        super().reset()
        self.cursor.attrs = BLANK
        self._saved = self._hidden = self.frozen = self.left = None
        self.cleared += 1

    # What the parser tells -----------------------------------------------------

    def control(self, character: str) -> None:
        """Obey one control character."""
        self.steps += 1
        if character in "\n\v\f\x84":
            self._forget_left()
            self.linefeed()
        elif character == "\r":
            self.carriage_return()
        elif character == "\b":
            self.backspace()
        elif character == "\t":
            self.tab()
        elif character in "\x0e\x0f":
            self.charset = 1 if character == "\x0e" else 0
        elif character == "\x85":
            self.carriage_return()
            self.linefeed()
        elif character == "\x8d":
            self.reverse_index()

    def escape(self, name: str) -> None:
        """Obey an escape sequence."""
        if name[0] in "()" and len(name) > 1:
            table = charsets.VT100_MAP if name[1:] == "0" else charsets.LAT1_MAP
            setattr(self, "g0_charset" if name[0] == "(" else "g1_charset", table)
        elif name == "c":
            self.reset()
        elif name == "7":
            self.save_cursor()
        elif name == "8":
            self.restore_cursor()
        elif name in {"D", "E", "M"}:
            self.control({"D": "\x84", "E": "\x85", "M": "\x8d"}[name])
        elif name == "H":
            self.tabstops.add(min(self.cursor.x, self.columns - 1))
        elif name == "#8":
            self.alignment_display()

    def function(self, name: str, parameters: str) -> None:
        """Obey a control function."""
        if name == "m":
            self.cursor.attrs = render(self.cursor.attrs, parameters)
            return
        handler = self._functions.get(name)
        if handler is not None:
            handler(numbers(parameters))

    def _table(self) -> dict[str, Callable[[list[int]], None]]:
        counted: dict[str, Callable[[int], None]] = {
            "@": self.insert_cells, "A": self.cursor_up, "B": self.cursor_down, "C": self.cursor_forward,
            "D": self.cursor_back, "E": self.cursor_down1, "F": self.cursor_up1, "G": self.cursor_to_column,
            "I": self.tab_on, "L": self.insert_rows, "M": self.delete_rows, "P": self.delete_cells,
            "S": self.scroll_up, "T": self.scroll_down, "X": self.erase_cells, "Z": self.tab_back,
            "`": self.cursor_to_column, "a": self.cursor_forward, "b": self.repeat, "d": self.cursor_to_line,
            "e": self.cursor_down,
        }  # fmt: skip
        table: dict[str, Callable[[list[int]], None]] = {
            "H": self.place, "f": self.place,
            "J": lambda values: self.erase_screen(_first(values)),
            "?J": lambda values: self.erase_screen(_first(values)),
            "K": lambda values: self.erase_row(_first(values)),
            "?K": lambda values: self.erase_row(_first(values)),
            "g": lambda values: self.clear_tab_stop(_first(values)),
            "r": self._margins,
            "h": lambda values: self._switch(values, _ANSI, on=True),
            "l": lambda values: self._switch(values, _ANSI, on=False),
            "?h": lambda values: self._private(values, on=True),
            "?l": lambda values: self._private(values, on=False),
            "s": lambda _: self.save_cursor(), "u": lambda _: self.restore_cursor(),
            "!p": lambda _: self._soft_reset(),
        }  # fmt: skip
        for name, handler in counted.items():
            table[name] = lambda values, handler=handler: handler(max(1, _first(values)))  # type: ignore[misc]
        return table

    def alignment_display(self) -> None:
        """DECALN: the screen full of E, in one go for every row."""
        self.steps += self.lines
        self.buffer = [Row(Cell("E")) for _ in range(self.lines)]

    def save_cursor(self) -> None:
        """DECSC: one place to save to on each screen."""
        origin = pyte_modes.DECOM in self.mode
        cursor = copy.copy(self.cursor)
        self._saved = _Save(cursor, self.charset, self.g0_charset, self.g1_charset, origin)

    def restore_cursor(self) -> None:
        """DECRC; the cursor goes home where nothing was saved."""
        save = self._saved
        if save is None:
            self.mode.discard(pyte_modes.DECOM)
            self.cursor_position()
            return
        hidden = self.cursor.hidden
        self.cursor = copy.copy(save.cursor)
        self.cursor.hidden = hidden
        self.charset, self.g0_charset, self.g1_charset = save.charset, save.g0, save.g1
        (self.mode.add if save.origin else self.mode.discard)(pyte_modes.DECOM)
        self.ensure_hbounds()
        self.ensure_vbounds()

    # Modes ---------------------------------------------------------------------

    def _switch(self, values: list[int], known: dict[int, int], *, on: bool) -> None:
        for value in values:
            if value in known:
                (self.mode.add if on else self.mode.discard)(known[value])
                if known[value] == pyte_modes.DECOM:
                    self.cursor_position()
        self.cursor.hidden = pyte_modes.DECTCEM not in self.mode

    def _private(self, values: list[int], *, on: bool) -> None:
        self._switch(values, _PRIVATE, on=on)
        for value in values:
            if value in _ALTERNATE:
                self.show_alternate(on=on, cursor=value == _SAVES_CURSOR)
            elif value == _SYNCHRONIZED:
                self._freeze(on=on)

    def _freeze(self, *, on: bool) -> None:
        if not on:
            self.frozen = None
        elif self.frozen is None:
            self.frozen = self.copied(self.buffer)

    def show_alternate(self, *, on: bool, cursor: bool = False) -> None:
        """Change between the two screens; with ``cursor`` as mode 1049 does it."""
        if on and self._hidden is None:
            if cursor:
                self.save_cursor()
            self._hidden = _Hidden(self.buffer, self._saved, self.lines)
            self.buffer, self._saved = self._empty(), None
            self.cleared += 1
        elif not on and self._hidden is not None:
            hidden, self._hidden = self._hidden, None
            self.left, self._lines_since = self.buffer, 0
            self.buffer, self._saved = hidden.buffer, hidden.saved
            row = self.cursor.y
            if cursor and hidden.saved is not None:
                row = hidden.saved.cursor.y
                self.restore_cursor()
            self.fit(hidden.lines, row)
        self.frozen = None

    def _forget_left(self) -> None:
        self._lines_since += 1
        if self._lines_since > _PARTING_LINES:
            self.left = None

    def _soft_reset(self) -> None:
        self.mode.difference_update({pyte_modes.IRM, pyte_modes.DECOM})
        self.mode.update({pyte_modes.DECAWM, pyte_modes.DECTCEM})
        self.cursor.hidden, self.cursor.attrs = False, BLANK
        self.margins, self.charset, self._saved = None, 0, None
        self.g0_charset, self.g1_charset = charsets.LAT1_MAP, charsets.VT100_MAP

    def _margins(self, values: list[int]) -> None:
        top, bottom, *_ = [*values, 0, 0]
        top, bottom = max(top, 1) - 1, min(bottom or self.lines, self.lines) - 1
        if top < bottom:
            whole = (top, bottom) == (0, self.lines - 1)
            self.margins = None if whole else Margins(top, bottom)
            self.cursor_position()


def _first(values: list[int]) -> int:
    return values[0] if values else 0
