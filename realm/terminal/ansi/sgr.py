"""The graphic rendition (SGR) that a stream of bytes leaves behind.

Numbers and their opposites are those of ECMA-48 and xterm's control sequences.
"""

from __future__ import annotations

import re

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
_COLOUR_SIZES = {5: 3, 2: 5}
"""How many parameters ``38;5;N`` and ``38;2;R;G;B`` have."""


class Pen:
    """Remembers renditions cheaply; works out what they come to when asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def copy(self) -> Pen:
        """Return an independent pen with the same rendition."""
        other = Pen()
        other._parts = list(self._parts)
        return other

    def clear(self) -> None:
        """Back to the terminal's normal rendition."""
        self._parts.clear()

    def feed(self, data: bytes, start: int, end: int) -> None:
        """Take in the renditions between two places of ``data``."""
        reset = max(data.rfind(mark, start, end) for mark in _RESETS)
        if reset >= 0:
            self._parts.clear()
            start = reset
        self._parts += _SGR.findall(data, start, end)
        if len(self._parts) > _COMPACT:
            # A rendition said again later undoes whatever came between: its last place counts.
            self._parts = list(dict.fromkeys(reversed(self._parts)))[::-1]
            if len(self._parts) > _COMPACT // 4:
                self._parts = list(self._evaluate().values())

    def attributes(self) -> tuple[str, ...]:
        """Return the names of what is not as normal."""
        return tuple(self._evaluate())

    def redo(self) -> bytes:
        """Return the sequence that gives this rendition to a normal pen, empty if it is normal."""
        codes = self._evaluate().values()
        return b"\x1b[%sm" % b";".join(codes) if codes else b""

    def _evaluate(self) -> dict[str, bytes]:
        state: dict[str, bytes] = {}
        for part in self._parts:
            _apply(state, part)
        return state


def _apply(state: dict[str, bytes], part: bytes) -> None:
    codes = part.split(b";")
    index = 0
    while index < len(codes):
        index += _apply_one(state, codes, index)


def _apply_one(state: dict[str, bytes], codes: list[bytes], index: int) -> int:
    """Apply the code at ``index``; return how many parameters it took."""
    code = codes[index]
    head, *rest = code.split(b":")
    number = int(head or 0)
    if number in _COLOURS:
        size = 1 if rest else _colour_size(codes, index)
        state[_COLOURS[number]] = b";".join(codes[index : index + size])
        return size
    if number == 0:
        state.clear()
    elif number == _UNDERLINE and rest and rest[0] == b"0":
        state.pop("underline", None)
    elif number in _ATTRIBUTES:
        state[_ATTRIBUTES[number]] = code
    for name in _OFF.get(number, ()):
        state.pop(name, None)
    return 1


def _colour_size(codes: list[bytes], index: int) -> int:
    kind = codes[index + 1] if index + 1 < len(codes) else b""
    wanted = _COLOUR_SIZES.get(int(kind), 2) if kind.isdigit() else 1
    return min(wanted, len(codes) - index)
