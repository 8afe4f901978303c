"""When to take the next piece of a box's output: at once, but in a flood after a moment.

A box's output comes in pieces of a few kilobytes, and being woken for each of
them costs more than all that is done with it.  What comes without end is
therefore left to gather for up to four milliseconds, so that fewer and larger
pieces are taken; what a person waits for, an echo or a screen, is never kept
waiting.
"""

from __future__ import annotations

import time

FLOOD = 128 * 1024
"""Bytes without a breath from which on output is a flood: no screen is so large."""
BREATH = 0.012
"""Seconds without output that end a flood: less than from one picture of a film to the next."""
LONGEST, SHORTEST = 0.004, 0.0001
"""Seconds from one piece of a flood to the next; fewer than the shortest are none."""
LITTLE, MUCH = 64 * 1024, 160 * 1024
"""Bytes of a piece that should have been left to gather for longer, or less long; a socket holds 200 KB."""
PIECE, LARGE = 64 * 1024, 256 * 1024
"""Bytes taken at a time at most, and in a flood."""


class Pace:
    """Watches how fast output comes."""

    def __init__(self) -> None:
        self._burst = 0
        self._last = 0.0
        self._gap = LONGEST
        self.flood = False
        """Whether output comes without end."""

    def took(self, count: int) -> None:
        """Take note of ``count`` bytes that just came."""
        now = time.monotonic()
        self._burst = count if now - self._last > BREATH else self._burst + count
        self._last = now
        self.flood = self._burst >= FLOOD
        if count > MUCH:
            self._gap /= 2
        elif count < LITTLE:
            self._gap = min(max(self._gap, SHORTEST) * 1.5, LONGEST)

    def size(self) -> int:
        """Return how many bytes are to be taken at a time."""
        return LARGE if self.flood else PIECE

    def wait(self) -> float:
        """Return the seconds for which output should gather, 0 outside a flood."""
        if not self.flood or self._gap < SHORTEST:
            return 0.0
        return max(0.0, self._last + self._gap - time.monotonic())
