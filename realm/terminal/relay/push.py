"""Writing a flood to a terminal: the kernel waits for the terminal, but for a moment only.

A terminal takes a few kilobytes at a time.  Waiting for each of them with
``select`` costs as much again as writing them; one write that waits does not.
A timer ends it where the terminal stalls, so that keys and signals are not kept
waiting: the signal's handler makes the descriptor, which is ours alone, one
that does not wait.  It raises nothing, so no count of bytes can be lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

MOMENT = 0.005
"""Seconds that a write waits at most, twice that when the timer ran out just before it."""


class Push:
    """Writes to the terminal ``fd``; to be made and closed in the main thread.

    ``SIGALRM`` and the real-time timer are in use meanwhile.  ``own`` is a
    descriptor of its own for the same terminal; it is closed with this.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._waits = False
        self._former: Any = signal.signal(signal.SIGALRM, self._stop)

    def write(self, data: memoryview | bytes) -> int:
        """Write what goes within a moment; return how much, BlockingIOError when that is nothing."""
        if not self._waits:
            os.set_blocking(self._own, True)
            self._waits = True
        # Again and again: the first signal may come when the write has not begun.
        signal.setitimer(signal.ITIMER_REAL, MOMENT, MOMENT)
        try:
            return os.write(self._own, data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._waits = False
        with contextlib.suppress(OSError):
            os.set_blocking(self._own, False)

    def close(self) -> None:
        """Give back timer, signal and descriptor."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._former if self._former is not None else signal.SIG_DFL)
        os.close(self._own)
