"""The user's side of a relay: keys, output, sizes and signals; or nobody."""

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
"""Seconds that the beginning of the detach keys waits for the rest of them."""
CHUNK = 65536
"""Bytes read at a time from the user."""
TYPED = 65536
"""Bytes kept while the sandbox takes none; beyond that the user's side waits."""

_LONGEST = 4096
"""Bytes of what is pasted in the place of a key: a pipe takes them in one piece."""
_PASTE, _PASTED = b"\x1b[200~", b"\x1b[201~"
"""What terminals put around what is pasted, where a program wants them to (mode 2004)."""


class Nobody:
    """The user's side where nobody is."""

    fd: int | None = None
    answer: int | None = None
    typed = b""
    ended: Ended | None = None
    is_full = False

    def meet(self, stream: Stream) -> None:
        """Take another stream."""

    def take(self) -> None:
        """Take what was typed: nothing."""

    def answered(self) -> None:
        """Take what stands in a key's place: nothing."""

    def send(self) -> None:
        """Pass on what was typed: nothing."""

    def patience(self) -> float | None:
        """Return the seconds until something is to be done about keys: there are none."""
        return None

    def full(self) -> list[int]:
        """Return the descriptors that output waits for."""
        return []

    def show(self, target: int, data: bytes, *, flood: bool) -> None:
        """Show output: nobody looks."""

    def flush(self, writable: list[int]) -> None:
        """Write what waits: nothing."""

    def signal(self, number: int) -> Ended | None:
        """Return how a signal ends the relay."""
        return None if number == signal.SIGHUP else Ended(Reason.SIGNAL, number)

    def close(self) -> None:
        """Give back what was opened: nothing."""


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
        """Where keys come from; ``None`` when no more do."""
        self.answer: int | None = None
        """Where what stands in the place of a key comes from; ``None`` when none waits for that."""
        self._key = self._later = b""
        """That key, and what was typed since."""
        self.typed = b""
        """Keys that the sandbox has not taken yet."""
        self.ended: Ended | None = None

    def meet(self, stream: Stream) -> None:
        """Take another stream, and tell its terminal the size of this one."""
        self._stream, self._open = stream, True
        if self.fd is None:
            self._end_input()
        self._resize()

    def close(self) -> None:
        """Drop what waits and give back what was opened for it."""
        if self.answer is not None:
            os.close(self.answer)
        for writer in self._writers.values():
            writer.close()

    # Keys -------------------------------------------------------------------------

    def take(self) -> None:
        """Take what was typed, and pass it on."""
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
            # In raw mode no key ends the input: the terminal itself is gone.
            self.ended = Ended(Reason.HANGUP)
        elif not self.typed:
            self._end_input()

    def _pasted(self, data: bytes, paste: Pastes) -> bytes:
        """Return what is passed on of what was typed or pasted; nothing of a key that waits for an answer."""
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
        """Pass on what stands in the place of a key, or the key, and what was typed since."""
        if self.answer is None:
            return
        found = os.read(self.answer, _LONGEST)
        os.close(self.answer)
        self.answer, later, self._later = None, self._later, b""
        self._pass_on((_PASTE + found + _PASTED if found else self._key) + later)

    def patience(self) -> float | None:
        """Pass on what was held back for too long; return the seconds until that is to be seen to again."""
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
        """Whether no more may be typed for now."""
        return len(self.typed) + len(self._later) >= TYPED

    def send(self) -> None:
        """Let the sandbox have what goes of what was typed."""
        try:
            while self.typed:
                self.typed = self.typed[self._stream.send(self.typed) :]
        except BlockingIOError:
            return
        except OSError:
            # The program closed its input; what it still says is wanted.
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
        """Write output, and take account of it."""
        writer = self._writers[target]
        try:
            if self.ended is None:
                writer.push(data) if flood else writer.put(data)
        except OSError as error:
            self._hung_up(error)
        finally:
            # Noted whatever became of it: the undo is on the safe side.
            self._terminal.note(data)

    def flush(self, writable: list[int]) -> None:
        """Write what waits for one of the descriptors."""
        for writer in self._writers.values():
            if writer.full and writer.fileno() in writable and self.ended is None:
                try:
                    writer.flush()
                except OSError as error:
                    self._hung_up(error)

    def _hung_up(self, error: OSError) -> None:
        """End: the user's reader is gone.  Raises :class:`OutputError` where it is not that."""
        if error.errno not in GONE:
            raise OutputError(f"the output cannot be written: {error.strerror}") from error
        closed = error.errno == errno.EPIPE
        self.ended = Ended(Reason.CLOSED, signal.SIGPIPE) if closed else Ended(Reason.HANGUP)

    # Signals ----------------------------------------------------------------------

    def signal(self, number: int) -> Ended | None:
        """Do what a signal asks for; return how it ends the relay, if it does."""
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
        # The program has to draw on a screen that it did not leave: a size
        # that changes and comes back makes it draw everything.
        self._resize(by=-1 if self._terminal.resume() else 0)

    def _resize(self, by: int = 0) -> None:
        rows, columns = self._terminal.size()
        with contextlib.suppress(RealmError):
            if by:
                self._tell_size(max(1, rows + by), columns)
            self._tell_size(rows, columns)
