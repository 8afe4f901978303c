"""Keeps an agent away from the clipboard of the user's terminal (OSC 52), unless the user allows writing.

``OSC 52 ; Pc ; Pd ST`` (xterm's ctlseqs) puts Pd on the clipboard or, where Pd is a question mark, makes the
terminal send what is on it.  What an agent puts there the user may paste into a shell; what it reads there
may be a password.
"""

from __future__ import annotations

import re

_PASSED = rb"[\x00-\x06\x08-\x17\x19\x1c-\x1f\x7f]"
"""Control characters that terminals ignore or obey inside a sequence."""
_DIGIT = rb"[\x00-\x06\x08-\x17\x19\x1c-\x1f\x7f0-9]"
_TARGETS = rb"[^;\x07\x18\x1a\x1b]"
_COMMAND = re.compile(
    rb"\x1b(?:"
    + _PASSED
    + rb"{65}|"
    + _PASSED
    + rb"{0,64}\](?:"
    + _DIGIT
    + rb"{65}|("
    + _DIGIT
    + rb"{0,64});))"
)
"""The beginning of an OSC and its number; programs never write more than 64 of any such character in it."""
_ASKS = re.compile(
    _TARGETS + rb"{65}|" + _TARGETS + rb"*;" + _PASSED + rb"*\?|" + _TARGETS + rb"*;" + _PASSED + rb"{65}"
)
_OPEN = re.compile(
    rb"\x1b" + _PASSED + rb"{0,64}(?:\]" + _DIGIT + rb"{0,64}(?:;" + _TARGETS + rb"{0,64}(?:;" + _PASSED
    + rb"{0,64})?)?)?\Z"
)  # fmt: skip
_CLIPBOARD, _KITTYS = b"52", b"5522"
_END = re.compile(rb"[\x07\x18\x1a]|\x1b\\|\x1b(?=[^\\])", re.DOTALL)
_LONGEST = 512
"""The longest incomplete beginning that is held back, in bytes."""


class Clipboard:
    """Removes requests to the clipboard from output, cut anywhere.

    With ``writes``, requests that put something there pass, but none that read it.  kitty's own protocol
    (5522) never passes, since a separate request decides what one means.
    """

    def __init__(self, *, writes: bool = False) -> None:
        self._writes = writes
        self.held = b""
        self.is_inside = False
        """Whether a request has begun that has not ended."""

    def feed(self, data: bytes) -> bytes:
        """Return the output without the requests."""
        if not (self.is_inside or self.held or b"\x1b" in data):
            return data
        data, self.held = self.held + data, b""
        kept = bytearray()
        while data:
            if self.is_inside:
                end = _END.search(data)
                if end is None:
                    self.held = data[-1:] if data.endswith(b"\x1b") else b""
                    return bytes(kept)
                self.is_inside = False
                data = data[end.start() if end[0] == b"\x1b" else end.end() :]
            found = next(filter(self._is_unwanted, _COMMAND.finditer(data)), None)
            if found is None:
                break
            kept += data[: found.start()]
            data, self.is_inside = data[found.end() :], True
        opened = _OPEN.search(data, max(0, len(data) - _LONGEST))
        if opened:
            self.held = opened[0]
            data = data[: opened.start()]
        return bytes(kept + data)

    def _is_unwanted(self, command: re.Match[bytes]) -> bool:
        if command[1] is None:
            return True
        number = re.sub(rb"[^0-9]", b"", command[1]).lstrip(b"0")
        if number == _CLIPBOARD and self._writes:
            return _ASKS.match(command.string, command.end()) is not None
        return number in (_CLIPBOARD, _KITTYS)
