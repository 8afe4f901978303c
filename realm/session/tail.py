"""The last output of a run, kept cheaply, made into a screen when the run has ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realm.terminal.screen import Screen

LIMIT = 192 * 1024
"""Bytes kept: some full redraws of a large terminal; more would be waited for at the end."""


class Tail:
    """A bounded memory of what went to the terminal, fed on the relay's path."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._limit = limit
        self._made: Screen | None = None

    def feed(self, data: bytes) -> None:
        """Remember ``data`` and forget what is too old."""
        self._chunks.append(data)
        self._size += len(data)
        while self._size > self._limit and len(self._chunks) > 1:
            self._size -= len(self._chunks.popleft())

    def files(self, size: tuple[int, int]) -> dict[str, bytes]:
        """Return the screen as ``screen.txt`` and ``screen.ans``; nothing when there was no output."""
        screen = self._screen(size) if self._chunks else None
        return {"screen.txt": screen.text().encode(), "screen.ans": screen.ansi()} if screen else {}

    def text(self, size: tuple[int, int]) -> str:
        """Return the screen as a person would read it."""
        return self._screen(size).text()

    def _screen(self, size: tuple[int, int]) -> Screen:
        """Make the screen of the bytes kept, once: they are not added to after that."""
        if self._made is None:
            from realm.terminal.screen import Screen

            self._made = Screen(*size)
            for chunk in self._chunks:
                self._made.feed(chunk)
        return self._made
