"""Turns signals into readable bytes, queued for one loop."""

from __future__ import annotations

import os
import signal
from collections import deque
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType


class Wakeup:
    """Collects ``signals`` while entered; ``fileno`` is readable when there are any.

    Python's handlers note the numbers, and the pipe only wakes the loop, so a full pipe loses no signal.  The
    former handlers and wakeup fd are restored on exit.  Enter it in the main thread.
    """

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._signals = tuple(signals)
        self._seen: deque[int] = deque()
        self._former: dict[signal.Signals, Any] = {}
        self._read = self._write = self._former_fd = -1

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._former_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self._signals:
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._former.clear()
        signal.set_wakeup_fd(self._former_fd)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read

    def take(self) -> Iterator[int]:
        """Yield the signals that arrived, oldest first."""
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            pass
        while self._seen:
            yield self._seen.popleft()

    def has(self, number: signal.Signals) -> bool:
        """Return whether ``number`` arrived and was not taken yet."""
        return number in self._seen

    def default(self, number: signal.Signals) -> None:
        """Let ``number`` have its default effect once, now; then collect it again."""
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number not in self._seen:
            self._seen.append(number)
