"""Text and control functions told apart, in a stream that may be broken or hostile.

Written after the state machine that terminals share (Paul Williams' parser for
DEC terminals): whatever comes in, nothing of a control function is ever taken
for text, nothing raises, and no more than a bounded piece is kept.
"""

from __future__ import annotations

import re
from typing import Protocol

PARAMETERS = 32
"""Parameters of one control function that are looked at."""
LARGEST = 9999
"""Numbers are cut to this."""
LIMIT = 1024
"""Characters of an unfinished control function that are kept; of a longer one the rest is skipped."""

_C0 = r"\x00-\x17\x19\x1c-\x1f\x7f"
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<parameters>[%s -?]*+)(?P<final>[@-~]?)"
    r"|(?P<string>\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
    r"|\x1b(?P<escape>[ -/]*+[0-~])"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])".replace("%s", _C0)
)
_UNFINISHED = re.compile(r"\x1b(?:\[[%s -?]*|[ -/]*)|\x9b[%s -?]*".replace("%s", _C0))
_FINAL = re.compile(r"[@-~\x18\x1a\x1b\x80-\U0010ffff]")
_STRING_END = re.compile(r"[\x18\x1a\x1b\x9c]")
_OSC_END = re.compile(r"[\x07\x18\x1a\x1b\x9c]")
_OSC = {"\x1b]", "\x9d"}
_MARKS = "<=>?"
_CONTROLS = dict.fromkeys([*range(0x20), 0x7F])
_INTERMEDIATE = re.compile(r"[ -/]+\Z")
_DELETE = "\x7f"
_TERMINATORS = "\x07\x9c"


class Listener(Protocol):
    """What the parser tells of."""

    def draw(self, data: str) -> None:
        """Write text that holds no control character."""

    def control(self, character: str) -> None:
        """Obey one control character."""

    def escape(self, name: str) -> None:
        """Obey an escape sequence, of which ``name`` is what follows ESC."""

    def function(self, name: str, parameters: str) -> None:
        """Obey a CSI: ``name`` is its private mark, what stands before the final byte, and that."""


class Parser:
    """Feeds a :class:`Listener` from text that was cut anywhere."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.reset()

    def reset(self) -> None:
        """Forget what is unfinished."""
        self._carry = ""
        self._until: re.Pattern[str] | None = None

    @property
    def between(self) -> bool:
        """Whether nothing is unfinished: what comes next begins something new."""
        return not self._carry and self._until is None

    def feed(self, data: str) -> None:
        """Take the next piece of the stream."""
        data = self._carry + data
        start = self._skip(data, 0) if self._until is not None else 0
        data, self._carry = _split(data[start:])
        if len(self._carry) > LIMIT:
            self._carry, self._until = "", _FINAL
        position = 0
        while position < len(data):
            match = _TOKEN.match(data, position)
            if match is None:
                # Not to be had by construction: every character is in some class.
                position += 1
                continue
            position = self._take(match, data)

    def _skip(self, data: str, position: int) -> int:
        """Return where the string or function that is being skipped ends."""
        until = self._until
        end = until.search(data, position) if until is not None else None
        if end is None:
            return len(data)
        self._until = None
        # What cuts it short begins something else and is looked at again.
        ends = "@" <= end[0] < _DELETE if until is _FINAL else end[0] in _TERMINATORS
        return end.end() if ends else end.start()

    def _take(self, match: re.Match[str], data: str) -> int:
        kind = match.lastgroup
        if kind == "text":
            self._listener.draw(match[0])
        elif kind == "final":
            self._function(match)
        elif kind == "string":
            self._until = _OSC_END if match[0] in _OSC else _STRING_END
            return self._skip(data, match.end())
        elif kind == "escape":
            self._listener.escape(match["escape"])
        else:
            self._listener.control(match[0])
        return match.end()

    def _function(self, match: re.Match[str]) -> None:
        body = match["parameters"]
        if not body.isprintable():
            # Terminals obey control characters inside a function.
            for character in body:
                if character < " ":
                    self._listener.control(character)
            body = body.translate(_CONTROLS)
        if not match["final"]:
            return
        mark = body[:1] if body[:1] in _MARKS else ""
        between = _INTERMEDIATE.search(body)
        end = between.start() if between else len(body)
        name = mark + (between[0] if between else "") + match["final"]
        self._listener.function(name, body[len(mark) : end])


def _split(data: str) -> tuple[str, str]:
    """Return ``data`` up to an unfinished function at its end, and that function."""
    start = max(data.rfind("\x1b"), data.rfind("\x9b"))
    if start < 0 or not _UNFINISHED.fullmatch(data, start):
        return data, ""
    return data[:start], data[start:]


def numbers(parameters: str) -> list[int]:
    """Return a function's parameters; what is left out or is no number is 0."""
    if not parameters:
        return []
    return [_number(part) for part in parameters.split(";", PARAMETERS)[:PARAMETERS]]


def _number(text: str) -> int:
    digits = text.partition(":")[0]
    return min(int(digits[-20:] or 0), LARGEST) if digits.isdecimal() and digits.isascii() else 0
