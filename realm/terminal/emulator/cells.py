"""One character cell and how SGR changes what is written next.

Codes are those of ECMA-48 and xterm; a colour is kept as the code that sets it
(``31``, ``38;5;196``, ``38;2;255;0;0``), so that it can be written again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT = "default"


class Cell(NamedTuple):
    """A character with its rendition; the fields' first part is what pyte expects.

    ``data`` is empty in the right half of a wide character.
    """

    data: str = " "
    fg: str = DEFAULT
    bg: str = DEFAULT
    bold: bool = False
    italics: bool = False
    underscore: bool = False
    strikethrough: bool = False
    reverse: bool = False
    blink: bool = False
    dim: bool = False
    conceal: bool = False

    def codes(self) -> str:
        """Return the SGR parameters that set this rendition, empty for the normal one."""
        flags = [code for code, name in _CODES if getattr(self, name)]
        colours = [colour for colour in (self.fg, self.bg) if colour != DEFAULT]
        return ";".join(flags + colours)

    @property
    def blank(self) -> bool:
        """Whether nothing at all is to be seen."""
        return self.data == " " and self.bg == DEFAULT and not (
            self.reverse or self.underscore or self.strikethrough
        )  # fmt: skip


BLANK = Cell()


class Row(dict[int, Cell]):
    """The cells of a row by column; those that are not there are ``default``.

    Erasing a whole row is forgetting it, however wide it is.
    """

    __slots__ = ("default",)

    def __init__(self, default: Cell = BLANK, cells: Iterable[tuple[int, Cell]] = ()) -> None:
        super().__init__(cells)
        self.default = default

    def __missing__(self, column: int) -> Cell:
        return self.default

    def copy(self) -> Row:
        """Return an independent row with the same cells."""
        return Row(self.default, self.items())


_CODES = (
    ("1", "bold"), ("2", "dim"), ("3", "italics"), ("4", "underscore"), ("5", "blink"), ("7", "reverse"),
    ("8", "conceal"), ("9", "strikethrough"),
)  # fmt: skip
_ON = {
    1: "bold", 2: "dim", 3: "italics", 4: "underscore", 5: "blink", 6: "blink", 7: "reverse", 8: "conceal",
    9: "strikethrough", 21: "underscore",
}  # fmt: skip
_OFF: dict[int, tuple[str, ...]] = {
    22: ("bold", "dim"), 23: ("italics",), 24: ("underscore",), 25: ("blink",), 27: ("reverse",),
    28: ("conceal",), 29: ("strikethrough",),
}  # fmt: skip
_COLOURS = {
    **dict.fromkeys([*range(30, 38), *range(90, 98)], "fg"),
    **dict.fromkeys([*range(40, 48), *range(100, 108)], "bg"),
}
_NORMAL = {39: "fg", 49: "bg"}
_EXTENDED = {38: "fg", 48: "bg", 58: ""}
_UNDERLINE = 4
_INDEXED, _DIRECT = 5, 2
_BYTE = 255


@lru_cache(maxsize=1024)
def render(cell: Cell, parameters: str) -> Cell:
    """Return ``cell`` with the rendition that the SGR ``parameters`` make of its own."""
    groups = [[_int(part) for part in group.split(":")] for group in parameters.split(";")]
    index = 0
    while index < len(groups):
        code, *rest = groups[index]
        if code in _EXTENDED:
            values = rest or [group[0] for group in groups[index + 1 : index + 5]]
            colour, used = _colour(code, values, colon=bool(rest))
            if colour and _EXTENDED[code]:
                cell = _with(cell, colour, _EXTENDED[code])
            index += 0 if rest else used
        else:
            cell = _plain(cell, code, rest)
        index += 1
    return cell


def _plain(cell: Cell, code: int, rest: list[int]) -> Cell:
    if code == 0:
        return BLANK
    if code == _UNDERLINE and rest:
        return _with(cell, rest[0] != 0, "underscore")
    if code in _ON:
        return _with(cell, True, _ON[code])
    if code in _NORMAL:
        return _with(cell, DEFAULT, _NORMAL[code])
    if code in _COLOURS:
        return _with(cell, str(code), _COLOURS[code])
    return _with(cell, False, *_OFF.get(code, ()))


def _with(cell: Cell, value: Any, *names: str) -> Cell:
    changes: dict[str, Any] = dict.fromkeys(names, value)
    return cell._replace(**changes) if changes else cell


def _colour(code: int, values: list[int], *, colon: bool) -> tuple[str, int]:
    """Return the code of an extended colour and how many of ``values`` it took."""
    kind = values[0] if values else 0
    if kind == _INDEXED:
        index = values[1] if len(values) > 1 else 0
        return (f"{code};5;{index}" if index <= _BYTE else ""), 2
    if kind != _DIRECT:
        return "", 1
    # With colons an id of the colour space may stand before the three values.
    parts = values[1:][-3:] if colon and len(values) == 4 else values[2:5] if colon else values[1:4]  # noqa: PLR2004
    red, green, blue = (min(part, _BYTE) for part in [*parts, 0, 0, 0][:3])
    return f"{code};2;{red};{green};{blue}", 4


def _int(text: str) -> int:
    return min(int(text[-6:]), 99999) if text.isdecimal() and text.isascii() else 0
