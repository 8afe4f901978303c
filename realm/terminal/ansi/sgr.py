"""Graphic renditions (SGR): the meaning of their parameters.

Numbers and their opposites are those of ECMA-48 and xterm's control sequences.  A rendition is kept as the
parameters that set it (``1;38;5;196``), so that it can be written again.
"""

from __future__ import annotations

import re
from functools import lru_cache

_RESETS = (b"\x1b[m", b"\x1b[0m")
_SGR = re.compile(rb"(?:\x1b\[|\xc2\x9b)([0-9;:]{0,256})m")
_COMPACT = 4096

_ATTRIBUTES: dict[int, str] = {
    1: "bold", 2: "dim", 3: "italic", 20: "italic", 4: "underline", 21: "underline", 5: "blink", 6: "blink",
    7: "reverse", 8: "conceal", 9: "strike", 51: "frame", 52: "frame", 53: "overline",
    73: "script", 74: "script",
    **dict.fromkeys(range(11, 20), "font"),
    **dict.fromkeys([*range(30, 38), *range(90, 98)], "foreground"),
    **dict.fromkeys([*range(40, 48), *range(100, 108)], "background"),
}  # fmt: skip
_OFF: dict[int, tuple[str, ...]] = {
    10: ("font",), 22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 25: ("blink",), 27: ("reverse",),
    28: ("conceal",), 29: ("strike",), 39: ("foreground",), 49: ("background",), 54: ("frame",),
    55: ("overline",), 59: ("line colour",), 75: ("script",),
}  # fmt: skip
_COLOURS = {38: "foreground", 48: "background", 58: "line colour"}
_UNDERLINE = 4
_INDEXED, _DIRECT = 5, 2
_BYTE = 255
_DRAWN = {
    "bold": "1", "dim": "2", "italic": "3", "underline": "4", "blink": "5", "reverse": "7", "conceal": "8",
    "strike": "9",
}  # fmt: skip
"""The attributes that a drawing keeps besides the two colours, and their parameters in it."""


def attributes(parameters: str, state: dict[str, str] | None = None) -> dict[str, str]:
    """Return the attributes that differ from normal after one SGR, by name; ``state`` is changed in place."""
    state = {} if state is None else state
    codes = parameters.split(";")
    index = 0
    while index < len(codes):
        head, *rest = codes[index].split(":")
        number = _int(head)
        if number in _COLOURS:
            values = [_int(part) for part in rest or codes[index + 1 : index + 5]]
            colour, used = _colour(number, values, colon=bool(rest))
            if colour:
                state[_COLOURS[number]] = colour
            index += 0 if rest else used
        elif number == 0:
            state.clear()
        elif number == _UNDERLINE and rest and _int(rest[0]) == 0:
            state.pop("underline", None)
        elif number in _ATTRIBUTES:
            state[_ATTRIBUTES[number]] = ":".join([str(number), *(str(_int(part)) for part in rest[:1])])
        for name in _OFF.get(number, ()):
            state.pop(name, None)
        index += 1
    return state


def _colour(code: int, values: list[int], *, colon: bool) -> tuple[str, int]:
    """Return the parameters of an extended colour and how many of ``values`` it took."""
    kind = values[0] if values else 0
    if kind == _INDEXED:
        index = values[1] if len(values) > 1 else 0
        return (f"{code};5;{index}" if index <= _BYTE else ""), 2
    if kind != _DIRECT:
        return "", 1
    # With colons, the id of a colour space may precede the three values.
    parts = values[1:][-3:] if colon and len(values) == 4 else values[2:5] if colon else values[1:4]  # noqa: PLR2004
    red, green, blue = (min(part, _BYTE) for part in [*parts, 0, 0, 0][:3])
    return f"{code};2;{red};{green};{blue}", 4


def _int(text: str) -> int:
    return min(int(text[-6:]), 99999) if text.isdecimal() and text.isascii() else 0


@lru_cache(maxsize=4096)
def rendition(before: str, parameters: str) -> str:
    """Return the rendition ``before`` after an SGR, as a drawing keeps it: semicolons, known codes only."""
    state = attributes(parameters, attributes(before))
    flags = [code for name, code in _DRAWN.items() if name in state]
    return ";".join([*flags, *(state[name] for name in ("foreground", "background") if name in state)])


@lru_cache(maxsize=4096)
def paper(codes: str) -> str:
    """Return only the background of a rendition, which erased cells take."""
    return attributes(codes).get("background", "") if codes else ""


@lru_cache(maxsize=4096)
def shows_on_blanks(codes: str) -> bool:
    """Whether a blank with this rendition looks different from a normal one."""
    return bool(codes) and not {"background", "reverse", "underline", "strike"}.isdisjoint(attributes(codes))


class Pen:
    """Collects renditions cheaply, and evaluates them only when asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def copy(self) -> Pen:
        """Return an independent pen with the same rendition."""
        other = Pen()
        other._parts = list(self._parts)
        return other

    def clear(self) -> None:
        """Return to the terminal's normal rendition."""
        self._parts.clear()

    def feed(self, data: bytes, start: int, end: int) -> None:
        """Take the renditions between two positions of ``data``."""
        reset = max(data.rfind(mark, start, end) for mark in _RESETS)
        if reset >= 0:
            self._parts.clear()
            start = reset
        self._parts += _SGR.findall(data, start, end)
        if len(self._parts) > _COMPACT:
            # A repeated rendition overrides what came between: only its last position counts.
            self._parts = list(dict.fromkeys(reversed(self._parts)))[::-1]
            if len(self._parts) > _COMPACT // 4:
                self._parts = [code.encode() for code in self.attributes().values()]

    def attributes(self) -> dict[str, str]:
        """Return the attributes that differ from normal, by name."""
        state: dict[str, str] = {}
        for part in self._parts:
            attributes(part.decode("ascii"), state)
        return state

    def redo(self) -> bytes:
        """Return the sequence that gives this rendition to a normal pen, empty if it is normal."""
        codes = self.attributes().values()
        return b"\x1b[%bm" % ";".join(codes).encode() if codes else b""
