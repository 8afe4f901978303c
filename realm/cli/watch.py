"""Text that is kept up to date on the whole terminal, until q or Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING

from realm.cli import output
from realm.terminal.relay.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PERIOD = 1.0
"""Seconds between two updates."""
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_QUIT = (b"q", b"Q", b"\x04")
_ESCAPE = b"\x1b"
"""Quits too, when it does not begin another key's sequence."""


def watched(picture: Callable[[], Sequence[str]]) -> None:
    """Show the lines of ``picture()`` again and again; the last ones stay below the prompt.

    What the terminal showed before is restored, however this ends.
    """
    lines: Sequence[str] = ()
    with Wakeup((signal.SIGINT, signal.SIGTERM, signal.SIGWINCH, signal.SIGHUP)) as wakeup, _screen() as keys:
        while True:
            lines = picture()
            _draw(lines)
            if _is_over(wakeup, keys):
                break
    for line in lines:
        output.data(line)


def _draw(lines: Sequence[str]) -> None:
    rows = os.get_terminal_size(sys.stdout.fileno()).lines
    shown = list(lines[: rows - 1])
    if len(lines) > len(shown):
        shown[-1:] = [f"… and {len(lines) - len(shown) + 1} more"]
    # Written at once, so that a terminal never shows half of it.
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\r\n" for line in shown) + "\x1b[J")
    sys.stdout.flush()


def _is_over(wakeup: Wakeup, keys: int | None) -> bool:
    """Wait until an update is due; tell whether the user ended it."""
    readable, _, _ = select.select([wakeup.fileno(), *([keys] if keys is not None else [])], [], [], PERIOD)
    if any(number != signal.SIGWINCH for number in wakeup.take()):
        return True
    if keys not in readable or keys is None:
        return False
    typed = os.read(keys, 64)
    return typed.startswith(_QUIT) or not typed.strip(_ESCAPE)  # pressed twice, both are read at once


@contextlib.contextmanager
def _screen() -> Iterator[int | None]:
    """Switch to the alternate screen meanwhile; yields the descriptor of the keys, if there are any."""
    keys = sys.stdin.fileno() if output.is_terminal(sys.stdin) else None
    before = termios.tcgetattr(keys) if keys is not None else None
    sys.stdout.write(_ENTER)
    try:
        if keys is not None:
            tty.setcbreak(keys)
        yield keys
    finally:
        if keys is not None and before is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
