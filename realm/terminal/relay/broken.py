"""Streams that end although their box goes on, and streams that go on although their box has ended.

A connection to an engine can break, and an engine has been seen to leave the
stream of a box open that was killed as it began.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.terminal.relay.sides import Ended, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.relay.sides import Stream

FIRST, LONGEST = 5.0, 60.0
"""Seconds of silence until a box is asked for the first time, and at most from one time to the next."""
_OVER = {Reason.EOF, Reason.LOST}


def joined(box: Stream, carry: Callable[[Stream], Ended], again: Callable[[], Stream | None] | None) -> Ended:
    """Carry from ``box``, and when that ends from what ``again`` returns; return how the last one ended."""
    while True:
        ended = carry(box)
        other = again() if again is not None and ended.reason in _OVER else None
        if other is None:
            return ended
        box = other


class Silence:
    """Whether a box that has said nothing so far is still ``alive``: asked ever more rarely."""

    def __init__(self, alive: Callable[[], bool] | None) -> None:
        self._alive = alive
        self._gap = FIRST
        self._next = time.monotonic() + FIRST

    def left(self) -> float | None:
        """Return the seconds until it is time to ask; ``None`` when that is never."""
        return None if self._alive is None else max(0.0, self._next - time.monotonic())

    def is_lasting(self) -> bool:
        """Ask if it is time; return whether there is nobody any more who could say anything."""
        if self._alive is None or time.monotonic() < self._next:
            return False
        gone = not self._alive()
        self._gap = min(2 * self._gap, LONGEST)
        self._next = time.monotonic() + self._gap
        return gone
