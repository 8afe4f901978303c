"""The relay between the user's terminal and a box: one loop, no thread.

Nothing is read from one side before the other side has taken what was read
last, so memory stays the same whatever the amount and however slow a reader
is.  Signals reach the loop through a wakeup descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
from functools import partial
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.terminal.detach import Matcher
from realm.terminal.frames import STDERR, STDOUT, Demux
from realm.terminal.outlet import Outlet
from realm.terminal.pace import LARGE, PIECE, Pace
from realm.terminal.sides import Ended, Hooks, Reason, Seat, Stream
from realm.terminal.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHUNK = 65536
"""Bytes read at a time."""
TYPED = 65536
"""Bytes of input kept while the box takes none; beyond that the user's side waits."""
QUIET = 0.02
"""Seconds without any traffic after which ``idle`` is called."""

_QUIET_MS = int(QUIET * 1000)
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO}


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
    detach: tuple[int, ...] = (),
) -> Ended:
    """Carry bytes both ways until one side is done; return why.

    End of input closes the box's input only.  What is called, and when, stands
    in :class:`~realm.terminal.sides.Hooks`.  ``detach`` is a sequence from
    :func:`realm.terminal.detach.parse`.  Signal handlers, and the flags of the
    user's descriptors, are afterwards what they were.  To be called in the main
    thread; raises EngineError when frames are malformed, and what ``begin``
    raises.
    """
    hooks = Hooks(tap, resize, begin, interrupt, idle, watch or {})
    stops = (signal.SIGTSTP,) if terminal.is_raw else ()
    with Wakeup((*_ENDING, signal.SIGWINCH, signal.SIGCONT, *stops)) as wakeup:
        if hooks.begin is not None:
            hooks.begin()
        loop = _Loop(box, terminal, hooks, wakeup, Matcher(detach))
        try:
            return loop.run()
        finally:
            loop.close()


class _Loop:
    """The state of one relay."""

    def __init__(self, box: Stream, terminal: Seat, hooks: Hooks, wakeup: Wakeup, matcher: Matcher) -> None:
        self._box, self._terminal, self._hooks, self._wakeup = box, terminal, hooks, wakeup
        self._matcher = matcher
        self._box_fd = box.fileno()
        self._recv: Callable[[int], bytes] = getattr(box, "recv", None) or partial(os.read, self._box_fd)
        self._send = box.send
        self._pending: Callable[[], int] | None = getattr(box, "pending", None)
        self._demux = None if box.tty else Demux()
        self._out, self._err = Outlet(terminal.stdout), Outlet(terminal.stderr)
        self._outlets = {STDOUT: self._out, STDERR: self._err}
        self._watch = dict(hooks.watch)
        self._typed = b""
        self._input_open = self._output_open = True
        self._stdin = terminal.stdin
        self._working = hooks.idle is not None
        self._pace = Pace()
        self._ended: Ended | None = None

    def run(self) -> Ended:
        self._resize()
        if self._stdin is None:
            self._close_input()
        while self._ended is None:
            self._step()
        return self._ended

    def close(self) -> None:
        for outlet in self._outlets.values():
            outlet.close()

    # One round ----------------------------------------------------------------

    def _step(self) -> None:
        if self._calm() and not self._carry():
            return
        pause = self._pace.wait()
        reads, writes = self._wanted(box=not pause)
        readable, writable, _ = select.select(reads, writes, (), pause or self._timeout())
        if not readable and not writable and not self._ahead():
            if not pause:
                self._idle()
            return
        self._working = self._hooks.idle is not None
        if self._wakeup.fileno() in readable:
            self._take_signals()
        if self._stdin in readable:
            self._from_user()
        if self._box_fd in writable:
            self._to_box()
        if writable:
            self._to_user(writable)
        if self._box_fd in readable or self._ahead():
            self._from_box()
        self._visit(readable)
        self._conclude()

    def _calm(self) -> bool:
        """Whether all that can come is a key, some output, a signal or a call."""
        held = self._typed or self._waiting() or self._ahead()
        return self._ended is None and self._output_open and not held and not self._pace.flood

    def _carry(self) -> bool:
        """Carry keys and echoes until there is something else; return whether that has to be looked at.

        This is what a person waits for, most often in a process whose code has
        left the processor's caches: each call and each object less counts.
        """
        stdin, box, plain = self._stdin, self._box_fd, select.POLLIN
        poll = self._poller().poll
        while True:
            ready = poll(_QUIET_MS if self._working else None)
            if not ready:
                self._idle()
                return False
            self._working = self._hooks.idle is not None
            for fd, event in ready:
                if event == plain and fd == stdin:
                    self._from_user()
                    if self._typed or self._ended is not None or self._stdin is None:
                        return False
                elif event == plain and fd == box:
                    self._from_box()
                    if not self._calm():
                        self._conclude()
                        return False
                else:
                    return True

    def _poller(self) -> select.poll:
        """Return what waits for all that can come; the user's side goes first."""
        poller = select.poll()
        for fd in (self._stdin, self._box_fd, self._wakeup.fileno(), *self._watch):
            if fd is not None:
                poller.register(fd, select.POLLIN)
        return poller

    def _wanted(self, *, box: bool = True) -> tuple[list[int], list[int]]:
        reads, writes = [self._wakeup.fileno(), *self._watch], []
        full = [outlet.fileno() for outlet in self._outlets.values() if outlet.full]
        writes.extend(full)
        if self._output_open:
            if box and not full:
                reads.append(self._box_fd)
            if self._stdin is not None and len(self._typed) < TYPED:
                reads.append(self._stdin)
            if self._typed:
                writes.append(self._box_fd)
        return reads, writes

    def _timeout(self) -> float | None:
        if self._ahead():
            return 0
        return QUIET if self._working else None

    def _ahead(self) -> bool:
        """Whether the stream holds bytes that its descriptor does not announce."""
        if self._pending is None or not self._output_open or not self._pending():
            return False
        return not self._waiting()

    def _idle(self) -> None:
        while self._working and self._hooks.idle is not None:
            self._working = self._hooks.idle()
            reads, writes = self._wanted()
            if any(select.select(reads, writes, (), 0)):
                return

    def _visit(self, readable: list[int]) -> None:
        for fd in [fd for fd in self._watch if fd in readable]:
            if not self._watch[fd]():
                del self._watch[fd]

    def _conclude(self) -> None:
        if self._ended is None and not self._output_open and not self._waiting():
            self._ended = Ended(self._last)

    def _waiting(self) -> bool:
        """Whether output waits for a reader of the user's."""
        return self._out.full or self._err.full

    # From the box to the user -------------------------------------------------

    _last = Reason.EOF

    def _from_box(self) -> None:
        flood = self._pace.flood
        try:
            chunk = self._recv(LARGE if flood else PIECE)
        except BlockingIOError:
            return
        except OSError:
            # A pty whose last program ended gives EIO, an engine that died resets.
            self._output_open, self._last = False, Reason.LOST
            return
        if flood:
            self._pace.took(len(chunk))
        if not chunk:
            self._output_open = False
        elif self._demux is None:
            self._pass(STDOUT, chunk)
        else:
            for target, data in self._demux.feed(chunk):
                self._pass(target, data)
        if not flood:
            # An echo is not kept waiting for the account.
            self._pace.took(len(chunk))

    def _pass(self, target: int, data: bytes) -> None:
        outlet = self._outlets[target]
        # The user sees it first: an echo is what is waited for.
        try:
            if self._ended is None:
                outlet.push(data) if self._pace.flood else outlet.put(data)
        except OSError as error:
            self._hung_up(error)
        finally:
            # Noted whatever became of it: the undo is on the safe side.
            self._terminal.note(data)
        self._hooks.tap(data)

    def _to_user(self, writable: list[int]) -> None:
        """Write what waits, and go on while the user takes it and nothing else moves.

        A terminal takes a few kilobytes at a time: this is the path of all
        output that is faster than the terminal.
        """
        reads = [self._wakeup.fileno()] if self._stdin is None else [self._wakeup.fileno(), self._stdin]
        while writable and self._ended is None:
            for outlet in self._outlets.values():
                if outlet.fileno() in writable:
                    self._flush(outlet)
            writes = [outlet.fileno() for outlet in self._outlets.values() if outlet.full]
            if not writes:
                return
            readable, writable, _ = select.select(reads, writes, (), QUIET)
            if readable:
                return

    def _flush(self, outlet: Outlet) -> None:
        if self._ended is None:
            try:
                outlet.flush()
            except OSError as error:
                self._hung_up(error)

    def _hung_up(self, error: OSError) -> None:
        """End: the user's reader is gone.  Raises every other error."""
        if error.errno not in _GONE:
            raise error
        self._ended = Ended(Reason.CLOSED if error.errno == errno.EPIPE else Reason.HANGUP)

    # From the user to the box -------------------------------------------------

    def _from_user(self) -> None:
        if self._stdin is None:
            return
        try:
            data = os.read(self._stdin, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _GONE:
                raise
            data = b""
        if not data:
            self._user_ended()
            return
        data, detached = self._matcher.feed(data)
        if self._input_open and data:
            try:
                taken = 0 if self._typed else self._send(data)
            except OSError:
                taken = 0  # met again, and dealt with, in a moment
            if taken < len(data):
                self._typed += data[taken:]
                self._to_box()
        if detached:
            self._ended = Ended(Reason.DETACHED)

    def _user_ended(self) -> None:
        self._stdin = None
        if self._terminal.is_raw:
            # In raw mode no key ends the input: the terminal itself is gone.
            self._ended = Ended(Reason.HANGUP)
        elif not self._typed:
            self._close_input()

    def _to_box(self) -> None:
        try:
            while self._typed:
                self._typed = self._typed[self._send(self._typed) :]
        except BlockingIOError:
            return
        except OSError:
            # The program closed its input; what it still says is wanted.
            self._typed, self._input_open = b"", False
            self._stdin = self._stdin if self._terminal.is_raw else None
            return
        if self._stdin is None:
            self._close_input()

    def _close_input(self) -> None:
        if self._input_open:
            self._input_open = False
            with contextlib.suppress(OSError):
                self._box.close_write()

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
                self._ended = Ended(Reason.SIGNAL, number)

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
