"""The user's terminal: what it is, how big it is, raw mode and the way back."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from realm.terminal.outlet import Outlet
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FALLBACK = (24, 80)
"""Rows and columns where no terminal says otherwise."""
PATIENCE = 2.0
"""Seconds that a terminal is waited for to take what puts it right."""


class Account(Protocol):
    """What a program switched on in the terminal (:class:`realm.terminal.modes.Modes`)."""

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""

    @property
    def talking(self) -> bool:
        """Whether the terminal sends what nobody typed (mouse, focus, odd keys)."""

    def undo(self) -> bytes:
        """Return what switches off all that is on."""

    def redo(self) -> bytes:
        """Return what switches it on again."""


class Terminal:
    """Standard input, output and error as the user's side of a relay."""

    def __init__(self, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._saved: list[Any] | None = None
        self._account: Account | None = None
        self._suspended = False

    @property
    def interactive(self) -> bool:
        """Whether a person can talk to a full-screen program: input and output are terminals."""
        return os.isatty(self.stdin) and os.isatty(self.stdout)

    @property
    def is_raw(self) -> bool:
        """Whether keys go to the box unchanged (see :meth:`raw`)."""
        return self._saved is not None

    def size(self) -> tuple[int, int]:
        """Return rows and columns, 24 and 80 where nobody knows."""
        for fd in (self.stdout, self.stdin, self.stderr):
            size = _window(fd)
            if size is not None:
                return size
        return FALLBACK

    @contextmanager
    def raw(self, account: Account, last_screen: Callable[[], str] | None = None) -> Iterator[None]:
        """Raw mode until the block ends, in whatever way; nothing where input is no terminal.

        Afterwards the line settings are what they were and the modes that
        ``account`` says are still on are off.  If the program left its
        alternate screen on, ``last_screen()`` is written to the main screen,
        so that what it last showed can still be read.
        """
        if not os.isatty(self.stdin):
            yield
            return
        self._saved, self._account = termios.tcgetattr(self.stdin), account
        self._suspended = False
        try:
            self._make_raw()
            yield
        finally:
            try:
                if not self._suspended:
                    self._leave(last_screen)
            finally:
                self._saved = self._account = None

    def suspend(self) -> None:
        """Hand the terminal back for a while, as before a stop by the shell; only inside :meth:`raw`."""
        if self._saved is not None and not self._suspended:
            self._leave(None)
            self._suspended = True

    def resume(self) -> bool:
        """Take the terminal again after a stop; return whether the program must redraw."""
        if self._saved is None or not _in_foreground(self.stdin):
            return False
        was_suspended, self._suspended = self._suspended, False
        self._make_raw()
        if was_suspended and self._account is not None:
            self._write(self._account.redo())
        return was_suspended

    def _make_raw(self) -> None:
        # TCSADRAIN, not tty.setraw's TCSAFLUSH: what was typed ahead is meant for the program.
        try:
            tty.setraw(self.stdin, termios.TCSADRAIN)
        except termios.error:
            if self._saved is None or _in_foreground(self.stdin):
                raise

    def _leave(self, last_screen: Callable[[], str] | None) -> None:
        account = self._account
        if account is None or not _in_foreground(self.stdin):
            # Another program has the terminal now; the shell gave it its own settings.
            return
        talking = account.talking
        try:
            show = last_screen if account.alternate else None
            self._write(account.undo() + (_lines(show()) if show else b""))
        finally:
            self._restore(discard=talking)

    def _write(self, data: bytes) -> None:
        """Write to the terminal, giving up on one that is gone or takes nothing."""
        if not data or not os.isatty(self.stdout):
            return
        try:
            outlet = Outlet(self.stdout)
        except OSError:
            return
        try:
            outlet.put(data)
            outlet.drain(PATIENCE)
        except OSError:
            pass
        finally:
            outlet.close()

    def _restore(self, *, discard: bool) -> None:
        """Put the line settings back.

        ``discard`` drops unread input: a mouse report or the answer to a
        question that a program no longer reads would end up on the shell's
        command line.  Otherwise what was typed ahead is kept for the shell.
        """
        how = termios.TCSAFLUSH if discard else termios.TCSADRAIN
        # A process that is not in the foreground is stopped for this otherwise.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            termios.tcsetattr(self.stdin, how, self._saved or [])
        except termios.error:
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _lines(text: str) -> bytes:
    """Return ``text`` cleaned, as a terminal in raw mode wants it."""
    lines = clean(text, multiline=True).rstrip().splitlines()
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _window(fd: int) -> tuple[int, int] | None:
    """Ask ``fd`` for its size; ``None`` when it has none or says zero."""
    try:
        packed = fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8)
    except (OSError, ValueError):
        return None
    rows, columns, _, _ = struct.unpack("HHHH", packed)
    return (rows, columns) if rows and columns else None


def _in_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        # Not our controlling terminal, so no job control either; or it is gone.
        return True
