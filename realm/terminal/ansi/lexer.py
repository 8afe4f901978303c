"""Splits a terminal's output into text and control functions; it may be broken or hostile and cut anywhere.

It follows the state machine that terminals share (Paul Williams' parser for DEC terminals): whatever comes
in, no part of a control function is taken for text, nothing raises, and what is kept is bounded.  ESC begins
a new function wherever it stands.  Text is UTF-8; C1 controls are known in their UTF-8 form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMETERS = 32
"""Parameters of one control function that are read."""
LARGEST = 99999
"""Larger numbers are reduced to this."""
LIMIT = 4096
"""Bytes of an unfinished function or string that are kept; the rest of a longer one is skipped."""
ESC = b"\x1b"

TEXT, CONTROL, ESCAPE, CSI, OSC = "text", "control", "escape", "csi", "osc"

# Control characters inside a CSI are obeyed by terminals without ending it; CAN, SUB and ESC end it.
_BODY = rb"[\x00-\x17\x19\x1c-\x1f\x7f -?]*+"
STRINGS = rb"\]PX^_k"
"""What begins a string after ESC, as a regular expression's class: OSC, DCS, SOS, PM, APC, a title."""
_TOKEN = re.compile(
    rb"(?P<text>(?:[^\x00-\x1f\x7f\xc2]++|\xc2(?![\x80-\x9f]))++)"
    rb"|(?:\x1b\[|\xc2\x9b)(?:(?P<mark>[<-?]?)(?P<parameters>[0-?]*+)(?P<between>[ -/]*+)(?P<final>[@-~])"
    rb"|(?P<odd>%b[@-~]?))"
    rb"|(?P<string>\x1b[%b]|\xc2[\x90\x98\x9d-\x9f])"
    rb"|\x1b(?P<escape>[ -/]*+[0-~])"
    rb"|(?P<control>[\x00-\x1f\x7f]|\xc2[\x80-\x9f])" % (_BODY, STRINGS)
)
# Most sequences are colours, movements and erasures: skipping them is five times faster than parsing.
_RARE = re.compile(rb"\x1b(?!\[[0-9;:]*+[mHKABCDGJX])")
_RARE_OR_CONTROL = re.compile(rb"\x1b(?!\[[0-9;:]*+[mHKABCDGJX])|[\x07\x0e\x0f]|\xc2[\x80-\x9f]")
_UNFINISHED = re.compile(rb"\x1b(?:\[%b|[ -/]*+)|\xc2(?:\x9b%b)?" % (_BODY, _BODY))
_HALF_A_CHARACTER = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_FINAL = re.compile(rb"[@-~\x18\x1a\x1b\x80-\xff]")
_OSC_END = re.compile(rb"[\x07\x18\x1a\x1b]|\xc2\x9c")
_STRING_END = re.compile(rb"[\x18\x1a\x1b]|\xc2\x9c")
_TERMINATORS = (b"\x07", b"\xc2\x9c")
_CANCELS = (b"\x18", b"\x1a")
_OSCS = (b"\x1b]", b"\xc2\x9d")
_OSC_NUMBER = re.compile(rb"(\d{1,4})(?:;|\Z)")
_INSIDE = re.compile(rb"[\x00-\x1f]")
_CONTROLS = bytes([*range(0x20), 0x7F])
_FUNCTION = re.compile(rb"(?P<mark>[<-?]?)(?P<parameters>[ -?]*?)(?P<between>[ -/]*)(?P<final>[@-~])")
_CHARACTER = 4
"""Bytes of the longest UTF-8 character."""


class Token(NamedTuple):
    """One piece of a stream, beginning at ``start`` of :attr:`Lexer.data`.

    The ``name`` of a CSI is its private mark, its intermediate bytes and its final byte, as in ``?h`` or ``
    q`` (after a space); its parameters are in ``data``.  The ``name`` of an OSC is its number, the rest is in
    ``data``.  Text has only ``data``, all others only ``name``.
    """

    kind: str
    name: bytes
    data: bytes
    start: int


class Lexer:
    """Splits a stream into tokens; an unfinished one waits for its end."""

    def __init__(self) -> None:
        self.data = b""
        """What was fed last, after what had been kept."""
        self.reset()

    def reset(self) -> None:
        """Forget what is unfinished."""
        self._carry = b""
        self._until: re.Pattern[bytes] | None = None
        self._string: bytes | None = None

    @property
    def between(self) -> bool:
        """Whether nothing is unfinished, so that what comes next begins a new token."""
        return not self._carry and self._until is None

    def tokens(self, data: bytes) -> Iterator[Token]:
        """Yield all tokens that ``data`` completes."""
        return self._tokens(data, None)

    def switches(self, data: bytes) -> Iterator[Token]:
        """Yield all tokens but text, colours, movements and erasures."""
        rare = (
            b"\x07" in data or b"\x0e" in data or b"\x0f" in data or (not data.isascii() and b"\xc2" in data)
        )
        return self._tokens(data, _RARE_OR_CONTROL if rare else _RARE)

    def _tokens(self, data: bytes, wanted: re.Pattern[bytes] | None) -> Iterator[Token]:  # noqa: C901 - has to be quick
        data = self._hold_back(self._carry + data)
        self.data = data
        place = 0
        while place < len(data):
            if self._until is not None:
                place, token = self._skip(data, place)
                if token is not None:
                    yield token
                continue
            if wanted is not None:
                candidate = wanted.search(data, place)
                if candidate is None:
                    return
                place = candidate.start()
            match = _TOKEN.match(data, place)
            if match is None:
                # Unreachable: every byte is in some class.
                place += 1
                continue
            start, place = place, match.end()
            kind = match.lastgroup
            if kind == "text":
                yield Token(TEXT, b"", match[0], start)
            elif kind == "final":
                mark, parameters, between, final = match.group("mark", "parameters", "between", "final")
                yield Token(CSI, mark + between + final, parameters, start)
            elif kind == "string":
                is_osc = match[0] in _OSCS
                self._until, self._string = (_OSC_END, b"") if is_osc else (_STRING_END, None)
            elif kind == "escape":
                yield Token(ESCAPE, match["escape"], b"", start)
            elif kind == "odd":
                yield from _odd(match["odd"], start)
            else:
                yield Token(CONTROL, match[0], b"", start)

    def skip(self, data: bytes) -> None:
        """Pass over ``data`` without tokens; what is unfinished at its end is known afterwards."""
        start = data.rfind(ESC)
        if start >= 0:
            self.reset()
            data = data[start:]
        elif self.between:
            data = data[-_CHARACTER:]
        for _ in self._tokens(data, None):
            pass

    def _hold_back(self, data: bytes) -> bytes:
        """Keep what is unfinished at the end of ``data``; return the rest."""
        self._carry = b""
        if self._until is not None and self._until is not _FINAL:
            # Inside a string only a terminator that is cut in two matters.
            cut = len(data) - data.endswith(b"\xc2")
            if _OSC_END.search(data, 0, cut) is None:
                self._carry = data[cut:]
                return data[:cut]
        start = max(data.rfind(ESC), data.rfind(b"\xc2\x9b"))
        if start < 0 or not _UNFINISHED.fullmatch(data, start):
            half = _HALF_A_CHARACTER.search(data, max(0, len(data) - 3))
            start = half.start() if half else -1
        if start < 0:
            return data
        if len(data) - start > LIMIT:
            self._until = self._until or _FINAL
            return data[:start]
        self._carry = data[start:]
        return data[:start]

    def _skip(self, data: bytes, place: int) -> tuple[int, Token | None]:
        """Skip to the end of the string, or of the overlong function, that is being read."""
        until = self._until
        end = until.search(data, place) if until is not None else None
        if self._string is not None:
            piece = data[place : end.start() if end else len(data)]
            self._string = self._string + piece if len(self._string) + len(piece) <= LIMIT else None
        if end is None:
            return len(data), None
        string, self._string, self._until = self._string, None, None
        token = None
        if string is not None and end[0] not in _CANCELS and (number := _OSC_NUMBER.match(string)):
            token = Token(OSC, number[1], string[number.end() :], place)
        # What cuts it short begins something else and is read again.
        ends = b"@" <= end[0] < b"\x7f" if until is _FINAL else end[0] in _TERMINATORS
        return end.end() if ends else end.start(), token


def _odd(body: bytes, start: int) -> Iterator[Token]:
    """Yield the control characters inside a function, which terminals obey, and what remains of it."""
    yield from (Token(CONTROL, control, b"", start) for control in _INSIDE.findall(body))
    found = _FUNCTION.fullmatch(body.translate(None, _CONTROLS))
    if found:
        yield Token(CSI, found["mark"] + found["between"] + found["final"], found["parameters"], start)


def numbers(parameters: bytes) -> list[int]:
    """Return a function's parameters; a missing or malformed one is 0."""
    return [_number(part) for part in parameters.split(b";", PARAMETERS)[:PARAMETERS]]


def _number(text: bytes) -> int:
    digits = text.partition(b":")[0]
    return min(int(digits[-20:]), LARGEST) if digits.isdigit() else 0
