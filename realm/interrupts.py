"""Ctrl-C, a closed window, SIGTERM: the first cuts off what goes on, none the clearing up after it."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PATIENCE = 10.0
"""Seconds after a Ctrl-C in which another one changes nothing."""


class _Once:
    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self._last or now - self._last > PATIENCE:
            self._last = now
            raise KeyboardInterrupt(number)


def once() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise :class:`KeyboardInterrupt` once in :data:`PATIENCE` seconds.

    Somebody impatient presses Ctrl-C twice: the second one must not meet the handlers of the
    first, which leave things as they were.  A process that ignores such a signal goes on to.
    """
    handler = _Once()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, handler)


def code(wish: KeyboardInterrupt) -> int:
    """Return the exit code of what was cut off: 128 and the signal's number."""
    return 128 + (wish.args[0] if wish.args else signal.SIGINT)


@contextmanager
def telling(text: str) -> Iterator[None]:
    """Give an interrupt that cuts off what is done in the context a ``text`` to be shown with it."""
    try:
        yield
    except KeyboardInterrupt as wish:
        if not hasattr(wish, "__notes__"):
            wish.add_note(text)
        raise
