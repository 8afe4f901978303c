"""Writes to the user's descriptors without blocking.

``O_NONBLOCK`` belongs to the open file description, which the user's shell shares: setting it on standard
output would break the programs that run there next.  So terminals and pipes are opened a second time, sockets
get a flag with each call, and where neither is possible only as much is written at a time as a ready
descriptor takes at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import stat
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SAFE = min(512, select.PIPE_BUF)
"""Bytes that a descriptor takes at once when it is ready for writing (POSIX: PIPE_BUF, at least 512)."""
MOMENT = 0.005
"""Seconds that a write blocks at most; twice that when the timer fired just before it."""


class Writer:
    """A descriptor of the user's, and what could not be written to it yet.

    The queue holds no more than the last :meth:`put`: while :attr:`full` is set, read no further until
    :meth:`flush` has emptied it.  ``fd`` itself is never closed and its flags are never changed.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._own: int | None = None
        self._patient: _PatientWriter | None = None
        self._socket: socket.socket | None = None
        self._rest = memoryview(b"")
        self.write = self._open()
        """Writes what can be written at once, returns how many bytes; raises BlockingIOError for none."""

    def _open(self) -> Callable[[memoryview | bytes], int]:
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISSOCK(mode):
            connection = self._socket = socket.socket(fileno=os.dup(self._fd))
            return lambda data: connection.send(data, socket.MSG_DONTWAIT)
        if stat.S_ISREG(mode):
            return partial(os.write, self._fd)
        self._own = _reopen(self._fd)
        return self._write_little if self._own is None else partial(os.write, self._own)

    def _write_little(self, data: memoryview | bytes) -> int:
        if not select.select((), (self._fd,), (), 0)[1]:
            raise BlockingIOError
        return os.write(self._fd, data[:_SAFE])

    def fileno(self) -> int:
        """Return the descriptor to wait for until it can be written."""
        return self._fd

    @property
    def full(self) -> bool:
        """Whether something is queued."""
        return bool(self._rest)

    def put(self, data: bytes) -> None:
        """Write as much of ``data`` as possible at once, queue the rest.

        Raises OSError when nobody will ever read it (a closed pipe, a terminal that is gone).
        """
        self._rest = memoryview(bytes(self._rest) + data if self._rest else data)
        self.flush()

    def push(self, data: bytes) -> None:
        """Do as :meth:`put`, but wait a moment for a terminal to take all of it.

        Only in the main thread: it uses SIGALRM and the real-time timer.  Nothing but terminals is waited
        for.
        """
        if self._rest or self._own is None or not os.isatty(self._fd):
            self.put(data)
            return
        if self._patient is None:
            own = _reopen(self._fd)
            if own is None:
                self.put(data)
                return
            self._patient = _PatientWriter(own)
        self._rest = memoryview(data)
        with contextlib.suppress(BlockingIOError):
            self._rest = self._rest[self._patient.write(self._rest) :]

    def flush(self) -> None:
        """Write as much of the queue as possible; raises as :meth:`put`."""
        if self._rest:
            # Only one try: a partial write means full, and asking again would cost as much as writing.
            with contextlib.suppress(BlockingIOError):
                self._rest = self._rest[self.write(self._rest) :]

    def drain(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the reader to take everything; return whether it did."""
        deadline = time.monotonic() + seconds
        while self._rest:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select((), (self._fd,), (), left)
            self.flush()
        return True

    def close(self) -> None:
        """Drop the queue and close what was opened here."""
        self._rest = memoryview(b"")
        if self._patient is not None:
            self._patient.close()
            self._patient = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._own is not None:
            os.close(self._own)
            self._own = None


class _PatientWriter:
    """Writes a flood to a terminal, letting the kernel wait for the terminal, but only for a moment.

    A terminal takes a few kilobytes at a time.  Waiting for each with ``select`` costs as much again as
    writing; one blocking write does not.  A timer ends it where the terminal stalls, so that keys and signals
    are handled: the signal's handler makes the descriptor non-blocking.  It raises nothing, so no count of
    bytes is lost. ``own`` is a descriptor for the terminal that nobody shares; it is closed with this object.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._waits = False
        self._former: Any = signal.signal(signal.SIGALRM, self._stop)

    def write(self, data: memoryview | bytes) -> int:
        """Write what the terminal takes within a moment; return how many bytes.

        Raises BlockingIOError for none.
        """
        if not self._waits:
            os.set_blocking(self._own, True)
            self._waits = True
        # A repeating timer: the first signal may come before the write has begun.
        signal.setitimer(signal.ITIMER_REAL, MOMENT, MOMENT)
        try:
            return os.write(self._own, data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._waits = False
        with contextlib.suppress(OSError):
            os.set_blocking(self._own, False)

    def close(self) -> None:
        """Restore timer and signal, and close the descriptor."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._former if self._former is not None else signal.SIG_DFL)
        os.close(self._own)


def _reopen(fd: int) -> int | None:
    """Open what ``fd`` refers to a second time, non-blocking; ``None`` where that is impossible."""
    path = _path(fd)
    if path is None:
        return None
    try:
        own = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    if os.path.sameopenfile(fd, own):
        return own
    os.close(own)
    return None


def _path(fd: int) -> str | None:
    if os.isatty(fd):
        try:
            name = os.ttyname(fd)
        except OSError:
            return None
        # Opening the multiplexer would create a new pseudo-terminal.
        return None if name.endswith("ptmx") else name
    link = f"/proc/self/fd/{fd}"
    is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    return link if is_pipe and Path(link).exists() else None
