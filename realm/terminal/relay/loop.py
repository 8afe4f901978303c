"""The relay between the user's terminal, or no user, and a sandbox: one loop, no threads.

Nothing is read from one side before the other has taken what was read last, so memory is bounded whatever the
amount of data and however slow a reader is.  Signals reach the loop through a wakeup descriptor.
"""

from __future__ import annotations

import select
import signal
import time
from typing import TYPE_CHECKING

from realm.terminal.relay.detach import Matcher
from realm.terminal.relay.protocols import OVER, Ended, Reason
from realm.terminal.relay.user import Attached, Nobody
from realm.terminal.relay.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realm.terminal.relay.protocols import Pastes, Stream, UserTerminal

QUIET = 0.02
"""Seconds without any traffic after which ``idle`` is called."""
FIRST_LOOK, LAST_LOOK = 5.0, 60.0
"""Seconds of silence until a sandbox is checked for the first time, and the longest interval after that."""
LATE = 1.0
"""Seconds that the last words of a sandbox that is gone may take to come."""
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def relay(
    stream: Stream,
    terminal: UserTerminal,
    *,
    tap: Callable[[bytes], object],
    resize: Callable[[int, int], object],
    begin: Callable[[], object] | None = None,
    interrupt: Callable[[], object] | None = None,
    idle: Callable[[], object] | None = None,
    watch: Mapping[int, Callable[[], bool]] | None = None,
    alive: Callable[[], bool] | None = None,
    again: Callable[[], Stream | None] | None = None,
    detach: tuple[int, ...] = (),
    suspend: Callable[[], bool] | None = None,
    stalled: Callable[[], object] | None = None,
    paste: Pastes | None = None,
) -> Ended:
    """Carry bytes both ways until one side ends; return why.

    ``tap`` gets every piece of output, and must be quick.  ``resize`` gets rows and columns, once before the
    first byte, then at every change; its RealmErrors are ignored, as a sandbox that just ended has no size.
    ``begin`` is called once signals are collected, before the first ``resize``, to start the sandbox; an
    interrupt during it ends the relay, and later ones outside raw mode go to ``interrupt``, if given.
    ``idle`` is called after 20 ms without traffic.  ``watch`` maps further descriptors to what is called when
    they are readable; one whose callback returns false is dropped.  ``alive`` is called now and then while
    there has been no output at all; when it returns false, the output counts as ended.  ``again`` is called
    at the end of the output and may return another stream to continue with.  ``detach`` are the bytes of the
    detach keys; ``suspend`` decides at each Ctrl-Z whether it ends the relay instead of being passed on.
    ``stalled`` is called a second after a key that got no answer but an echo.  ``paste`` gets the text of a
    bracketed paste that comes in one piece; its key, typed alone, is held back with all later keys until
    there is an answer.

    End of input closes only the sandbox's input.  Afterwards signal handlers and the flags of the user's
    descriptors are what they were.  Call it in the main thread.  Raises EngineError for malformed frames, and
    what the callbacks raise.
    """
    stops = (signal.SIGTSTP,) if terminal.is_raw else ()
    with Wakeup((*_ENDING, signal.SIGWINCH, signal.SIGCONT, *stops)) as wakeup:
        if begin is not None:
            begin()
            if wakeup.has(signal.SIGINT):
                # Passed on now, it could be lost: an init forwards nothing before its program has a process
                # group.
                return Ended(Reason.SIGNAL, signal.SIGINT)
        user = Attached(terminal, wakeup, Matcher(detach, suspend), resize, interrupt, paste)
        return _Loop(stream, user, wakeup, tap, idle, watch, alive, again, stalled).run()


def drain(
    stream: Stream,
    *,
    tap: Callable[[bytes], object],
    idle: Callable[[], object] | None = None,
    watch: Mapping[int, Callable[[], bool]] | None = None,
    alive: Callable[[], bool] | None = None,
    again: Callable[[], Stream | None] | None = None,
    stalled: Callable[[], object] | None = None,
    seconds: float | None = None,
) -> Ended:
    """Take a sandbox's output while no user is attached, so that its program can go on.

    Return why that ended.  It ends with the output, with SIGTERM or SIGINT, or after ``seconds``; so the last
    words of a program that was told to stop are recorded.  ``stalled`` is called after 5 seconds of silence,
    then at longer intervals.  The rest is as in :func:`relay`.  The input stays open for whoever attaches
    later.  SIGHUP is ignored.
    """
    with Wakeup(_ENDING) as wakeup:
        return _Loop(stream, Nobody(), wakeup, tap, idle, watch, alive, again, stalled, seconds).run()


class _Loop:
    """The state of one relay."""

    def __init__(
        self, stream: Stream, user: Attached | Nobody, wakeup: Wakeup, tap: Callable[[bytes], object],
        idle: Callable[[], object] | None, watch: Mapping[int, Callable[[], bool]] | None,
        alive: Callable[[], bool] | None, again: Callable[[], Stream | None] | None,
        stalled: Callable[[], object] | None, seconds: float | None = None,
    ) -> None:  # fmt: skip
        self._stream, self._user, self._wakeup, self._tap = stream, user, wakeup, tap
        self._idle, self._watch, self._alive, self._again = idle, dict(watch or {}), alive, again
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._pace = Pace()
        self._doubt = Doubt(stalled, self._pace, alone=isinstance(user, Nobody))
        self._begin()

    def _begin(self) -> None:
        self._last: Reason | None = None
        self._silent, self._busy, self._gone = True, True, False
        self._gap = FIRST_LOOK
        self._look = time.monotonic() + FIRST_LOOK

    def run(self) -> Ended:
        try:
            while True:
                self._user.meet(self._stream)
                ended = self._carry()
                other = self._again() if self._again is not None and ended.reason in OVER else None
                if other is None:
                    return ended
                self._stream = other
                self._begin()
        finally:
            self._user.close()

    def _carry(self) -> Ended:
        while True:
            full = self._user.full()
            if self._last is not None and not full:
                return Ended(self._last)
            ended = self._step(full) or self._user.ended
            if ended is not None:
                return ended

    def _step(self, full: list[int]) -> Ended | None:
        """Wait for the next events and handle them; return how they end the relay, if they do."""
        user, stream = self._user, self._stream
        gather = self._pace.wait()
        wanted = self._last is None and not full
        ahead = wanted and stream.pending() > 0
        reads, writes = [self._wakeup.fileno(), *self._watch], list(full)
        if wanted and not gather:
            reads.append(stream.fileno())
        if user.fd is not None and not user.is_full:
            reads.append(user.fd)
        if user.answer is not None:
            reads.append(user.answer)
        if user.typed and self._last is None:
            writes.append(stream.fileno())
        readable, writable, _ = select.select(reads, writes, (), 0 if ahead else gather or self._timeout())
        if not (readable or writable or ahead):
            return None if gather else self._quiet()
        self._busy = True
        if self._wakeup.fileno() in readable:
            # All signals are handled; the first that ends the relay decides how.
            ends = [ended for number in self._wakeup.take() if (ended := user.signal(number))]
            if ends:
                return ends[0]
        self._move(readable, writable, ahead=ahead)
        for fd in [fd for fd in self._watch if fd in readable]:
            if not self._watch[fd]():
                del self._watch[fd]
        return None

    def _move(self, readable: list[int], writable: list[int], *, ahead: bool) -> None:
        """Carry what can be carried: keys first, since a user waits for their echo."""
        user, fd = self._user, self._stream.fileno()
        if user.fd in readable:
            user.take()
            self._doubt.typed()
        if user.answer in readable:
            user.answered()
        if fd in writable:
            user.send()
        if user.ended is None:
            user.flush(writable)
            if ahead or fd in readable:
                self._take()

    def _take(self) -> None:
        """Take a piece of output, if there is any, and show it."""
        try:
            data = self._stream.recv(self._pace.size())
        except BlockingIOError:
            return
        except OSError:
            # A pty without programs gives EIO, an engine that died resets the connection.
            self._last = Reason.LOST
            return
        self._silent = False
        if not data:
            self._last = Reason.EOF
            return
        flood = self._pace.flood
        for target, part in self._stream.parts(data):
            self._user.show(target, part, flood=flood)
            self._tap(part)
        self._pace.took(len(data))

    # When nothing comes -------------------------------------------------------------

    def _timeout(self) -> float | None:
        """Return the seconds until something has to be done if nothing comes; ``None`` for never."""
        waits = [self._user.patience(), self._doubt.wait()]
        if self._busy and self._idle is not None:
            waits.append(QUIET)
        now = time.monotonic()
        if self._silent and self._alive is not None:
            waits.append(max(0.0, self._look - now))
        if self._deadline is not None:
            waits.append(max(0.0, self._deadline - now))
        return min((wait for wait in waits if wait is not None), default=None)

    def _quiet(self) -> Ended | None:
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            return Ended(Reason.TIMEOUT)
        if self._silent and self._alive is not None and now >= self._look:
            # Engines sometimes leave the stream open of a container that was killed as it began.
            self._last = Reason.EOF if self._gone else None
            self._gone = self._gone or not self._alive()
            self._gap = min(2 * self._gap, LAST_LOOK)
            self._look = time.monotonic() + (LATE if self._gone else self._gap)
        self._doubt.look()
        if self._busy and self._idle is not None:
            self._busy = bool(self._idle())
        return None


class Doubt:
    """Decides when a silent program may have stopped itself, which nothing reports.

    With a user, that is a second after a key that got no more than an echo, which may be the terminal's own;
    without one (``alone``), after ever longer silences.  ``ask`` is called then.
    """

    ANSWER, ECHO = 1.0, 64
    """Seconds to wait for an answer to a key, and bytes that do not count as one."""
    FIRST, LAST = 5.0, 320.0
    """Seconds of silence, first and at most."""

    def __init__(self, ask: Callable[[], object] | None, pace: Pace, *, alone: bool) -> None:
        self._ask, self._pace, self._alone = ask, pace, alone
        self._since, self._gap = time.monotonic(), self.FIRST
        self._due: float | None = None
        self._heard = 0

    def typed(self) -> None:
        """Note that a key was typed."""
        if self._due is None:
            self._due, self._heard = time.monotonic() + self.ANSWER, self._pace.total

    def wait(self) -> float | None:
        """Return the seconds until it is time to ask; ``None`` for never."""
        if self._ask is None:
            return None
        if self._alone:
            if self._pace.last > self._since:
                self._since, self._gap = self._pace.last, self.FIRST
            return max(0.0, self._since + self._gap - time.monotonic())
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def look(self) -> None:
        """Ask, if it is time and there was no output."""
        if self._ask is None or self.wait() != 0:
            return
        self._due, silent = None, self._pace.total - self._heard <= self.ECHO
        self._since, self._gap = time.monotonic(), min(2 * self._gap, self.LAST)
        if silent or self._alone:
            self._ask()


class Pace:
    """Decides when to read the next piece of output: at once, but in a flood after a moment.

    Output comes in pieces of a few kilobytes, and each wakeup costs more than handling one.  A flood is
    therefore left to gather for up to four milliseconds; what a person waits for, an echo or a screen, never
    is.
    """

    FLOOD = 128 * 1024
    """Bytes without a pause that make a flood: no screen is that large."""
    BREATH = 0.012
    """Seconds without output that end a flood: less than between two frames of a film."""
    LONGEST, SHORTEST = 0.004, 0.0001
    """Seconds between two pieces of a flood; less than the shortest counts as none."""
    LITTLE, MUCH = 64 * 1024, 160 * 1024
    """Piece sizes in bytes that make the wait longer, or shorter; a socket holds 200 KB."""
    PIECE, LARGE = 64 * 1024, 256 * 1024
    """Bytes read at a time at most, normally and in a flood."""

    def __init__(self) -> None:
        self._burst = self.total = 0
        """``total`` is the number of bytes so far."""
        self.last = 0.0
        """When the last output came, by the monotonic clock."""
        self._gap = self.LONGEST
        self.flood = False
        """Whether output is flooding."""

    def took(self, count: int) -> None:
        """Note that ``count`` bytes just came."""
        now = time.monotonic()
        self._burst = count if now - self.last > self.BREATH else self._burst + count
        self.total += count
        self.last = now
        self.flood = self._burst >= self.FLOOD
        if count > self.MUCH:
            self._gap /= 2
        elif count < self.LITTLE:
            self._gap = min(max(self._gap, self.SHORTEST) * 1.5, self.LONGEST)

    def size(self) -> int:
        """Return how many bytes to read at a time."""
        return self.LARGE if self.flood else self.PIECE

    def wait(self) -> float:
        """Return the seconds to let output gather; 0 outside a flood."""
        if not self.flood or self._gap < self.SHORTEST:
            return 0.0
        return max(0.0, self.last + self._gap - time.monotonic())
