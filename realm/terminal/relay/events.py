"""Finds events in a program's output, and the focus in the user's input.

All of it is on the path between program and user, so a piece without events costs a few searches for single
bytes.

A sandbox marks where a turn of its agent begins and ends, and that its hook has news, by private modes that
no terminal knows (``SYN CSI ? 7325 l`` and ``h``, ``SYN CSI ? 7326 h``, see ``container/turns``), after a
control character that terminals ignore and programs do not write.  Anything in the sandbox can write the
same: a mark says only *that* something happened.
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
"""The first byte of every mark; programs do not write it."""
_BEGUN, _ENDED, _TOLD = (MARK + b"\x1b[?" + mode for mode in (b"7325l", b"7325h", b"7326h"))
_MARKS = re.compile(re.escape(MARK) + rb"\x1b\[\?(7325[hl]|7326h)")
_ESCAPES = (ESC, b"\x1b[27u")
_CTRL_C = re.compile(rb"\x03+|\x1b\[99;5u")
"""The keys that interrupt a turn, as terminals send them, without and with kitty's protocol."""
_BELL = b"\x07"
_ASCII = 0x80


class Event(IntEnum):
    """An event in a program's output."""

    BELL = auto()
    """It rang the terminal's bell."""
    BEGUN = auto()
    """The agent began a turn: it got a prompt."""
    ENDED = auto()
    """The agent ended a turn."""
    TOLD = auto()
    """The agent's hook has left news in the sandbox."""


_EVENTS = {_BEGUN: Event.BEGUN, _ENDED: Event.ENDED, _TOLD: Event.TOLD}


class Scanner:
    """Finds the events in a program's output, cut anywhere.

    ``happened`` is called with each kind of event, once for each piece of output.
    """

    def __init__(self, happened: Callable[[Event], object]) -> None:
        self._happened = happened
        self._lexer = Lexer()
        self._inside = False
        self.held = b""
        """The beginning of a mark, held back until the rest comes."""

    def feed(self, data: bytes) -> bytes:
        """Take the next output; return it without marks, and without the beginning of one at its end."""
        if MARK in data or self.held:
            data = self._take_marks(self.held + data)
        if _BELL in data or self._inside:
            if _BELL in [token.name for token in self._lexer.switches(data)]:
                self._happened(Event.BELL)
            # A bell inside a sequence that is cut here counts when the sequence is complete.
            self._inside = not self._lexer.between
        elif data and (ESC in data or data[-1] >= _ASCII or not self._lexer.between):
            self._lexer.skip(data)
        return data

    def rest(self) -> bytes:
        """Return what is held back, at the end of the output."""
        held, self.held = self.held, b""
        return held

    def _take_marks(self, data: bytes) -> bytes:
        """Remove and report the marks; hold back what may become one."""
        for place, event in sorted((data.rfind(mark), event) for mark, event in _EVENTS.items()):
            if place >= 0:
                self._happened(event)
        start = max(data.rfind(MARK), len(data) - len(_ENDED) + 1)
        self.held = data[start:] if any(mark.startswith(data[start:]) for mark in _EVENTS) else b""
        return _MARKS.sub(b"", data[: len(data) - len(self.held)])

    @property
    def between(self) -> bool:
        """Whether the output so far ends between sequences and characters, so that others may write now."""
        return self._lexer.between


class Focus:
    """Whether the user's terminal has the focus, by the reports among its keys.

    A terminal sends them (``CSI I`` and ``CSI O``) once the program has switched on mode 1004; until the
    first one :attr:`lost` is false.
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
    """A stream with a terminal, for the relay: marks are removed, events reported, the focus tracked.

    ``happened`` is called with each event, ``rewriter`` changes the output.  What is passed to :meth:`say` is
    read next, but only where the program's output is between two sequences and :attr:`settled` returns true.
    Whoever reads ``stream`` directly afterwards must first handle what is :attr:`unread`.
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
        """Called when Ctrl-C has been passed on."""
        self.interrupted = -math.inf
        """When a key was passed on that may interrupt a turn, by the monotonic clock."""
        self.fileno, self.parts, self.close_write = stream.fileno, stream.parts, stream.close_write

    @property
    def unread(self) -> bytes:
        """What has been read of the stream and is held back."""
        return self._ready + (self._rewriter.held if self._rewriter else b"") + self._scanner.held

    def say(self, word: bytes) -> None:
        """Queue ``word``, complete sequences, for the user's terminal, as soon as it disturbs nothing."""
        self._word = word

    def idle(self) -> bool:
        """Release what is held back when no output comes; return whether to call again."""
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
        """Return some output, ``b""`` at the end; raises BlockingIOError when there is none now."""
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
            raise BlockingIOError  # there was only a mark, and b"" would mean the end
        return data

    def send(self, data: bytes) -> int:
        """Send what can be sent of ``data`` at once, and note the terminal's reports in it."""
        taken = self.stream.send(data)
        self.focus.feed(data[:taken])
        is_ctrl_c = _CTRL_C.fullmatch(data[:taken]) is not None
        if is_ctrl_c or data[:taken] in _ESCAPES:
            self.interrupted = time.monotonic()
        if is_ctrl_c:
            self.pressed()
        return taken
