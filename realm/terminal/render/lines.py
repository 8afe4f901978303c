"""Readable lines from a program's output, piece by piece."""

from __future__ import annotations

import re

from realm.terminal.ansi.lexer import CONTROL, CSI, ESCAPE, TEXT, Lexer, Token
from realm.text import clean, trimmed

_PIECES = re.compile(rb"((?:[^\x00-\x08\n-\x1f\x7f\xc2]*+\r?\n)++)|[^\n]*+(?:\n|\Z)")
"""Complete lines of plain text, which need no parsing, or one other line."""
_OPEN_LIMIT = 1 << 20
"""The longest incomplete line that is kept, in bytes."""
_SHORTEST = 3
_REMEMBERED = 500
_SIDEWAYS, _ABSOLUTE, _RELATIVE = frozenset(b"CDG"), frozenset(b"Hdf"), frozenset(b"ABEF")


class Lines:
    """Ends a line where the program does, or where it draws in another row of its screen.

    Programs redraw the same text and animate single characters: repeated recent lines, and text without a
    word, are left out.  Colours are dropped, a movement within the row becomes a blank, overwritten text is
    not shown.
    """

    def __init__(self) -> None:
        self._lexer = Lexer()
        self._line = bytearray()
        self._row = -1
        self._returned = self._drawing = False
        self._drawn: dict[str, None] = {}

    def feed(self, data: bytes) -> str:
        """Return the lines completed by ``data``."""
        found: list[str] = []
        for piece in _PIECES.finditer(data):
            if piece[1] and not self._line and not self._returned and self._lexer.between:
                self._drawing, self._row = False, -1
                text = piece[0].replace(b"\r\n", b"\n").replace(b"\t", b" ")
                found.append(trimmed(clean(text, multiline=True)))
            else:
                found += [self._take(token) for token in self._lexer.tokens(piece[0])]
        if len(self._line) > _OPEN_LIMIT:
            found.append(self.end())
        return "".join(found)

    def end(self) -> str:
        """Return the rest as a last line."""
        text = clean(bytes(self._line)).rstrip()
        return self._ended() if text else ""

    def _take(self, token: Token) -> str:
        final = token.name[-1:] if token.kind == CSI else b""
        if token.kind == TEXT:
            self._write(token.data)
        elif token.kind == CONTROL:
            return self._control(token.name)
        elif final == b"K" and self._returned and token.data in (b"", b"0", b"2"):
            self._write(b"")
        elif token.kind == ESCAPE and token.name in (b"D", b"E", b"M"):
            return self._moved(-1)
        elif len(token.name) == 1 and token.kind == CSI:
            if final[0] in _SIDEWAYS:
                self._write(b" ")
            elif final[0] in _RELATIVE:
                return self._moved(-1)
            elif final[0] in _ABSOLUTE:
                row = token.data.partition(b";")[0]
                return self._moved(int(row[-6:]) if row.isdigit() else 1)
        return ""

    def _control(self, name: bytes) -> str:
        if name == b"\n":
            self._drawing, self._row = False, -1
            return self._ended()
        if name == b"\r":
            self._returned = True
        elif name == b"\t":
            self._write(b"\t")
        return ""

    def _write(self, data: bytes) -> None:
        if self._returned:
            self._line.clear()
            self._returned = False
        self._line += data

    def _moved(self, row: int) -> str:
        """Note that the cursor is in another row (-1: unknown)."""
        stays = row == self._row and row >= 0
        self._row = row
        if stays:
            self._write(b" ")
            return ""
        self._drawing = True
        return self._ended()

    def _ended(self) -> str:
        text = clean(bytes(self._line)).rstrip()
        self._line.clear()
        self._returned = False
        if not self._drawing:
            return f"{text}\n"
        key = text.strip()
        if len(key) < _SHORTEST or not any(char.isalnum() for char in key) or key in self._drawn:
            return ""
        self._drawn[key] = None
        if len(self._drawn) > _REMEMBERED:
            del self._drawn[next(iter(self._drawn))]
        return f"{text}\n"
