"""What a recorded program may do to the terminal of whoever looks at the recording.

Text, the cursor's movements, colours, erasing, scrolling, the two screens: all
that pictures are made of passes.  Nothing else does: no clipboard (OSC 52), no
title, link or palette, no image (DCS, APC), nothing that a terminal answers, no
mouse, paste, focus or keyboard mode, no bell, no full reset, no clearing of what
has scrolled away.  What passes is written anew from what was understood; the
modes that it leaves on are known and undone at the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.terminal.ansi.modes import Modes
from realm.terminal.ansi.parser import Parser, numbers
from realm.text import HIDING, clean

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 1000
"""The largest count of a function: no terminal has more rows or columns that matter."""
_COUNTED = frozenset("@ABCDEFGILMPSTXZ`abde")
"""Functions of one number, each of them a movement or a change of cells."""
_PRIVATE = {6, 7, 25, 47, 1047, 1049}
_INSERT = 4
_ERASES = {0, 1, 2}
_SHAPES = range(7)
_RENDITION = re.compile(r"[0-9;:]{0,256}")
_CONTROLS = frozenset("\b\t\n\v\f\r\x0e\x0f")
_ESCAPES = frozenset(("7", "8", "D", "E", "M", "#8"))
_EIGHT_BIT = {"\x84": "\x1bD", "\x85": "\x1bE", "\x8d": "\x1bM"}
_CHARSETS = frozenset(f"{slot}{name}" for slot in "()" for name in "0AB")
# The bulk of every recording, passed as it is: ten times faster than taking it apart.
_PLAIN = re.compile(
    rf"(?:[^\x00-\x07\x10-\x1f{HIDING}]++"
    r"|\x1b\[(?:[0-9;:]{0,64}m|[0-9]{0,3}[ABCDGXd]|[0-9]{0,3}(?:;[0-9]{0,3})?H|[012]?[JK]|\?25[hl])"
    r"|\x1b\([0B])++"
)
_RESET = "\x1b[!p\x1b[m\x0f\x1b(B\x1b)B\x1b[H\x1b[2J"


class Filter:
    """Makes a program's output harmless, however it was cut."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._passed: list[str] = []
        self._parser = Parser(self)
        self._modes = Modes()
        self._functions = self._table()

    def feed(self, data: str) -> str:
        """Return what may be shown of ``data``; an unfinished sequence waits for its end."""
        place = 0
        while place < len(data):
            plain = _PLAIN.match(data, place) if self._parser.between else None
            if plain is not None:
                self._out.append(plain[0])
                place = plain.end()
                continue
            end = data.find("\x1b", place + 1)
            end = end if end >= 0 else len(data)
            self._parser.feed(data[place:end])
            place = end
        self._account()
        passed = "".join(self._passed)
        self._passed.clear()
        return passed

    def _account(self) -> None:
        """Take account of what passed so far."""
        text = "".join(self._out)
        self._out.clear()
        self._passed.append(text)
        self._modes.feed(text.encode("utf-8", "replace"))

    def end(self) -> str:
        """Return what undoes all that is still on, and begin anew."""
        undo = self._undo()
        self._parser.reset()
        self._modes = Modes()
        return undo

    def _undo(self) -> str:
        return self._modes.undo().decode("ascii", "replace")

    # What the parser tells -----------------------------------------------------

    def draw(self, data: str) -> None:
        """Pass text, without the characters that hide or reorder others."""
        self._out.append(data if data.isascii() else clean(data))

    def control(self, character: str) -> None:
        """Pass a control character that moves the cursor."""
        if character in _CONTROLS:
            self._out.append(character)
        elif character in _EIGHT_BIT:
            self._out.append(_EIGHT_BIT[character])

    def escape(self, name: str) -> None:
        """Pass an escape sequence that moves the cursor or chooses line drawing."""
        if name in _ESCAPES or name in _CHARSETS:
            self._out.append(f"\x1b{name}")
        elif name == "c":
            # A full reset would take what has scrolled away as well.
            self._account()
            self._out.append(self._undo() + _RESET)

    def function(self, name: str, parameters: str) -> None:
        """Pass a control function that is known to be harmless, with numbers that are."""
        if name == "m":
            if _RENDITION.fullmatch(parameters):
                self._out.append(f"\x1b[{parameters}m")
            return
        values = numbers(parameters)
        if name in _COUNTED:
            # With more numbers some of these mean something else (mouse tracking).
            if len(values) <= 1:
                self._write(values, name)
        elif name in self._functions:
            self._functions[name](values)

    def _table(self) -> dict[str, Callable[[list[int]], None]]:
        return {
            "H": lambda values: self._write(values[:2], "H"),
            "f": lambda values: self._write(values[:2], "H"),
            "J": lambda values: self._choose(values, _ERASES, "J"),
            "K": lambda values: self._choose(values, _ERASES, "K"),
            "?J": lambda values: self._choose(values, _ERASES, "J"),
            "?K": lambda values: self._choose(values, _ERASES, "K"),
            "r": lambda values: self._write(values[:2], "r"),
            "s": lambda _: self.escape("7"),
            "u": lambda _: self.escape("8"),
            " q": lambda values: self._choose(values, _SHAPES, " q"),
            "!p": lambda _: self._out.append("\x1b[!p"),
            "h": lambda values: self._switch(values, {_INSERT}, "", "h"),
            "l": lambda values: self._switch(values, {_INSERT}, "", "l"),
            "?h": lambda values: self._switch(values, _PRIVATE, "?", "h"),
            "?l": lambda values: self._switch(values, _PRIVATE, "?", "l"),
        }

    def _write(self, values: list[int], final: str) -> None:
        self._out.append(f"\x1b[{';'.join(str(min(value, _MOST)) for value in values)}{final}")

    def _choose(self, values: list[int], allowed: set[int] | range, final: str) -> None:
        value = values[0] if values else 0
        if value in allowed:
            self._out.append(f"\x1b[{value}{final}")

    def _switch(self, values: list[int], allowed: set[int], mark: str, final: str) -> None:
        self._out += [f"\x1b[{mark}{value}{final}" for value in dict.fromkeys(values) if value in allowed]
