"""The interfaces of a relay's two sides, and how a relay ends."""

from __future__ import annotations

import errno
from enum import StrEnum
from signal import SIGHUP
from typing import TYPE_CHECKING, NamedTuple, Protocol

from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STDOUT, STDERR = 1, 2
GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO}
"""Errors that mean that the other end is closed."""


class Stream(Protocol):
    """The sandbox's side: its program's output comes out, keys go in."""

    @property
    def tty(self) -> bool:
        """Whether the sandbox has a terminal."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def recv(self, size: int, /) -> bytes:
        """Return some output, ``b""`` at the end; raises BlockingIOError when there is none now."""

    def parts(self, data: bytes, /) -> Iterable[tuple[int, bytes]]:
        """Split received ``data`` into standard output (1) and standard error (2)."""

    def pending(self) -> int:
        """Return how many bytes are buffered, which the descriptor does not announce."""

    def send(self, data: bytes, /) -> int:
        """Send what can be sent of ``data`` without blocking; return how many bytes.

        Raises BlockingIOError.
        """

    def close_write(self) -> None:
        """Close the input; output goes on."""


class UserTerminal(Protocol):
    """The user's side: three descriptors (no input: ``None``), a size, and raw mode."""

    stdin: int | None
    stdout: int
    stderr: int

    @property
    def is_raw(self) -> bool:
        """Whether every key arrives as it is typed."""

    def size(self) -> tuple[int, int]:
        """Return rows and columns."""

    def note(self, data: bytes, /) -> None:
        """Track the modes in output on its way to the user."""

    def suspend(self) -> None:
        """Restore the terminal before the process is stopped."""

    def resume(self) -> bool:
        """Take the terminal over again; return whether the program must redraw."""


class Pastes(Protocol):
    """Handles what a user pastes."""

    @property
    def key(self) -> int | None:
        """The control key that pastes the clipboard's image; ``None`` for none."""

    def text(self, paste: bytes, /) -> bytes:
        """Return what to pass on instead of the pasted text."""

    def image(self) -> bytes:
        """Return what to paste instead of the key, at most 4096 bytes; empty for the key itself.

        Called in a separate thread.
        """


class Shown(Protocol):
    """What a program shows, for whoever takes its place in the terminal or returns to it."""

    def text(self) -> str:
        """Return its readable text."""

    def below(self) -> int:
        """Return how many rows below the cursor everything is empty; 0 if the cursor's own row is."""

    def drawing(self) -> bytes:
        """Return the bytes that draw it on an empty screen and switch its modes on."""


class Reason(StrEnum):
    """Why a relay ended."""

    EOF = "eof"
    """The sandbox ended its output."""
    LOST = "lost"
    """The connection to the sandbox broke."""
    SIGNAL = "signal"
    """This process got SIGTERM, SIGHUP or SIGINT."""
    DETACHED = "detached"
    """The user typed the detach keys."""
    SUSPENDED = "suspended"
    """The user typed Ctrl-Z, and ``suspend`` let it end the relay."""
    HANGUP = "hangup"
    """The user's terminal is gone."""
    CLOSED = "closed"
    """The output's reader is gone (a closed pipe)."""
    TIMEOUT = "timeout"
    """The time was over before the output ended."""


OVER = {Reason.EOF, Reason.LOST}
"""The reasons that come from the sandbox's side."""


class OutputError(RealmError):
    """The program's output cannot be written any more: the disk is full, say."""


class Ended(NamedTuple):
    """How a relay ended; ``signal`` is the number with :attr:`Reason.SIGNAL`, SIGPIPE with ``CLOSED``."""

    reason: Reason
    signal: int | None = None

    def code(self, program: Callable[[], int]) -> int:
        """Return ``program()``, the exit code, or 128 plus the signal if the user's side ended first."""
        return program() if self.reason in OVER else 128 + (self.signal or SIGHUP)
