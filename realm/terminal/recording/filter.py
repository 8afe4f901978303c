"""Limits what a recorded program may do to the terminal of whoever views the recording.

Text, cursor movements, colours, erasing, scrolling and the two screens pass: all that pictures are made of.
Nothing else does: no clipboard (OSC 52), title, link, palette or image (DCS, APC), nothing that a terminal
answers, no mouse, paste, focus or keyboard mode, no bell, no full reset, no clearing of the scrollback.  What
passes is written anew from its parsed form; modes that are still on are undone at the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.terminal.ansi.lexer import CONTROL, CSI, ESCAPE, TEXT, Lexer, numbers
from realm.terminal.ansi.modes import ALTERNATE, Modes
from realm.text import HIDING, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.ansi.lexer import Token

_MOST = 1000
"""The largest parameter of a function: no terminal has more rows or columns."""
_COUNTED = frozenset(b"@ABCDEFGILMPSTXZ`abde")
"""Functions with one number, all of them movements or changes of cells."""
_PRIVATE = {6, 7, 25} | ALTERNATE
_INSERT = 4
_ERASES = {0, 1, 2}
_SHAPES = range(7)
_RENDITION = re.compile(rb"[0-9;:]{0,256}")
_CONTROLS = {byte: byte.decode() for byte in (b"\b", b"\t", b"\n", b"\v", b"\f", b"\r", b"\x0e", b"\x0f")} | {
    b"\xc2\x84": "\x1bD", b"\xc2\x85": "\x1bE", b"\xc2\x8d": "\x1bM",
}  # fmt: skip
_ESCAPES = frozenset((b"7", b"8", b"D", b"E", b"M", b"#8"))
_CHARSETS = frozenset(slot + name for slot in (b"(", b")") for name in (b"0", b"A", b"B"))
# The bulk of every recording, passed unchanged: ten times faster than parsing it.
_PLAIN = re.compile(
    rf"(?:[^\x00-\x07\x10-\x1f{HIDING}]++"
    r"|\x1b\[(?:[0-9;:]{0,64}m|[0-9]{0,3}[ABCDGXd]|[0-9]{0,3}(?:;[0-9]{0,3})?H|[012]?[JK]|\?25[hl])"
    r"|\x1b\([0B])++"
)
_RESET = "\x1b[!p\x1b[m\x0f\x1b(B\x1b)B\x1b[H\x1b[2J"


class Filter:
    """Makes a program's output harmless, cut anywhere."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._passed: list[str] = []
        self._lexer = Lexer()
        self._modes = Modes()
        self._functions = self._table()

    def feed(self, data: str) -> str:
        """Return the harmless part of ``data``; an unfinished sequence waits for its end."""
        place = 0
        while place < len(data):
            plain = _PLAIN.match(data, place) if self._lexer.between else None
            if plain is not None:
                self._out.append(plain[0])
                place = plain.end()
                continue
            end = data.find("\x1b", place + 1)
            end = end if end >= 0 else len(data)
            for token in self._lexer.tokens(data[place:end].encode("utf-8", "replace")):
                self._take(token)
            place = end
        self._account()
        passed = "".join(self._passed)
        self._passed.clear()
        return passed

    def _account(self) -> None:
        """Update the modes with what passed so far."""
        text = "".join(self._out)
        self._out.clear()
        self._passed.append(text)
        self._modes.feed(text.encode("utf-8", "replace"))

    def end(self) -> str:
        """Return what undoes everything still on, and start over."""
        undo = self._undo()
        self._lexer.reset()
        self._modes = Modes()
        return undo

    def _undo(self) -> str:
        return self._modes.undo().decode("ascii", "replace")

    def _take(self, token: Token) -> None:
        """Pass a token if it is known to be harmless."""
        if token.kind == TEXT:
            # Characters that hide or reorder others are removed.
            self._out.append(clean(token.data))
        elif token.kind == CONTROL:
            self._out.append(_CONTROLS.get(token.name, ""))
        elif token.kind == ESCAPE:
            self._escape(token.name)
        elif token.kind == CSI:
            self._function(token.name, token.data)

    def _escape(self, name: bytes) -> None:
        """Pass an escape sequence that moves the cursor or selects line drawing."""
        if name in _ESCAPES or name in _CHARSETS:
            self._out.append(f"\x1b{name.decode()}")
        elif name == b"c":
            # A full reset would clear the scrollback as well.
            self._account()
            self._out.append(self._undo() + _RESET)

    def _function(self, name: bytes, parameters: bytes) -> None:
        """Pass a harmless control function, with its numbers limited."""
        if name == b"m":
            if _RENDITION.fullmatch(parameters):
                self._out.append(f"\x1b[{parameters.decode()}m")
            return
        values = numbers(parameters) if parameters else []
        if len(name) == 1 and name[0] in _COUNTED:
            # With more numbers some of these have another meaning (mouse tracking).
            if len(values) <= 1:
                self._write(values, name.decode())
        elif name in self._functions:
            self._functions[name](values)

    def _table(self) -> dict[bytes, Callable[[list[int]], None]]:
        return {
            b"H": lambda values: self._write(values[:2], "H"),
            b"f": lambda values: self._write(values[:2], "H"),
            b"J": lambda values: self._choose(values, _ERASES, "J"),
            b"K": lambda values: self._choose(values, _ERASES, "K"),
            b"?J": lambda values: self._choose(values, _ERASES, "J"),
            b"?K": lambda values: self._choose(values, _ERASES, "K"),
            b"r": lambda values: self._write(values[:2], "r"),
            b"s": lambda _: self._escape(b"7"),
            b"u": lambda _: self._escape(b"8"),
            b" q": lambda values: self._choose(values, _SHAPES, " q"),
            b"!p": lambda _: self._out.append("\x1b[!p"),
            b"h": lambda values: self._switch(values, {_INSERT}, "", "h"),
            b"l": lambda values: self._switch(values, {_INSERT}, "", "l"),
            b"?h": lambda values: self._switch(values, _PRIVATE, "?", "h"),
            b"?l": lambda values: self._switch(values, _PRIVATE, "?", "l"),
        }

    def _write(self, values: list[int], final: str) -> None:
        self._out.append(f"\x1b[{';'.join(str(min(value, _MOST)) for value in values)}{final}")

    def _choose(self, values: list[int], allowed: set[int] | range, final: str) -> None:
        value = values[0] if values else 0
        if value in allowed:
            self._out.append(f"\x1b[{value}{final}")

    def _switch(self, values: list[int], allowed: set[int], mark: str, final: str) -> None:
        self._out += [f"\x1b[{mark}{value}{final}" for value in dict.fromkeys(values) if value in allowed]
