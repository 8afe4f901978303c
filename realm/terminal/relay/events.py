"""What a program's output says in passing, and whether the user looks.

All of it stands on the path between program and user, so a piece of output that
holds nothing of interest costs a few searches for a single byte each.

A sandbox marks where a turn of its agent begins and ends, and that its hook has more
to say, by private modes that no terminal knows (``SYN CSI ? 7325 l`` and ``h``, ``SYN
CSI ? 7326 h``, see ``container/turns``), with a control character before them that
terminals ignore and programs do not write, to be found by.  Whatever runs in the
sandbox can write the same: a mark says *that* something happened and nothing else.
"""

from __future__ import annotations

import math
import re
import time
from enum import IntEnum, auto
from typing import TYPE_CHECKING

from realm.terminal.ansi.lexer import ESC, Lexer

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.relay.protocols import Stream
    from realm.terminal.relay.rewrite import Rewriter

MARK = b"\x16"
"""What every mark begins with; programs do not write it."""
_BEGUN, _ENDED, _TOLD = (MARK + b"\x1b[?" + mode for mode in (b"7325l", b"7325h", b"7326h"))
_MARKS = re.compile(re.escape(MARK) + rb"\x1b\[\?(7325[hl]|7326h)")
_ESCAPES = (ESC, b"\x1b[27u")
_CTRL_C = re.compile(rb"\x03+|\x1b\[99;5u")
"""The keys that end a turn, as a terminal sends them, and as one does that speaks kitty's protocol."""
_BELL = b"\x07"
_ASCII = 0x80


class Event(IntEnum):
    """What happens in a program's output."""

    BELL = auto()
    """It rings the bell of its terminal."""
    BEGUN = auto()
    """The agent has begun a turn: somebody gave it a prompt."""
    ENDED = auto()
    """The agent has ended a turn."""
    TOLD = auto()
    """The agent's hook has said something that lies in the sandbox."""


_EVENTS = {_BEGUN: Event.BEGUN, _ENDED: Event.ENDED, _TOLD: Event.TOLD}


class Scanner:
    """Finds the events in a program's output, however it was cut.

    ``happened`` is called for each, once for those of a kind in one piece.
    """

    def __init__(self, happened: Callable[[Event], object]) -> None:
        self._happened = happened
        self._lexer = Lexer()
        self._inside = False
        self.held = b""
        """The beginning of a mark that waits for the rest of it."""

    def feed(self, data: bytes) -> bytes:
        """Take the next output; return it without its marks, and without a mark's beginning at its end."""
        if MARK in data or self.held:
            data = self._take_marks(self.held + data)
        if _BELL in data or self._inside:
            if _BELL in [token.name for token in self._lexer.switches(data)]:
                self._happened(Event.BELL)
            # One inside a sequence that is cut here rings when the sequence is whole.
            self._inside = not self._lexer.between
        elif data and (ESC in data or data[-1] >= _ASCII or not self._lexer.between):
            self._lexer.skip(data)
        return data

    def rest(self) -> bytes:
        """Return what was held back, when no more output comes."""
        held, self.held = self.held, b""
        return held

    def _take_marks(self, data: bytes) -> bytes:
        """Take out the marks, say which there were, and hold back what may become one."""
        for place, event in sorted((data.rfind(mark), event) for mark, event in _EVENTS.items()):
            if place >= 0:
                self._happened(event)
        start = max(data.rfind(MARK), len(data) - len(_ENDED) + 1)
        self.held = data[start:] if any(mark.startswith(data[start:]) for mark in _EVENTS) else b""
        return _MARKS.sub(b"", data[: len(data) - len(self.held)])

    @property
    def between(self) -> bool:
        """Whether the output stands between two sequences and two characters: others may write now."""
        return self._lexer.between


class Focus:
    """Whether the user's terminal has the focus, from the reports among the keys.

    A terminal sends them (``CSI I`` and ``CSI O``) when the program has switched on
    mode 1004; until one has come nothing is known and :attr:`lost` is false.
    """

    _GAINED, _LOST = b"\x1b[I", b"\x1b[O"

    def __init__(self) -> None:
        self.lost = False
        self._tail = b""

    def feed(self, keys: bytes) -> None:
        """Take the next input."""
        if not self._tail and ESC not in keys:
            return
        keys = self._tail + keys
        gained, lost = keys.rfind(self._GAINED), keys.rfind(self._LOST)
        if gained != lost:
            self.lost = lost > gained
        self._tail = next((part for part in (b"\x1b[", ESC) if keys.endswith(part)), b"")


class Observed:
    """``stream``, one with a terminal, as the relay takes it: marks taken out, events told, focus noted.

    ``happened`` is called with each event, ``rewriter`` changes what has to be.
    What is given to :meth:`say` is read next, but only where the program's output
    stands between two sequences and :attr:`settled` returns true.  It is good as
    long as its stream: whoever goes on reading that otherwise has to be given
    what is :attr:`unread`.
    """

    tty = True

    def __init__(
        self, stream: Stream, happened: Callable[[Event], object], rewriter: Rewriter | None = None
    ) -> None:
        self.stream, self._rewriter = stream, rewriter
        self.settled: Callable[[], bool] = lambda: True
        self._scanner = Scanner(happened)
        self._word = self._ready = b""
        self.focus = Focus()
        self.pressed: Callable[[], object] = lambda: None
        """Called when Ctrl-C was passed on."""
        self.interrupted = -math.inf
        """When a key was passed on that may have ended a turn, by the monotonic clock."""
        self.fileno, self.parts, self.close_write = stream.fileno, stream.parts, stream.close_write

    @property
    def unread(self) -> bytes:
        """What was read of the stream and is held back."""
        return self._ready + (self._rewriter.held if self._rewriter else b"") + self._scanner.held

    def say(self, word: bytes) -> None:
        """Let the user's terminal have ``word``, complete sequences, as soon as it disturbs nothing."""
        self._word = word

    def idle(self) -> bool:
        """Let go of what was held back, when nothing comes; return whether to be called again."""
        if self._rewriter is None:
            return False
        self._ready += self._rewriter.release()
        return self._rewriter.is_holding

    def pending(self) -> int:
        """Return how many bytes there are that the descriptor does not announce."""
        word = len(self._word) if self._word and self._may_speak() else 0
        return len(self._ready) or self.stream.pending() or word

    def _may_speak(self) -> bool:
        holding = self._rewriter is not None and self._rewriter.is_holding
        return self._scanner.between and self.settled() and not holding

    def recv(self, size: int) -> bytes:
        """Return some output, ``b""`` when there will be no more; BlockingIOError when there is none."""
        if self._ready:
            ready, self._ready = self._ready, b""
            return ready
        if self._word and self._may_speak():
            word, self._word = self._word, b""
            return word
        data = self.stream.recv(size)
        if not data:
            rest = self._scanner.rest()
            return rest if self._rewriter is None else self._rewriter.feed(rest) + self._rewriter.rest()
        data = self._scanner.feed(data)
        if data and self._rewriter is not None:
            data = self._rewriter.feed(data)
        if not data:
            raise BlockingIOError  # a mark alone: no bytes would mean the end
        return data

    def send(self, data: bytes) -> int:
        """Take what goes of some keys, and note what the terminal reports among them."""
        taken = self.stream.send(data)
        self.focus.feed(data[:taken])
        is_ctrl_c = _CTRL_C.fullmatch(data[:taken]) is not None
        if is_ctrl_c or data[:taken] in _ESCAPES:
            self.interrupted = time.monotonic()
        if is_ctrl_c:
            self.pressed()
        return taken
