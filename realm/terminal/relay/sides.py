"""What a relay stands between, what it calls, and how it ends."""

from __future__ import annotations

import errno
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MARK = b"\x16"
"""What every word of realm's among a box's output begins with; programs do not write it."""
GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO}
"""Errors that say that nobody is at the other end any more."""


class Stream(Protocol):
    """A box's side: what its program writes comes out, keys go in.

    With ``tty`` false the output comes in the engine's frames.  What is not the
    program's may stand between its output, behind a :data:`MARK`: ``recv``
    takes it out.  Where that would be an empty word, whoever reads can save the
    way and read the descriptor: see ``clear``.
    """

    @property
    def tty(self) -> bool:
        """Whether the box has a terminal; its output is framed otherwise."""

    @property
    def clear(self) -> bool:
        """Whether what the descriptor gives next is what :meth:`recv` would, if no :data:`MARK` is in it."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def recv(self, size: int, /) -> bytes:
        """Return some output, ``b""`` at the end; BlockingIOError when there is nothing."""

    def sift(self, data: bytes, /) -> bytes:
        """Do as :meth:`recv` with what somebody else has read of the descriptor."""

    def pending(self) -> int:
        """Return how many bytes there are that the descriptor does not announce."""

    def send(self, data: bytes, /) -> int:
        """Take what goes of ``data`` at once, without waiting; return how many bytes, or BlockingIOError."""

    def close_write(self) -> None:
        """End the input; output goes on."""


@runtime_checkable
class Listening(Protocol):
    """A stream that is to be told what passed it by: it takes that in when nobody waits any more."""

    def heard(self, data: bytes, /) -> None:
        """Take note of output that was read of the descriptor and not by ``recv`` or ``sift``."""

    def sent(self, data: bytes, /) -> None:
        """Take note of input that ``send`` took."""


class Seat(Protocol):
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


class Reason(StrEnum):
    """Why a relay ended."""

    EOF = "eof"
    """The box has ended its output."""
    LOST = "lost"
    """The connection to the box broke."""
    SIGNAL = "signal"
    """SIGTERM, SIGHUP or SIGINT arrived at this process."""
    DETACHED = "detached"
    """The user typed the detach keys."""
    HANGUP = "hangup"
    """The user's terminal is gone."""
    CLOSED = "closed"
    """Nobody reads the output any more (a closed pipe)."""


class Ended(NamedTuple):
    """How a relay ended; ``signal`` is the number with :attr:`Reason.SIGNAL`."""

    reason: Reason
    signal: int | None = None


class Hooks(NamedTuple):
    """What the relay calls.

    ``tap`` gets every piece of output on its way: it must be quick.  ``resize``
    gets rows and columns: once before the first byte, then at every change; a
    RealmError of it is ignored, for a box that just ended has no size.
    ``begin`` is called when signals are being collected and before the first
    ``resize``: the place to start the box.  ``interrupt`` gets a SIGINT that
    arrives outside raw mode; without it, SIGINT ends the relay.  ``idle`` is
    called when nothing moved for 20 ms, and again as long as it returns true:
    a piece of work of at most 2 ms.  ``watch`` maps further descriptors to
    what to do when they can be read; one that returns false is dropped.
    ``alive`` is asked now and then as long as the box has said nothing at all:
    its output ends when that is false.  ``again`` is called when the box's
    output has ended and returns another stream to go on with, if there is one.
    """

    tap: Callable[[bytes], object]
    resize: Callable[[int, int], object]
    begin: Callable[[], object] | None = None
    interrupt: Callable[[], object] | None = None
    idle: Callable[[], bool] | None = None
    watch: Mapping[int, Callable[[], bool]] = {}
    alive: Callable[[], bool] | None = None
    again: Callable[[], Stream | None] | None = None
