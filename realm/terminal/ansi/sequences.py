"""The escape sequences that change a terminal's modes, found in a stream cut anywhere.

ESC always starts a new sequence, whatever it stands in: terminals differ on
strings, and a mode that is taken for on and is not costs a few bytes of undo.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 4096
"""Bytes of an unfinished sequence that are kept; a longer one is not looked at."""

# Control characters inside a CSI are obeyed by terminals without ending it;
# CAN, SUB and ESC end it.
_INSIDE = rb"\x00-\x17\x19\x1c-\x1f\x7f"
# Renditions are the pen's matter: a final "m" only after ">".
_CSI = (
    rb"(?P<other>>)?(?P<parameters>[%b0-?]*+)(?P<between>[ -/]*+)(?P<final>[hlnpqrsu]|(?(other)m|(?!)))"
    % _INSIDE
)
_STRING = rb"\](?P<code>[0124589]|1[0-9]|22|10[45]|11[0-9])(?P<rest>(?:;[^\x00-\x1f\x7f]*)?)(?=[\x07\x1b])"
_PLAIN = rb"(?P<escape>[c78=>no|}~]|[()*+\-./][ -/]*[0-~]|%[@G])"

_SEVEN_BIT = re.compile(rb"\x1b(?:\[%b|%b|%b)" % (_CSI, _STRING, _PLAIN))
_ANY = re.compile(rb"(?P<shift>[\x0e\x0f])|(?:\x1b\[|\xc2\x9b)%b|\x1b(?:%b|%b)" % (_CSI, _STRING, _PLAIN))
# Most sequences are colours, movements and erasures: passed over five times faster than tried.
_CANDIDATE = re.compile(rb"\x1b(?!\[[0-9;:]*+[mHKABCDGJX])")
_UNFINISHED = re.compile(
    rb"\x1b(?:\[[%b0-?]*[ -/]*"
    rb"|\](?:\d{0,3}|(?:[0124589]|1\d|22|1[01]\d);[^\x00-\x1f\x7f]*)|[()*+\-./%%][ -/]*)?"
    rb"|\xc2(?:\x9b[%b0-?]*[ -/]*)?" % (_INSIDE, _INSIDE)
)
_CONTROLS = bytes([*range(0x20), 0x7F])
_MARKS = {b"<", b"=", b">", b"?"}


class Sequence(NamedTuple):
    """One sequence: where it starts, its kind, and what it carries.

    ``kind`` is ``csi``, ``osc``, ``esc`` or ``shift``.  A CSI has its private
    mark before, what stands between after, and the final byte in ``name``, as
    in ``?h`` or `` q`` (after a space); ``data`` are its parameters.  An OSC has
    its number in ``name`` and the rest in ``data``; the others have ``name`` only.
    """

    start: int
    kind: str
    name: bytes
    data: bytes = b""


def may_matter(chunk: bytes) -> bool:
    """Tell quickly whether ``chunk`` can change any mode at all."""
    if b"\x1b" in chunk or b"\x0e" in chunk or b"\x0f" in chunk:
        return True
    return not chunk.isascii() and (b"\xc2\x9b" in chunk or chunk.endswith(b"\xc2"))


def split(data: bytes) -> tuple[bytes, bytes]:
    """Return ``data`` up to an unfinished sequence at its end, and that sequence."""
    start = max(data.rfind(b"\x1b"), data.rfind(b"\xc2", max(0, len(data) - LIMIT)))
    if start < 0 or not _UNFINISHED.fullmatch(data, start):
        return data, b""
    tail = data[start:]
    return data[:start], tail if len(tail) <= LIMIT else b""


def find(data: bytes) -> Iterator[Sequence]:
    """Yield the sequences in ``data`` in order, renditions (SGR) left out."""
    rare = b"\x0e" in data or b"\x0f" in data or b"\xc2\x9b" in data
    for match in _ANY.finditer(data) if rare else _seven_bit(data):
        if match["final"] is not None:
            yield _control(match)
        elif match["escape"] is not None:
            yield Sequence(match.start(), "esc", match["escape"])
        elif match["code"] is not None:
            yield Sequence(match.start(), "osc", match["code"], match["rest"][1:])
        else:
            yield Sequence(match.start(), "shift", match[0])


def _seven_bit(data: bytes) -> Iterator[re.Match[bytes]]:
    for candidate in _CANDIDATE.finditer(data):
        match = _SEVEN_BIT.match(data, candidate.start())
        if match is not None:
            yield match


def _control(match: re.Match[bytes]) -> Sequence:
    parameters = (match["other"] or b"") + match["parameters"].translate(None, _CONTROLS)
    mark = parameters[:1] if parameters[:1] in _MARKS else b""
    name = mark + match["between"] + match["final"]
    return Sequence(match.start(), "csi", name, parameters[len(mark) :])


def numbers(parameters: bytes, default: int = 0) -> list[int]:
    """Return a CSI's parameters; what is no number counts as ``default``."""
    return [int(part) if part.isdigit() else default for part in parameters[:LIMIT].split(b";")]
