"""When to take the next piece of a box's output: at once, but in a flood after a moment.

A box's output comes in pieces of a few kilobytes, and being woken for each of
them costs more than all that is done with it.  What comes without end is
therefore left to gather for a millisecond, so that fewer and larger pieces are
taken; what a person waits for, an echo or a screen, is never kept waiting.
"""

from __future__ import annotations

import time

FLOOD = 128 * 1024
"""Bytes without a breath from which on output is a flood: no screen is so large."""
BREATH = 0.005
"""Seconds without output that end a flood."""
PACE = 0.002
"""Seconds from one piece of a flood to the next."""
PIECE, LARGE = 64 * 1024, 256 * 1024
"""Bytes taken at a time, and in a flood: more than a socket holds."""


class Pace:
    """Watches how fast output comes."""

    def __init__(self) -> None:
        self._burst = 0
        self._last = 0.0

    def took(self, count: int) -> None:
        """Take note of ``count`` bytes that just came."""
        now = time.monotonic()
        self._burst = count if now - self._last > BREATH else self._burst + count
        self._last = now

    def wait(self) -> float:
        """Return the seconds for which output should gather, 0 outside a flood."""
        if self._burst < FLOOD:
            return 0.0
        return max(0.0, self._last + PACE - time.monotonic())

    def size(self) -> int:
        """Return how many bytes are to be taken at a time."""
        return LARGE if self._burst >= FLOOD else PIECE

    @property
    def flood(self) -> bool:
        """Whether output comes without end."""
        return self._burst >= FLOOD
