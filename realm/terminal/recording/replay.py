"""Shows a recording: on a terminal at its own pace, elsewhere at once."""

from __future__ import annotations

import math
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from realm.terminal.recording.cast import OUTPUT
from realm.terminal.recording.filter import Filter
from realm.terminal.relay.wakeup import Wakeup
from realm.terminal.relay.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realm.terminal.recording.cast import Moment
    from realm.terminal.relay.tty import Terminal

PATIENCE = 2.0
"""Seconds to wait at the end until the terminal has taken everything."""
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_INTERRUPT, _END, _PAUSE = b"\x03", b"q", b" "


def text(events: Iterable[Moment]) -> Iterator[str]:
    """Yield a recording's output, made harmless, and at the end what undoes its modes."""
    through = Filter()
    for event in events:
        if event.code == OUTPUT:
            yield through.feed(event.data)
    yield through.end()


def play(
    events: Iterable[Moment], terminal: Terminal, *, speed: float = 1.0, idle_limit: float = math.inf
) -> int:
    """Show a recording on ``terminal``; return the number of the signal that ended it, else 0.

    A ``speed`` above one is faster; a pause takes at most ``idle_limit`` seconds of the recording's time.
    The space bar pauses and continues, ``q`` ends it, Ctrl-C counts as SIGINT.  However it ends, its modes
    are undone.
    """
    through = Filter()
    with Wakeup(_ENDING) as wakeup, terminal.raw():
        stage = _Stage(terminal, wakeup)
        before = 0.0
        try:
            for event in events:
                stage.wait(min(event.time - before, idle_limit) / speed)
                before = event.time
                if event.code == OUTPUT:
                    stage.show(through.feed(event.data))
        except _EndedError as ended:
            return ended.number
        finally:
            stage.leave(through.end())
    return 0


class _EndedError(Exception):
    """The user, or a signal, ended it."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        self.number = number


class _Stage:
    """The terminal while a recording is shown."""

    def __init__(self, terminal: Terminal, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._keys = terminal.stdin if terminal.is_raw else None
        self._writer = Writer(terminal.stdout)
        self._due = time.monotonic()
        self._halted = False

    def wait(self, seconds: float) -> None:
        """Wait until ``seconds`` after the last event, and until the terminal has taken everything."""
        self._due += seconds
        self._step()
        while self._halted or self._writer.full or time.monotonic() < self._due:
            self._step()

    def show(self, data: str) -> None:
        """Write to the terminal without blocking."""
        try:
            self._writer.put(data.encode("utf-8", "replace"))
        except OSError:
            raise _EndedError(signal.SIGHUP) from None

    def leave(self, undo: str) -> None:
        """Undo what is on, and move to an empty line."""
        try:
            self._writer.put(f"{undo}\r\n".encode())
            self._writer.drain(PATIENCE)
        except OSError:
            # The terminal is gone, and its modes with it.
            pass
        finally:
            self._writer.close()

    def _step(self) -> None:
        reads = [self._wakeup.fileno(), *([self._keys] if self._keys is not None else [])]
        writes = [self._writer.fileno()] if self._writer.full else []
        left = None if self._halted or self._writer.full else max(0.0, self._due - time.monotonic())
        began = time.monotonic()
        readable, writable, _ = select.select(reads, writes, (), left)
        for number in self._wakeup.take() if self._wakeup.fileno() in readable else ():
            raise _EndedError(number)
        if self._halted:
            self._due += time.monotonic() - began
        if writable:
            self.show("")
        if self._keys in readable:
            self._take_keys()

    def _take_keys(self) -> None:
        try:
            keys = os.read(self._keys or 0, 1024)
        except OSError:
            keys = b""
        if not keys:
            raise _EndedError(signal.SIGHUP)
        if _INTERRUPT in keys:
            raise _EndedError(signal.SIGINT)
        if _END in keys:
            raise _EndedError
        if keys.count(_PAUSE) % 2:
            self._halted = not self._halted
