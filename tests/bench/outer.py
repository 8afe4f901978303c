"""A terminal for figures: one program on a pseudo-terminal, read as fast as it writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.measure import Place

ROWS, COLUMNS = 40, 120
_SIZE = 65536


class Outer:
    """A program on a pseudo-terminal of its own; a context manager that ends it."""

    def __init__(self, command: Sequence[str], place: Place) -> None:
        self.began = time.perf_counter()
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            _become(command, place)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._alive = True
        self.written = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._alive:
            # Killed, for a signal that it can catch it may pass on.
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)

    def type(self, keys: bytes) -> float:
        """Type, and return when (``time.perf_counter``)."""
        now = time.perf_counter()
        os.write(self._master, keys)
        return now

    def first(self, seconds: float = 60) -> float:
        """Return when the first byte came."""
        self._read(time.perf_counter() + seconds)
        return time.perf_counter()

    def expect(self, *markers: bytes, seconds: float = 60) -> float:
        """Read until every marker has come; return when; what came is in :attr:`written`."""
        end = time.perf_counter() + seconds
        while not all(marker in self.written for marker in markers):
            self._read(end)
        return time.perf_counter()

    def _read(self, end: float) -> None:
        if not select.select([self._master], [], [], max(0.0, end - time.perf_counter()))[0]:
            raise RuntimeError(f"waited in vain; last was {self.written[-2000:]!r}")
        try:
            self.written += os.read(self._master, _SIZE)
        except OSError as error:
            raise RuntimeError(f"the program ended; last was {self.written[-2000:]!r}") from error

    def flood(self, marker: bytes) -> None:
        """Read until the output ends in ``marker``, and forget it."""
        tail = b""
        while not tail.endswith(marker):
            chunk = os.read(self._master, _SIZE)
            tail = chunk if len(chunk) >= len(marker) else tail[-len(marker) :] + chunk

    def discard(self) -> None:
        """Read what is there and forget it."""
        while select.select([self._master], [], [], 0)[0]:
            os.read(self._master, _SIZE)

    def echo(self, key: bytes) -> float:
        """Type a key and return the seconds until the first byte came back."""
        self.discard()
        typed = self.type(key)
        os.read(self._master, _SIZE)
        return time.perf_counter() - typed

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        with contextlib.suppress(OSError):  # EIO: the last writer has gone
            while chunk := os.read(self._master, _SIZE):
                self.written += chunk
        self._alive = False
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def cpu(self) -> float:
        """Return the seconds of processor time that the program's threads have had."""
        files = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9

    def memory(self, kind: str) -> int:
        """Return the program's resident memory in bytes, ``VmRSS`` now or ``VmHWM`` at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(kind)) * 1024


def _become(command: Sequence[str], place: Place) -> None:
    try:
        os.chdir(place.directory)
        os.execvpe(command[0], list(command), dict(place.env))  # noqa: S606 - what is measured
    finally:
        os._exit(127)
