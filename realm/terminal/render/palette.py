"""The colours of pictures: what a rendition looks like on paper."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from realm.terminal.ansi.sgr import attributes

INK, PAPER = "#d4d7dd", "#1b1e25"
"""Text and background where a program says nothing."""
_SIXTEEN = (
    "#2a2e37", "#e5616c", "#8fc16f", "#e0b561", "#5ea9ee", "#c57bdb", "#4fb8c2", "#c6cad2",
    "#6b7280", "#f0848d", "#a9d58c", "#ecc985", "#83c0f5", "#d69ae6", "#77ccd5", "#ffffff",
)  # fmt: skip
_LEVELS = (0, 95, 135, 175, 215, 255)
_CUBE, _GREYS = 16, 232
_BRIGHT = 8


class Look(NamedTuple):
    """A rendition as colours (``#rrggbb``) and CSS's names of lines; an empty ``paper`` is the window's."""

    ink: str
    paper: str
    bold: bool
    italic: bool
    dim: bool
    lines: str


@lru_cache(maxsize=4096)
def look(codes: str) -> Look:
    """Return what a rendition looks like."""
    state = attributes(codes)
    ink, paper = _colour(state.get("foreground"), INK), _colour(state.get("background"), "")
    if "reverse" in state:
        ink, paper = paper or PAPER, ink
    lines = (("underline", "underline"), ("line-through", "strike"))
    lined = " ".join(css for css, name in lines if name in state)
    return Look(ink, paper, "bold" in state, "italic" in state, "dim" in state, lined)


def _colour(code: str | None, default: str) -> str:
    """Return the colour that an SGR code sets (see :mod:`realm.terminal.ansi.sgr`)."""
    if code is None:
        return default
    head, *values = [int(part) for part in code.split(";")]
    if not values:
        return _SIXTEEN[head % 10 + (_BRIGHT if head >= 90 else 0)]  # noqa: PLR2004 - 90 to 107 are the bright ones
    if len(values) > 2:  # noqa: PLR2004 - "2" and three colours
        return "#{:02x}{:02x}{:02x}".format(*values[1:4])
    return _indexed(values[1])


def _indexed(index: int) -> str:
    if index < _CUBE:
        return _SIXTEEN[index]
    if index >= _GREYS:
        grey = 8 + 10 * (index - _GREYS)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    red, green, blue = ((index - _CUBE) // step % 6 for step in (36, 6, 1))
    return f"#{_LEVELS[red]:02x}{_LEVELS[green]:02x}{_LEVELS[blue]:02x}"
