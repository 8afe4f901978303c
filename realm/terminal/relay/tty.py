"""The user's terminal: its size, raw mode and the way back, and repair after others' programs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from realm.terminal.ansi.modes import Modes
from realm.terminal.relay.writer import Writer
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.terminal.relay.protocols import Shown

FALLBACK = (24, 80)
"""Rows and columns when no terminal tells them."""
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_KEEP_TITLE, _BRING_TITLE_BACK = b"\x1b[22;0t", b"\x1b[23;0t"
_ASKED = 2.0
"""Seconds within which any terminal has answered, however far away it is."""
_FENCE, _ANSWERED = b"\x1b[c", re.compile(rb"\x1b\[\?[0-9;]*c")
"""A query that every terminal answers, after all earlier ones, and the pattern of its answer."""
_QUIET, _LONGEST = 0.05, 0.5
"""Seconds without a byte after which no answer is expected any more, and the limit for all of them."""
_KEEP_WHEEL = b"\x1b[?1007s"
"""Makes the terminal save whether its wheel sends arrow keys; undoing the modes restores it."""
"""xterm's stack of titles, which most terminals have and others ignore."""
_UNTITLED = ("linux", "dumb", None)
PATIENCE = 2.0
"""Seconds to wait for a terminal to take the bytes that restore it."""
UNDER_WAY = 0.05
"""Seconds for which a report may still arrive that a terminal sent before it was told to stop."""


class Terminal:
    """Standard input, output and error as the user's side of a relay.

    ``tty`` says whether a program with a terminal is shown here (default: if possible).  Without ``stdin``
    nothing is read.
    """

    def __init__(
        self, *, tty: bool | None = None, stdin: bool = True, descriptors: tuple[int, int, int] = (0, 1, 2)
    ) -> None:
        self._descriptors = descriptors
        self.stdin = descriptors[0] if stdin else None
        _, self.stdout, self.stderr = descriptors
        self._tty = self.interactive if tty is None else tty and self.interactive
        self._saved: list[Any] | None = None
        self._shown: Shown | None = None
        self._suspended = False
        self.is_left = False
        """Whether the program goes on without this terminal; its last screen is then not left here."""
        self._title = b""
        self.modes = Modes()

    @property
    def interactive(self) -> bool:
        """Whether a person can use a full-screen program: input and output are terminals."""
        return self.stdin is not None and os.isatty(self.stdin) and os.isatty(self.stdout)

    @property
    def is_raw(self) -> bool:
        """Whether keys go to the sandbox unchanged (see :meth:`raw`)."""
        return self._saved is not None

    def size(self) -> tuple[int, int]:
        """Return rows and columns; 24 and 80 when unknown."""
        stdin, stdout, stderr = self._descriptors
        sizes = (_window(fd) for fd in (stdout, stdin, stderr))
        size = next((size for size in sizes if size is not None), FALLBACK)
        self.modes.resize(size[0])
        return size

    def note(self, data: bytes) -> None:
        """Track what a program switches on in this terminal (see :attr:`modes`)."""
        if self._saved is not None:
            self.modes.feed(data)

    @contextmanager
    def raw(self, shown: Shown | None = None, title: bytes = b"") -> Iterator[None]:
        """Keep the terminal in raw mode until the block ends, in whatever way.

        Do nothing where no program is shown.  Afterwards the line settings are restored, the modes that are
        still on (:attr:`modes`) are switched off, and the cursor is in an empty line below what was
        ``shown``.  If the program ended on its alternate screen, the text of that is written to the main
        screen, so that it stays readable.  ``title`` is the window's title meanwhile; then the user's own
        returns where the terminal has saved it, else it is empty.
        """
        if not self._tty or self.stdin is None:
            yield
            return
        self._saved = termios.tcgetattr(self.stdin)
        self._shown, self._suspended = shown, False
        try:
            self._make_raw(self.stdin)
            self._title = title if os.environ.get("TERM") not in _UNTITLED else b""
            self._entitle()
            yield
        finally:
            # A second signal must not end the process between here and the restoring.
            with _held(*_ENDING):
                try:
                    if not self._suspended:
                        self._leave(stays=not self.is_left)
                finally:
                    self._saved = None

    def _entitle(self) -> None:
        if self._title:
            sequence = b"\x1b]0;%b\x07" % self._title
            self.modes.feed(sequence)
            self._write(_KEEP_WHEEL + _KEEP_TITLE + sequence)

    def show(self, words: bytes) -> None:
        """Write something that does not move the cursor, such as a bell."""
        self._write(words)

    def draw(self, drawing: bytes) -> None:
        """Draw what a program already shows; only inside :meth:`raw`.

        The modes that it switches on must be in :attr:`modes` already: noted twice, pushed keyboard modes
        would be popped twice.  A program on the main screen gets an empty one: the user's lines are scrolled
        up out of its way.
        """
        if drawing and not self.modes.alternate:
            drawing = b"\r\x1b[J" + b"\n" * (self.size()[0] - 1) + b"\x1b[H" + drawing
        self._write(drawing)

    def suspend(self) -> None:
        """Restore the terminal for a while, before a stop by the shell; only inside :meth:`raw`."""
        if self._saved is not None and not self._suspended:
            self._leave(stays=False)
            self._suspended = True

    def resume(self) -> bool:
        """Take the terminal over again after a stop; return whether the program must redraw."""
        if self._saved is None or self.stdin is None or not _in_foreground(self.stdin):
            return False
        try:
            self._make_raw(self.stdin)
        except termios.error:
            # The terminal is gone: the next read will tell.
            return False
        was_suspended, self._suspended = self._suspended, False
        if was_suspended:
            self._entitle()
            if self._shown is not None:
                self.draw(self._shown.drawing())
            else:
                self._write(self.modes.redo())
        return was_suspended

    def _make_raw(self, stdin: int) -> None:
        # TCSADRAIN, not tty.setraw's TCSAFLUSH: what is typed ahead is for the program.
        tty.setraw(stdin, termios.TCSADRAIN)

    def _leave(self, *, stays: bool) -> None:
        """Restore the terminal; with ``stays``, an alternate screen that is on is left as text."""
        if self.stdin is None or not _in_foreground(self.stdin):
            # Another program has the terminal now, with its own settings from the shell.
            return
        try:
            if time.monotonic() - self.modes.asked < _ASKED:
                self._drop_answers(self.stdin)
            alternate = self.modes.alternate
            self._write(self.modes.undo() + (_BRING_TITLE_BACK if self._title else b""))
            if self._shown is None:
                pass
            elif not alternate:
                self._write(b"\r" + b"\n" * self._shown.below())
            elif stays:
                self._write(_lines(self._shown.text()))
        finally:
            self._restore(self.stdin, discard=self.modes.talking)

    def _drop_answers(self, stdin: int) -> None:
        """Read and drop the terminal's answers to queries of a program that no longer reads them."""
        self._write(_FENCE)
        deadline, found = time.monotonic() + _LONGEST, b""
        while (left := deadline - time.monotonic()) > 0:
            pause = _QUIET if _ANSWERED.search(found) else left
            if not select.select([stdin], [], [], min(left, pause))[0]:
                return
            try:
                piece = os.read(stdin, 4096)
            except OSError:
                return
            if not piece:
                return
            found = (found + piece)[-4096:]

    def _write(self, data: bytes) -> None:
        """Write to the terminal; give up if it is gone or takes nothing."""
        if not data or not os.isatty(self.stdout):
            return
        try:
            writer = Writer(self.stdout)
        except OSError:
            return
        try:
            writer.put(data)
            writer.drain(PATIENCE)
        except OSError:
            pass
        finally:
            writer.close()

    def _restore(self, stdin: int, *, discard: bool) -> None:
        """Restore the line settings.

        ``discard`` drops unread input: a mouse report or an answer that no program reads would end up on the
        shell's command line.  Otherwise what was typed ahead is kept for the shell.
        """
        how = termios.TCSAFLUSH if discard else termios.TCSADRAIN
        if discard:
            time.sleep(UNDER_WAY)
        # Without this, a process in the background would be stopped here.
        with _held(signal.SIGTTOU), contextlib.suppress(termios.error):
            termios.tcsetattr(stdin, how, self._saved or [])


@contextmanager
def _held(*signals: signal.Signals) -> Iterator[None]:
    """Block signals until the block has ended."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _lines(text: str) -> bytes:
    """Return ``text`` cleaned, with line ends for a terminal in raw mode."""
    lines = clean(text, multiline=True).rstrip().splitlines()
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _window(fd: int) -> tuple[int, int] | None:
    """Return the size of terminal ``fd``; ``None`` when it has none or reports zero."""
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
        # It is not the controlling terminal, so there is no job control either; or it is gone.
        return True


# After a program that was killed -------------------------------------------------

_OFF = (9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, 2031, 1, 5, 6, 66, 69)
"""Private modes off in a fresh terminal: mouse, focus, paste, updates, colours, keypad, margins."""

RESET = b"".join([
    b"\x1b[<99u\x1b[=0u",  # kitty keys of the alternate screen, if it is on
    b"\x1b[?1047l",  # the main screen; 1049 would move the cursor of a terminal that is on it already
    b"\x1b[<99u\x1b[=0u\x1b[>4;0m",  # kitty keys of the main screen, xterm's other keys
    *(b"\x1b[?%dl" % mode for mode in _OFF),
    b"\x1b[4l\x1b[20l\x1b[12h\x1b[?7h\x1b[?25h",  # replace, plain line feeds, wrap, a cursor
    b"\x1b>\x1b(B\x1b)B\x0f\x1b[0 q\x1b[0m",  # keypad, charsets, cursor's shape, colours
    b'\x1b[0"q\x1bW\x1b[?5W',  # nothing protected, tab stops
    b"\x1b[23;0t",  # the title that was put aside when ours was set, if one was
    # The whole screen scrolls.  This and some modes move the cursor, whose former position on the main screen
    # is unknown: only below everything do words overwrite nothing.
    b"\x1b[r\x1b[9999;1H\n",
])  # fmt: skip
"""Bytes that reset all modes, show nothing, and leave the cursor in an empty last line."""

_INPUT = termios.BRKINT | termios.ICRNL | termios.IXON | termios.IMAXBEL
_OUTPUT = termios.OPOST | termios.ONLCR
_LOCAL = termios.ISIG | termios.ICANON | termios.IEXTEN | termios.ECHO | termios.ECHOE | termios.ECHOK
_NOT_INPUT = termios.IGNBRK | termios.INLCR | termios.IGNCR | termios.ISTRIP
_NOT_LOCAL = termios.ECHONL | termios.NOFLSH | termios.TOSTOP


def sane(settings: Sequence[Any]) -> list[Any]:
    """Return line settings as a shell wants them; the keys (``stty``'s intr, erase, …) are kept."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = settings
    keys = list(characters)
    keys[termios.VMIN], keys[termios.VTIME] = b"\x01", b"\x00"
    return [
        (iflag | _INPUT) & ~_NOT_INPUT,
        oflag | _OUTPUT,
        cflag | termios.CREAD,
        (lflag | _LOCAL) & ~_NOT_LOCAL,
        ispeed,
        ospeed,
        keys,
    ]


def repair(descriptor: int, *, lines: bool = True) -> None:
    """Repair the terminal behind ``descriptor``; raises ``OSError`` or ``termios.error`` when it is none.

    Without ``lines`` the line settings change only if a program left them raw.
    """
    settings = termios.tcgetattr(descriptor)
    rest = memoryview(RESET)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    if lines or not settings[3] & termios.ICANON:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, sane(settings))
