"""Cleaning text from a container before it is shown or stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDING = (
    "\x7f-\x9f\xad\u061c\u115f\u1160\u3164\uffa0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
"""Characters that hide or reorder others, for use in a regular expression's class.

DEL, C1, soft hyphens, Hangul fillers, bidi controls, zero-width characters, line and paragraph separators,
interlinear marks, tags, the byte order mark, and lone surrogates.
"""

# These, and C0 without tab and newline.
_FORBIDDEN = f"[\x00-\x08\x0b-\x1f{HIDING}]"
_JOINERS = "\u200c\u200d"
_BUT_JOINERS = f"(?![{_JOINERS}])[\x00-\x08\x0b-\x1f{HIDING}]"
# Joiners beside a character that never needs one.
_NEEDLESS = f"(^|[\x00-\x7f])[{_JOINERS}]+|[{_JOINERS}]+(?=[\x00-\x7f]|$)"


def clean(
    text: bytes | str, *, multiline: bool = False, limit: int | None = None, joined: bool = False
) -> str:
    """Return ``text`` safe to show or store.

    Bytes are decoded as UTF-8, with invalid ones replaced.  Control characters, introducers of escape
    sequences, bidi and zero-width characters are removed; without ``multiline`` line ends and tabs become
    spaces.  With ``joined`` the joiners stay that Persian, Hindi and emoji need: those between non-ASCII
    characters.  ``limit`` cuts to that many characters, the last one being an ellipsis.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not (text.isascii() and text.isprintable()):  # else it is clean, as most text is
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not multiline:
            text = text.replace("\n", " ").replace("\t", " ")
        text = re.sub(_BUT_JOINERS if joined else _FORBIDDEN, "", text)
        if joined:
            text = re.sub(_NEEDLESS, r"\1", text)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text


_AT_ENDS = r"(?<![^\S\n])[^\S\n]+(?=\n|\Z)"


def trimmed(text: str) -> str:
    """Return ``text`` without blanks at the ends of its lines, in one pass."""
    return re.sub(_AT_ENDS, "", text)


def first_line(text: str, limit: int = 72, *, joined: bool = False) -> str:
    """Return the first line of ``text`` that is not blank, cleaned and cut."""
    for line in clean(text, multiline=True, joined=joined).splitlines():
        if line.strip():
            return clean(line.strip(), limit=limit, joined=joined)
    return ""


def plural(number: float, noun: str) -> str:
    """Return ``number`` (without decimals) and ``noun``, with an s unless it is one."""
    return f"{number:.0f} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return at most ``limit`` names joined as in a sentence, and the number of the rest."""
    shown = list(names if len(names) <= limit else [*names[: limit - 1], f"{len(names) - limit + 1} more"])
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)
