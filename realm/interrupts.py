"""Ctrl-C: the first one cuts off what goes on, and lets nobody cut off the clearing up after it."""

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

    def __call__(self, _: int, __: FrameType | None) -> None:
        now = time.monotonic()
        if not self._last or now - self._last > PATIENCE:
            self._last = now
            raise KeyboardInterrupt


def once() -> None:
    """Let SIGINT raise :class:`KeyboardInterrupt` once in :data:`PATIENCE` seconds.

    Somebody impatient presses Ctrl-C twice: the second one must not meet the handlers of the
    first, which leave things as they were.  A process that ignores the signal goes on to.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _Once())


@contextmanager
def telling(text: str) -> Iterator[None]:
    """Give an interrupt that cuts off what is done in the context a ``text`` to be shown with it."""
    try:
        yield
    except KeyboardInterrupt as wish:
        if not hasattr(wish, "__notes__"):
            wish.add_note(text)
        raise
