"""What is heard in passing: a ring of the bell, an agent's turns, and whether the user looks.

All of it stands on the path between program and user, so a piece of output that
holds nothing of interest costs a few searches for a single byte each.

A box marks where a turn of its agent begins and ends by a private mode that no
terminal knows (``SYN CSI ? 7325 l`` and ``h``, see ``container/entry``), with a control
character before it that terminals ignore and programs do not write, to be found
by.  Whatever runs in the box can write the same: a mark says *that* something
happened and nothing else.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = b"\x16"
"""What every mark begins with; programs do not write it."""
_BEGUN, _ENDED = MARK + b"\x1b[?7325l", MARK + b"\x1b[?7325h"
_MARKS = re.compile(re.escape(MARK) + rb"\x1b\[\?7325[hl]")

ESC, _BELL = b"\x1b", b"\x07"
# BEL ends an operating system command only; CAN, SUB and ESC end every string.
_OSC = rb"\][^\x07\x18\x1a\x1b]*"
_OTHER = rb"[P^_Xk][^\x18\x1a\x1b]*"
_STRINGS = re.compile(rb"\x1b(?:%b\x07?|%b)" % (_OSC, _OTHER))
_UNFINISHED = re.compile(rb"\x1b(?:\[[\x00-\x17\x19\x1c-\x1f\x7f0-?]*[ -/]*|%b|%b|[ -/]*)?" % (_OSC, _OTHER))
_HALF_A_CHARACTER = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_LONGEST_CHARACTER = 4


class Sound(IntEnum):
    """What an agent lets hear."""

    RING = auto()
    """The bell of its terminal."""
    BEGUN = auto()
    """It has begun a turn: somebody gave it a prompt."""
    ENDED = auto()
    """It has ended a turn."""


_SOUNDS = {_BEGUN: Sound.BEGUN, _ENDED: Sound.ENDED}


class Ears:
    """Listens to a program's output, however it was cut, and says what it hears.

    ``heard`` is called for each sound, once for those of a kind in one piece.
    """

    def __init__(self, heard: Callable[[Sound], object]) -> None:
        self._heard = heard
        self._open = b""
        self._edge = b""
        self._held = b""

    def hear(self, data: bytes) -> bytes:
        """Take the next output; return it without its marks, and without a mark's beginning at its end."""
        if MARK in data or self._held:
            data = self._take_marks(self._held + data)
        if _BELL in data and _BELL in _STRINGS.sub(b"", self._open + data):
            self._heard(Sound.RING)
        if self._open or ESC in data:
            self._follow(data)
        self._edge = (data if len(data) >= _LONGEST_CHARACTER else self._edge + data)[-_LONGEST_CHARACTER:]
        return data

    def rest(self) -> bytes:
        """Return what was held back, when no more output comes."""
        held, self._held = self._held, b""
        return held

    def _take_marks(self, data: bytes) -> bytes:
        """Take out the marks, say which there were, and hold back what may become one."""
        for place, sound in sorted((data.rfind(mark), sound) for mark, sound in _SOUNDS.items()):
            if place >= 0:
                self._heard(sound)
        start = max(data.rfind(MARK), len(data) - len(_ENDED) + 1)
        self._held = data[start:] if _ENDED.startswith(data[start:]) else b""
        return _MARKS.sub(b"", data[: len(data) - len(self._held)])

    def _follow(self, data: bytes) -> None:
        """Note what the output stops in: of an unfinished sequence its first bytes are enough."""
        start = data.rfind(ESC)
        tail = data if start >= 0 else self._open + data
        unfinished = _UNFINISHED.fullmatch(tail, max(start, 0))
        self._open = unfinished.group()[:2] if unfinished else b""

    @property
    def between(self) -> bool:
        """Whether the output stands between two sequences and two characters: others may write now."""
        return not self._open and not _HALF_A_CHARACTER.search(self._edge)


class Focus:
    """Whether the user's terminal has the focus, from the reports among the keys.

    A terminal sends them (``CSI I`` and ``CSI O``) when the program has switched on
    mode 1004; until one has come nothing is known and :attr:`lost` is false.
    """

    _GAINED, _LOST = b"\x1b[I", b"\x1b[O"

    def __init__(self) -> None:
        self.lost = False
        self.tail = b""
        """The beginning of a report, when the keys end in one."""

    def feed(self, keys: bytes) -> None:
        """Take the next input."""
        if not self.tail and ESC not in keys:
            return
        keys = self.tail + keys
        gained, lost = keys.rfind(self._GAINED), keys.rfind(self._LOST)
        if gained != lost:
            self.lost = lost > gained
        self.tail = next((part for part in (b"\x1b[", ESC) if keys.endswith(part)), b"")
