"""Detach keys: the sequence that leaves a sandbox running.

A control key is also recognised in the forms that terminals send once a program
has switched on the kitty keyboard protocol (``CSI 112;5u``) or xterm's
modifyOtherKeys (``CSI 27;5;112~``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SUSPEND = 0x1A
"""Ctrl-Z."""

_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
_KEY = re.compile(rb"\x1b\[[0-9;:]{1,24}[u~]|.", re.DOTALL)
_PARTIAL = re.compile(rb"\x1b\[[0-9][0-9;:]{0,23}\Z")
_KITTY = re.compile(rb"\x1b\[(\d+)(?::[\d:]*)?;(\d+)(?::(\d))?(?:;[\d:]*)?u")
_OTHER = re.compile(rb"\x1b\[27;(\d+);(\d+)~")
_LOCKS = 64 | 128
_CTRL = 4
_LAST_ASCII = 127
_ESC = 0x1B
_RELEASE = b"3"


class Matcher:
    """Finds the detach sequence in what a user types.

    Keys that may become the sequence are held back until the next key decides, or until :meth:`release`.
    ``suspend`` is called at each Ctrl-Z outside the sequence: when it returns true, input ends there and
    :attr:`suspended` is set.
    """

    def __init__(self, sequence: tuple[int, ...], suspend: Callable[[], bool] | None = None) -> None:
        self._sequence = sequence
        self._suspend = suspend
        self.suspended = False
        """Whether Ctrl-Z ended the input."""
        self._held: list[bytes] = []
        self._tail = b""
        starts = {_ESC, *sequence[:1], *([SUSPEND] if suspend else [])}
        self._starts = frozenset(starts if sequence or suspend else ())
        self.begun = False
        """Whether keys are held back."""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return the bytes to pass on and whether the sequence is complete."""
        if not self.begun and self._starts.isdisjoint(data):
            return data, False
        try:
            return self._look(data)
        finally:
            self.begun = bool(self._held or self._tail)

    def release(self) -> bytes:
        """Return the keys held back, when the rest of the sequence does not come in time."""
        held = b"".join(self._held) + self._tail
        self._held.clear()
        self._tail, self.begun = b"", False
        return held

    def _look(self, data: bytes) -> tuple[bytes, bool]:
        data, self._tail = self._tail + data, b""
        partial = _PARTIAL.search(data, max(0, len(data) - 32))
        if partial:
            data, self._tail = data[: partial.start()], partial[0]
        passed: list[bytes] = []
        for match in _KEY.finditer(data):
            if self._take(match.group(), passed):
                return b"".join(passed), True
        return b"".join(passed), False

    def _take(self, key: bytes, passed: list[bytes]) -> bool:
        pressed = value(key)
        if pressed is None and self._held and _is_release(key):
            self._held.append(key)
            return False
        depth = sum(not _is_release(held) for held in self._held)
        if pressed in self._sequence[depth : depth + 1]:
            self._held.append(key)
            return depth + 1 == len(self._sequence)
        passed.extend(self._held)
        self._held.clear()
        if pressed in self._sequence[:1]:
            self._held.append(key)
            return False
        self.suspended = pressed == SUSPEND and self._suspend is not None and self._suspend()
        if not self.suspended:
            passed.append(key)
        return self.suspended


def value(key: bytes) -> int | None:
    """Return the byte of a key, without any keyboard protocol; ``None`` for more than one key."""
    if len(key) == 1:
        return key[0]
    if match := _KITTY.fullmatch(key):
        code, modifiers, event = match.groups()
        return None if event == _RELEASE else _control(int(code), int(modifiers))
    if match := _OTHER.fullmatch(key):
        return _control(int(match[2]), int(match[1]))
    return None


def _control(code: int, modifiers: int) -> int | None:
    bits = (modifiers - 1) & ~_LOCKS
    character = chr(code) if code <= _LAST_ASCII else ""
    if bits == _CTRL and character and character.lower() in _CONTROL:
        return _CONTROL.index(character.lower())
    return code if bits == 0 and character else None


def _is_release(key: bytes) -> bool:
    match = _KITTY.fullmatch(key)
    return match is not None and match[3] == _RELEASE
