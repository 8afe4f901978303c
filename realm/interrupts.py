"""Ctrl-C, a closed window, SIGTERM: the first cuts off the work, none cuts off its cleanup."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PATIENCE = 10.0
"""Seconds after a Ctrl-C during which another one is ignored."""
_SOON = 0.01
"""Seconds until a signal comes again whose exception was lost."""


class _Once:
    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self._last or now - self._last > PATIENCE:
            self._last = now
            raise KeyboardInterrupt(number)

    def unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Have a signal come again if it came while Python ran a ``__del__`` or a weak reference's callback.

        Their exceptions go nowhere; nor would one from here.
        """
        wish = lost.exc_value
        if not isinstance(wish, KeyboardInterrupt) or not wish.args:
            sys.__unraisablehook__(lost)
            return
        self._last = 0.0
        _thread.start_new_thread(_again, wish.args)


def _again(number: int) -> None:
    time.sleep(_SOON)
    os.kill(os.getpid(), number)


def once() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise :class:`KeyboardInterrupt` once in :data:`PATIENCE` seconds.

    Impatient users press Ctrl-C twice: the second must not interrupt the first one's cleanup.  A signal that
    the process ignores stays ignored.
    """
    handler = _Once()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, handler)
    sys.unraisablehook = handler.unraisable


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
