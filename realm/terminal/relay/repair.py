"""Putting right a terminal that a killed program left behind, whatever it had switched on."""

from __future__ import annotations

import os
import termios
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_OFF = (9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026, 2031, 1, 5, 6, 66, 69)
"""Private modes that are off in a fresh terminal: mouse, focus, paste, updates, colours, keypad, margins."""

RESET = b"".join([
    b"\x1b[<99u\x1b[=0u",  # kitty keys of the alternate screen, if it is on
    b"\x1b[?1047l",  # the main screen; 1049 would move the cursor of a terminal that is on it already
    b"\x1b[<99u\x1b[=0u\x1b[>4;0m",  # kitty keys of the main screen, xterm's other keys
    *(b"\x1b[?%dl" % mode for mode in _OFF),
    b"\x1b7\x1b[r\x1b8",  # the whole screen scrolls; it moves the cursor, hence kept and put back
    b"\x1b[4l\x1b[20l\x1b[?7h\x1b[?25h",  # replace, plain line feeds, wrap, a cursor
    b"\x1b>\x1b(B\x1b)B\x0f\x1b[0 q\x1b[0m",  # keypad, charsets, cursor's shape, colours
])  # fmt: skip
"""Bytes that bring any mode of a terminal back, and show nothing."""

_INPUT = termios.BRKINT | termios.ICRNL | termios.IXON | termios.IMAXBEL
_OUTPUT = termios.OPOST | termios.ONLCR
_LOCAL = termios.ISIG | termios.ICANON | termios.IEXTEN | termios.ECHO | termios.ECHOE | termios.ECHOK
_NOT_INPUT = termios.IGNBRK | termios.INLCR | termios.IGNCR | termios.ISTRIP
_NOT_LOCAL = termios.ECHONL | termios.NOFLSH | termios.TOSTOP


def sane(settings: Sequence[Any]) -> list[Any]:
    """Return line settings as a shell wants them; the keys (``stty``'s intr, erase, …) stay."""
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
    """Put the terminal behind ``descriptor`` right; ``OSError`` or ``termios.error`` when it is none.

    Without ``lines`` the line settings only change where a program left them raw.
    """
    settings = termios.tcgetattr(descriptor)
    rest = memoryview(RESET)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    if lines or not settings[3] & termios.ICANON:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, sane(settings))
