"""The user's side of a relay: keys, output, sizes and signals; or no user."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.terminal.relay.detach import value
from realm.terminal.relay.protocols import GONE, STDERR, STDOUT, Ended, OutputError, Reason
from realm.terminal.relay.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.relay.detach import Matcher
    from realm.terminal.relay.protocols import Pastes, Stream, UserTerminal
    from realm.terminal.relay.wakeup import Wakeup

HELD = 0.5
"""Seconds to hold back the beginning of the detach keys."""
CHUNK = 65536
"""Bytes read at a time from the user."""
TYPED = 65536
"""Bytes kept while the sandbox takes none; beyond that no more is read."""

_LONGEST = 4096
"""Bytes that may replace a key: a pipe takes them in one write."""
_PASTE, _PASTED = b"\x1b[200~", b"\x1b[201~"
"""What terminals put around a paste, where a program asks for it (mode 2004)."""


class Nobody:
    """The user's side when no user is attached."""

    fd: int | None = None
    answer: int | None = None
    typed = b""
    ended: Ended | None = None
    is_full = False

    def meet(self, stream: Stream) -> None:
        """Switch to another stream."""

    def take(self) -> None:
        """Read keys: there are none."""

    def answered(self) -> None:
        """Read a key's replacement: there is none."""

    def send(self) -> None:
        """Pass keys on: there are none."""

    def patience(self) -> float | None:
        """Return the seconds until keys have to be handled: ``None``, there are none."""
        return None

    def full(self) -> list[int]:
        """Return the descriptors that output waits for."""
        return []

    def show(self, target: int, data: bytes, *, flood: bool) -> None:
        """Show output: to no one."""

    def flush(self, writable: list[int]) -> None:
        """Write what is queued: nothing is."""

    def signal(self, number: int) -> Ended | None:
        """Return how a signal ends the relay."""
        return None if number == signal.SIGHUP else Ended(Reason.SIGNAL, number)

    def close(self) -> None:
        """Close what was opened: nothing was."""


class Attached:
    """The user at a terminal or a pipe: keys to the sandbox, output to the user, sizes and signals."""

    def __init__(
        self, terminal: UserTerminal, wakeup: Wakeup, matcher: Matcher,
        resize: Callable[[int, int], object], interrupt: Callable[[], object] | None,
        paste: Pastes | None = None,
    ) -> None:  # fmt: skip
        self._paste = paste
        self._terminal, self._wakeup, self._matcher = terminal, wakeup, matcher
        self._tell_size, self._interrupt = resize, interrupt
        self._writers = {STDOUT: Writer(terminal.stdout), STDERR: Writer(terminal.stderr)}
        self._held_until = 0.0
        self._open = False
        self.fd = terminal.stdin
        """The descriptor that keys come from; ``None`` at their end."""
        self.answer: int | None = None
        """The descriptor that a key's replacement comes from; ``None`` when none is expected."""
        self._key = self._later = b""
        """The replaced key, and what was typed after it."""
        self.typed = b""
        """Keys that the sandbox has not taken yet."""
        self.ended: Ended | None = None

    def meet(self, stream: Stream) -> None:
        """Switch to another stream, and set its terminal's size."""
        self._stream, self._open = stream, True
        if self.fd is None:
            self._end_input()
        self._resize()

    def close(self) -> None:
        """Drop what is queued and close what was opened."""
        if self.answer is not None:
            os.close(self.answer)
        for writer in self._writers.values():
            writer.close()

    # Keys -------------------------------------------------------------------------

    def take(self) -> None:
        """Read keys and pass them on."""
        if self.fd is None:
            return
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in GONE:
                raise
            data = b""
        if data:
            data, detached = self._matcher.feed(data)
            self._held_until = time.monotonic() + HELD
            self._pass_on(self._pasted(data, self._paste) if self._paste is not None else data)
            if detached:
                self.ended = Ended(Reason.SUSPENDED if self._matcher.suspended else Reason.DETACHED)
            return
        self.fd = None
        if self._terminal.is_raw:
            # In raw mode no key ends the input: end of file means that the terminal is gone.
            self.ended = Ended(Reason.HANGUP)
        elif not self.typed:
            self._end_input()

    def _pasted(self, data: bytes, paste: Pastes) -> bytes:
        """Return what to pass on now of what was typed or pasted; empty for a key that is being replaced."""
        if data.startswith(_PASTE) and data.endswith(_PASTED):
            return _PASTE + paste.text(data[len(_PASTE) : -len(_PASTED)]) + _PASTED
        if self.answer is not None or paste.key is None or value(data) != paste.key:
            return data
        self.answer, tells = os.pipe()
        self._key = data

        def ask() -> None:
            with contextlib.suppress(OSError), os.fdopen(tells, "wb", 0) as pipe:
                pipe.write(paste.image())

        threading.Thread(target=ask, daemon=True).start()
        return b""

    def answered(self) -> None:
        """Pass on a key's replacement, or the key itself, and what was typed after it."""
        if self.answer is None:
            return
        found = os.read(self.answer, _LONGEST)
        os.close(self.answer)
        self.answer, later, self._later = None, self._later, b""
        self._pass_on((_PASTE + found + _PASTED if found else self._key) + later)

    def patience(self) -> float | None:
        """Pass on what was held back for too long; return the seconds until the next check."""
        if not self._matcher.begun:
            return None
        left = self._held_until - time.monotonic()
        if left > 0:
            return left
        self._pass_on(self._matcher.release())
        return None

    def _pass_on(self, data: bytes) -> None:
        if self.answer is not None:
            self._later += data
        elif self._open and data:
            self.typed += data
            self.send()

    @property
    def is_full(self) -> bool:
        """Whether the queue of keys is full."""
        return len(self.typed) + len(self._later) >= TYPED

    def send(self) -> None:
        """Send the sandbox what it takes of the queued keys."""
        try:
            while self.typed:
                self.typed = self.typed[self._stream.send(self.typed) :]
        except BlockingIOError:
            return
        except OSError:
            # The program closed its input; its output is still wanted.
            self.typed, self._open = b"", False
            self.fd = self.fd if self._terminal.is_raw else None
            return
        if self.fd is None:
            self._end_input()

    def _end_input(self) -> None:
        if self._open:
            self._open = False
            with contextlib.suppress(OSError):
                self._stream.close_write()

    # Output -----------------------------------------------------------------------

    def full(self) -> list[int]:
        """Return the descriptors that output waits for."""
        return [writer.fileno() for writer in self._writers.values() if writer.full]

    def show(self, target: int, data: bytes, *, flood: bool) -> None:
        """Write output, and track its modes."""
        writer = self._writers[target]
        try:
            if self.ended is None:
                writer.push(data) if flood else writer.put(data)
        except OSError as error:
            self._hung_up(error)
        finally:
            # Tracked even if the write failed: undoing too much is safe.
            self._terminal.note(data)

    def flush(self, writable: list[int]) -> None:
        """Write what is queued for these descriptors."""
        for writer in self._writers.values():
            if writer.full and writer.fileno() in writable and self.ended is None:
                try:
                    writer.flush()
                except OSError as error:
                    self._hung_up(error)

    def _hung_up(self, error: OSError) -> None:
        """End the output because its reader is gone.  Raises :class:`OutputError` for any other error."""
        if error.errno not in GONE:
            raise OutputError(f"the output cannot be written: {error.strerror}") from error
        closed = error.errno == errno.EPIPE
        self.ended = Ended(Reason.CLOSED, signal.SIGPIPE) if closed else Ended(Reason.HANGUP)

    # Signals ----------------------------------------------------------------------

    def signal(self, number: int) -> Ended | None:
        """Handle a signal; return how it ends the relay, if it does."""
        if number == signal.SIGWINCH:
            self._resize()
        elif number == signal.SIGCONT:
            self._continue()
        elif number == signal.SIGTSTP:
            self._terminal.suspend()
            self._wakeup.default(signal.SIGTSTP)
            self._continue()
        elif number == signal.SIGINT and self._interrupt is not None and not self._terminal.is_raw:
            self._interrupt()
        else:
            return Ended(Reason.SIGNAL, number)
        return None

    def _continue(self) -> None:
        # The program must redraw a screen that it did not leave: a size that changes and changes back makes
        # it draw everything.
        self._resize(by=-1 if self._terminal.resume() else 0)

    def _resize(self, by: int = 0) -> None:
        rows, columns = self._terminal.size()
        with contextlib.suppress(RealmError):
            if by:
                self._tell_size(max(1, rows + by), columns)
            self._tell_size(rows, columns)
