"""What a relay stands between, and how it ends."""

from __future__ import annotations

import errno
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Iterable

STDOUT, STDERR = 1, 2
GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO}
"""Errors that say that nobody is at the other end any more."""


class Stream(Protocol):
    """A sandbox's side: what its program writes comes out, keys go in."""

    @property
    def tty(self) -> bool:
        """Whether the sandbox has a terminal."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def recv(self, size: int, /) -> bytes:
        """Return some output, ``b""`` at the end; BlockingIOError when there is nothing."""

    def parts(self, data: bytes, /) -> Iterable[tuple[int, bytes]]:
        """Tell apart what of received ``data`` is standard output (1) and standard error (2)."""

    def pending(self) -> int:
        """Return how many bytes there are that the descriptor does not announce."""

    def send(self, data: bytes, /) -> int:
        """Take what goes of ``data`` at once, without waiting; return how many bytes, or BlockingIOError."""

    def close_write(self) -> None:
        """End the input; output goes on."""


class UserTerminal(Protocol):
    """The user's side: three descriptors (no input: ``None``), a size, and raw mode."""

    stdin: int | None
    stdout: int
    stderr: int

    @property
    def is_raw(self) -> bool:
        """Whether every key comes as a byte."""

    def size(self) -> tuple[int, int]:
        """Return rows and columns."""

    def note(self, data: bytes, /) -> None:
        """Take account of output on its way to the user."""

    def suspend(self) -> None:
        """Hand the terminal back before a stop."""

    def resume(self) -> bool:
        """Take it again; return whether the program must redraw."""


class Pastes(Protocol):
    """Who sees to what a user pastes."""

    @property
    def key(self) -> int | None:
        """The control key that asks for an image of the clipboard's; ``None`` for none."""

    def text(self, paste: bytes, /) -> bytes:
        """Return what is passed on in the place of what was pasted."""

    def image(self) -> bytes:
        """Return what is pasted in the place of the key, of 4096 bytes at most; nothing for the key itself.

        Called in a thread of its own.
        """


class Shown(Protocol):
    """What a program shows, for whoever takes its place in the terminal or goes back to it."""

    def text(self) -> str:
        """Return what a person would read."""

    def below(self) -> int:
        """Return how many rows under the cursor nothing is written any more; 0: the cursor's own is empty."""

    def drawing(self) -> bytes:
        """Return what draws it on an empty screen and switches its modes on."""


class Reason(StrEnum):
    """Why a relay ended."""

    EOF = "eof"
    """The sandbox has ended its output."""
    LOST = "lost"
    """The connection to the sandbox broke."""
    SIGNAL = "signal"
    """SIGTERM, SIGHUP or SIGINT arrived at this process."""
    DETACHED = "detached"
    """The user typed the detach keys."""
    SUSPENDED = "suspended"
    """The user typed Ctrl-Z, which was to end the relay."""
    HANGUP = "hangup"
    """The user's terminal is gone."""
    CLOSED = "closed"
    """Nobody reads the output any more (a closed pipe)."""
    TIMEOUT = "timeout"
    """There was more to come when the time was over."""


class OutputError(RealmError):
    """What the program writes cannot be written any further: a full disk, say."""


class Ended(NamedTuple):
    """How a relay ended; ``signal`` is the number with :attr:`Reason.SIGNAL`, SIGPIPE with ``CLOSED``."""

    reason: Reason
    signal: int | None = None
