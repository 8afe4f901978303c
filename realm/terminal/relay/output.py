"""From a box to the user: what its program writes is shown first, and taken account of after that."""

from __future__ import annotations

import contextlib
import errno
import select
from typing import TYPE_CHECKING

from realm.terminal.relay.frames import STDERR, STDOUT, Demux
from realm.terminal.relay.outlet import Outlet
from realm.terminal.relay.pace import Pace
from realm.terminal.relay.sides import GONE, Ended, Listening, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.relay.sides import Seat, Stream

_PATIENCE = 0.02
"""Seconds that a terminal is waited for while nothing else moves."""


class Output:
    """What comes from ``box``, on its way to ``terminal`` and, behind it, to ``tap``.

    Only one piece is on its way at a time: while :attr:`waiting`, no more may
    be taken.  :attr:`silent` is true until the box says something,
    :attr:`open` is false when it has no more, :attr:`ended`
    says how the relay ends when there is nobody, or nothing more, to show.
    """

    def __init__(self, box: Stream, terminal: Seat, tap: Callable[[bytes], object]) -> None:
        self._box, self._fd = box, box.fileno()
        self._note, self._tap = terminal.note, tap
        self._heard = box.heard if isinstance(box, Listening) else None
        self._demux = None if box.tty else Demux()
        self._out, self._err = Outlet(terminal.stdout), Outlet(terminal.stderr)
        self._outlets = {STDOUT: self._out, STDERR: self._err}
        self._last = Reason.EOF
        self.write = self._out.write
        """Writes what goes of some output at once and returns how many bytes."""
        self.pace = Pace()
        self.open = self.silent = True
        self.ended: Ended | None = None

    def close(self) -> None:
        """Drop what waits and give back what was opened for it."""
        for outlet in self._outlets.values():
            outlet.close()

    # What comes -----------------------------------------------------------------

    @property
    def direct(self) -> bool:
        """Whether output may go straight to :attr:`write` while the box's stream is clear."""
        return self._demux is None and self.open and not (self.waiting or self.pace.flood or self.ended)

    def take(self) -> None:
        """Take a piece of what came, if anything did, and show it."""
        try:
            data = self._box.recv(self.pace.size())
        except OSError as error:
            self.failed(error)
            return
        self._pass(data)

    def pass_on(self, data: bytes) -> bool:
        """Show what was read of the stream's descriptor, nothing at the end; return :attr:`direct`."""
        with contextlib.suppress(BlockingIOError):
            self._pass(self._box.sift(data))
        return self.direct

    def passed(self, data: bytes, taken: int) -> bool:
        """Take account of what was written, and keep what was not taken; return :attr:`direct`."""
        if taken < len(data):
            self._show(self._out, data, taken)
        else:
            self._note(data)
            self._tap(data)
        if self._heard is not None:
            self._heard(data)
        self.silent = False
        self.pace.took(len(data))
        return self.direct

    def failed(self, error: OSError) -> bool:
        """Take account of a failure to read; return :attr:`direct`."""
        # A pty whose last program ended gives EIO, an engine that died resets.
        if not isinstance(error, BlockingIOError):
            self.open, self._last = False, Reason.LOST
        return self.direct

    def _pass(self, data: bytes) -> None:
        self.silent = False
        flood = self.pace.flood
        if flood:
            self.pace.took(len(data))
        if not data:
            self.open = False
        elif self._demux is None:
            self._show(self._out, data)
        else:
            for target, part in self._demux.feed(data):
                self._show(self._outlets[target], part)
        if not flood:
            # An echo is not kept waiting for the account.
            self.pace.took(len(data))

    def _show(self, outlet: Outlet, data: bytes, shown: int = 0) -> None:
        """Write what is not ``shown`` yet, and take account of all of it."""
        try:
            if self.ended is None:
                outlet.push(data) if self.pace.flood else outlet.put(data[shown:])
        except OSError as error:
            self._hung_up(error)
        finally:
            # Noted whatever became of it: the undo is on the safe side.
            self._note(data)
        self._tap(data)

    # What waits -----------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether something waits for a reader of the user's."""
        return self._out.full or self._err.full

    def full(self) -> list[int]:
        """Return the descriptors that something waits for."""
        return [outlet.fileno() for outlet in self._outlets.values() if outlet.full]

    def flush(self, writable: list[int], others: list[int]) -> None:
        """Write what waits, and go on while the user takes it and none of ``others`` can be read.

        A terminal takes a few kilobytes at a time: this is the path of all
        output that is faster than the terminal.
        """
        while writable and self.ended is None:
            for outlet in self._outlets.values():
                if outlet.fileno() in writable:
                    self._flush(outlet)
            full = self.full()
            if not full:
                return
            readable, writable, _ = select.select(others, full, (), _PATIENCE)
            if readable:
                return

    def _flush(self, outlet: Outlet) -> None:
        if self.ended is None:
            try:
                outlet.flush()
            except OSError as error:
                self._hung_up(error)

    def _hung_up(self, error: OSError) -> None:
        """End: the user's reader is gone.  Raises every other error."""
        if error.errno not in GONE:
            raise error
        self.ended = Ended(Reason.CLOSED if error.errno == errno.EPIPE else Reason.HANGUP)

    def end(self) -> None:
        """Expect no more of the box."""
        self.open = False
        self.conclude()

    def conclude(self) -> None:
        """End when the box has no more and all of it is shown."""
        if self.ended is None and not self.open and not self.waiting:
            self.ended = Ended(self._last)
