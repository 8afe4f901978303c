"""Ctrl-C, a closed window, SIGTERM: the first cuts off the work, none cuts off its cleanup."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PATIENCE = 10.0
"""Seconds after a Ctrl-C during which another one is ignored."""


class _Once:
    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self._last or now - self._last > PATIENCE:
            self._last = now
            raise KeyboardInterrupt(number)


def once() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise :class:`KeyboardInterrupt` once in :data:`PATIENCE` seconds.

    Impatient users press Ctrl-C twice: the second must not interrupt the first one's cleanup.  A signal that
    the process ignores stays ignored.
    """
    handler = _Once()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, handler)


def code(wish: KeyboardInterrupt) -> int:
    """Return the exit code of an interrupted command: 128 plus the signal's number."""
    return 128 + (wish.args[0] if wish.args else signal.SIGINT)


@contextmanager
def telling(text: str) -> Iterator[None]:
    """Attach ``text``, to be shown, to an interrupt of the context."""
    try:
        yield
    except KeyboardInterrupt as wish:
        if not hasattr(wish, "__notes__"):
            wish.add_note(text)
        raise
