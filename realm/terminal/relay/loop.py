"""The relay between the user's terminal and a box: one loop, no thread.

Nothing is read from one side before the other side has taken what was read
last, so memory stays the same whatever the amount and however slow a reader
is.  Signals reach the loop through a wakeup descriptor.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.terminal.relay.broken import Silence, joined
from realm.terminal.relay.detach import Matcher
from realm.terminal.relay.input import KEYS, Input
from realm.terminal.relay.output import Output
from realm.terminal.relay.pace import PIECE
from realm.terminal.relay.sides import MARK, Ended, Hooks, Reason, Seat, Stream
from realm.terminal.relay.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

QUIET = 0.02
"""Seconds without any traffic after which ``idle`` is called."""

_QUIET_MS = int(QUIET * 1000)
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def relay(
    box: Stream,
    terminal: Seat,
    *,
    tap: Callable[[bytes], object],
    resize: Callable[[int, int], object],
    begin: Callable[[], object] | None = None,
    interrupt: Callable[[], object] | None = None,
    idle: Callable[[], bool] | None = None,
    watch: Mapping[int, Callable[[], bool]] | None = None,
    alive: Callable[[], bool] | None = None,
    again: Callable[[], Stream | None] | None = None,
    detach: tuple[int, ...] = (),
) -> Ended:
    """Carry bytes both ways until one side is done; return why.

    End of input closes the box's input only.  What is called, and when, stands
    in :class:`~realm.terminal.relay.sides.Hooks`.  ``detach`` is a sequence from
    :func:`realm.terminal.relay.detach.parse`.  Signal handlers, and the flags of the
    user's descriptors, are afterwards what they were.  An interrupt during
    ``begin`` ends the relay; later ones go to ``interrupt`` where there is one.
    To be called in the main thread; raises EngineError when frames are
    malformed, and what ``begin`` raises.
    """
    hooks = Hooks(tap, resize, begin, interrupt, idle, watch or {}, alive, again)
    stops = (signal.SIGTSTP,) if terminal.is_raw else ()
    with Wakeup((*_ENDING, signal.SIGWINCH, signal.SIGCONT, *stops)) as wakeup:
        if hooks.begin is not None:
            hooks.begin()
            if wakeup.has(signal.SIGINT):
                # Passed on now it could be lost: a box's init forwards nothing before its program is a group.
                return Ended(Reason.SIGNAL, signal.SIGINT)
        matcher = Matcher(detach)

        def carry(box: Stream) -> Ended:
            loop = _Loop(box, terminal, hooks, wakeup, matcher)
            try:
                return loop.run()
            finally:
                loop.close()

        return joined(box, carry, hooks.again)


class _Loop:
    """The state of one relay."""

    def __init__(self, box: Stream, terminal: Seat, hooks: Hooks, wakeup: Wakeup, matcher: Matcher) -> None:
        self._box, self._box_fd = box, box.fileno()
        self._terminal, self._hooks, self._wakeup = terminal, hooks, wakeup
        self._keys = Input(box, terminal, matcher)
        self._output = Output(box, terminal, hooks.tap)
        self._watch = dict(hooks.watch)
        self._has_idle = self._working = hooks.idle is not None
        self._silence = Silence(hooks.alive)
        self._signalled: Ended | None = None

    def run(self) -> Ended:
        self._resize()
        while (ended := self._ended()) is None:
            self._step()
        return ended

    def _ended(self) -> Ended | None:
        return self._signalled or self._keys.ended or self._output.ended

    def close(self) -> None:
        self._output.close()

    # One round ----------------------------------------------------------------

    def _step(self) -> None:
        if self._keys.direct and self._output.direct and not self._is_ahead() and not self._carry():
            return
        pause = self._output.pace.wait()
        reads, writes = self._wanted(box=not pause)
        readable, writable, _ = select.select(reads, writes, (), pause or self._timeout())
        if not readable and not writable and not self._is_ahead():
            if not pause:
                self._idle()
            return
        self._working = self._has_idle
        if self._wakeup.fileno() in readable:
            self._take_signals()
        if self._keys.fd in readable:
            self._keys.take()
        if self._box_fd in writable:
            self._keys.flush()
        if self._ended() is None:
            self._to_user(readable, writable)
        self._visit(readable)

    def _to_user(self, readable: list[int], writable: list[int]) -> None:
        if writable:
            self._output.flush(writable, [self._wakeup.fileno(), *self._user()])
        if self._box_fd in readable or self._is_ahead():
            self._output.take()
        self._output.conclude()

    def _user(self) -> list[int]:
        return [] if self._keys.fd is None else [self._keys.fd]

    def _carry(self) -> bool:  # noqa: C901, PLR0912 - flat: see below
        """Carry keys and echoes until there is something else; return whether that has to be looked at.

        This is what a person waits for, most often in a process whose code has
        left the processor's caches: each call and each object less counts.  So
        all up to a write is done here, and all else when nobody waits for it.
        """
        keys, output, box = self._keys, self._output, self._box
        keys_fd, box_fd, plain = keys.fd, self._box_fd, select.POLLIN
        poll, read, send, write = self._poller().poll, os.read, box.send, output.write
        ordinary = keys.starts.isdisjoint
        rest = self._rest()
        rest_ms = None if rest is None else int(rest * 1000) + 1
        while True:
            ready = poll(_QUIET_MS if self._working else rest_ms)
            for fd, event in ready:
                if event != plain:
                    return True
                if fd == keys_fd:
                    try:
                        data = read(fd, KEYS)
                    except OSError as error:
                        goes_on = keys.failed(error)
                    else:
                        if data and ordinary(data):
                            try:
                                taken = send(data)
                            except OSError:
                                taken = 0  # met again, and dealt with, in a moment
                            goes_on = keys.passed(data, taken)
                        else:
                            goes_on = keys.pass_on(data)
                elif fd == box_fd and box.clear:
                    try:
                        data = read(fd, PIECE)
                    except OSError as error:
                        goes_on = output.failed(error)
                    else:
                        if data and MARK not in data:
                            try:
                                taken = write(data)
                            except OSError:
                                taken = 0
                            goes_on = output.passed(data, taken)
                        else:
                            goes_on = output.pass_on(data)
                else:
                    return True
                if not goes_on:
                    self._working = self._has_idle
                    output.conclude()
                    return False
            if not ready:
                self._idle()
                return False
            self._working = self._has_idle

    def _poller(self) -> select.poll:
        """Return what waits for all that can come; the user's side goes first."""
        poller = select.poll()
        for fd in (*self._user(), self._box_fd, self._wakeup.fileno(), *self._watch):
            poller.register(fd, select.POLLIN)
        return poller

    def _wanted(self, *, box: bool = True) -> tuple[list[int], list[int]]:
        reads, writes = [self._wakeup.fileno(), *self._watch], self._output.full()
        if self._output.open:
            if box and not writes:
                reads.append(self._box_fd)
            if self._keys.wanted:
                reads.extend(self._user())
            if self._keys.waiting:
                writes.append(self._box_fd)
        return reads, writes

    def _timeout(self) -> float | None:
        if self._is_ahead():
            return 0
        return QUIET if self._working else self._rest()

    def _rest(self) -> float | None:
        """Return the seconds for which nothing has to be done if nothing comes."""
        return self._silence.left() if self._output.silent else None

    def _is_ahead(self) -> bool:
        """Whether the stream holds bytes that its descriptor does not announce."""
        return self._output.open and self._box.pending() > 0 and not self._output.waiting

    def _idle(self) -> None:
        if self._output.silent and self._silence.is_lasting():
            self._output.end()
        while self._working and self._hooks.idle is not None:
            self._working = self._hooks.idle()
            reads, writes = self._wanted()
            if any(select.select(reads, writes, (), 0)):
                return

    def _visit(self, readable: list[int]) -> None:
        for fd in [fd for fd in self._watch if fd in readable]:
            if not self._watch[fd]():
                del self._watch[fd]

    # Signals ------------------------------------------------------------------

    def _take_signals(self) -> None:
        for number in self._wakeup.take():
            if number == signal.SIGWINCH:
                self._resize()
            elif number == signal.SIGCONT:
                self._continue()
            elif number == signal.SIGTSTP:
                self._suspend()
            elif number == signal.SIGINT and self._hooks.interrupt is not None and not self._terminal.is_raw:
                self._hooks.interrupt()
            else:
                self._signalled = Ended(Reason.SIGNAL, number)

    def _suspend(self) -> None:
        self._terminal.suspend()
        self._wakeup.default(signal.SIGTSTP)
        self._continue()

    def _continue(self) -> None:
        if self._terminal.resume():
            # The program has to draw on a screen that it did not leave: a size
            # that changes and comes back makes it draw everything.
            rows, columns = self._terminal.size()
            self._tell_size(max(1, rows - 1), columns)
        self._resize()

    def _resize(self) -> None:
        self._tell_size(*self._terminal.size())

    def _tell_size(self, rows: int, columns: int) -> None:
        with contextlib.suppress(RealmError):
            self._hooks.resize(rows, columns)
