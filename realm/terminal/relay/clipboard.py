"""What an agent may do with the clipboard of its user's terminal (OSC 52): as a rule nothing.

A terminal that knows ``OSC 52 ; Pc ; Pd ST`` (xterm's ctlseqs) puts Pd on the clipboard, or
answers with what is on it where Pd is a question mark.  What an agent puts there the user may
paste into a shell; what it reads there may be a password.
"""

from __future__ import annotations

import re

_NOTHING = rb"[\x00-\x06\x0e-\x17\x19\x1c-\x1f]*"
"""Control characters that terminals pass over in a sequence."""
_NUMBER = rb"\x1b\]" + _NOTHING + rb"(?:0" + _NOTHING + rb")*5" + _NOTHING + rb"2" + _NOTHING + rb";"
_ANY = re.compile(_NUMBER)
_QUESTION = re.compile(_NUMBER + rb"[^;\x07\x18\x1a\x1b]{0,64};" + _NOTHING + rb"\?")
_OPEN = re.compile(
    rb"\x1b(?:\]" + _NOTHING + rb"(?:0" + _NOTHING + rb")*(?:5" + _NOTHING + rb"(?:2" + _NOTHING
    + rb"(?:;[^;\x07\x18\x1a\x1b]{0,64}(?:;" + _NOTHING + rb")?)?)?)?)?\Z"
)  # fmt: skip
_END = re.compile(rb"[\x07\x18\x1a]|\x1b\\|\x1b(?=[^\\])", re.DOTALL)
_LONGEST = 256
"""Bytes of a beginning that are held back."""


class Clipboard:
    """Takes requests to the clipboard out of output, however it is cut.

    With ``writes`` those that put something there pass, and those that ask for it do not.
    """

    def __init__(self, *, writes: bool = False) -> None:
        self._unwanted = _QUESTION if writes else _ANY
        self.held = b""
        self.is_inside = False
        """Whether the end of a request is waited for."""

    def feed(self, data: bytes) -> bytes:
        """Return the output without them."""
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
            found = self._unwanted.search(data)
            if found is None:
                break
            kept += data[: found.start()]
            data, self.is_inside = data[found.end() :], True
        opened = _OPEN.search(data, max(0, len(data) - _LONGEST))
        if opened:
            self.held = opened[0]
            data = data[: opened.start()]
        return bytes(kept + data)
