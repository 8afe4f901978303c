"""Output that is put aside until somebody looks at it; what is too much is dropped from the oldest on."""

from __future__ import annotations

import re
from collections import deque

_EDGE = 16
"""Bytes in which a sequence that is cut in two is looked for."""
_SCREENS = re.compile(rb"\x1b(?:\[\?(?:\d+;)*(?:47|1047|1049)(?:;\d+)*(?P<on>[hl])|c)")


class Backlog:
    """Output, sizes and marked moments in their order; ``size`` is in force before the first of them."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._items: deque[bytes | tuple[int, int] | float] = deque()
        self._bytes = 0
        self._edge = b""
        self.size = size
        """Rows and columns where the first item is."""
        self.dropped = 0
        """Bytes that nobody looked at."""
        self.gap = False
        """Whether something is missing before the first item."""
        self.alternate: bool | None = None
        """Which of the two screens what is missing has shown last, ``None`` where it showed none anew."""

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def has_only_sizes(self) -> bool:
        """Whether there is nothing to look at."""
        return all(isinstance(item, tuple) for item in self._items)

    # What comes ----------------------------------------------------------------

    def add(self, chunk: bytes, limit: int) -> None:
        """Put output aside; of all that there is no more than ``limit`` bytes are kept."""
        self._items.append(chunk)
        self._bytes += len(chunk)
        self.drop_to(limit)

    def resize(self, size: tuple[int, int]) -> None:
        """Put aside that the terminal has another size from here on."""
        if self._items and isinstance(self._items[-1], tuple):
            self._items.pop()
        self._items.append(size)

    def mark(self, moment: float) -> None:
        """Put aside that something is to be done here."""
        self._items.append(moment)

    def drop_to(self, limit: int) -> None:
        """Drop the oldest, with what stands before it, until no more than ``limit`` bytes are left."""
        while self._bytes > limit:
            self._drop(limit)

    def _drop(self, limit: int) -> None:
        oldest = self._items.popleft()
        if not isinstance(oldest, bytes):
            self.size = oldest if isinstance(oldest, tuple) else self.size
            return
        if limit and self._bytes == len(oldest):
            self._items.appendleft(oldest[-limit:])
            oldest = oldest[:-limit]
        self._bytes -= len(oldest)
        self.gap = True
        self.pass_over(oldest)

    def pass_over(self, data: bytes) -> None:
        """Keep of output that nobody looks at which of the two screens is shown."""
        self.dropped += len(data)
        seen = self._edge + data if b"\x1b" in data or b"\x1b" in self._edge else b""
        self._edge = data[-_EDGE:]
        if b"\x1b[?" in seen or b"\x1bc" in seen:
            for match in _SCREENS.finditer(seen):
                self.alternate = match["on"] == b"h"

    def bridged(self) -> None:
        """Take what is missing for dealt with."""
        self.gap, self.alternate, self._edge = False, None, b""

    # What is taken -------------------------------------------------------------

    def other(self) -> tuple[int, int] | float | None:
        """Take the first item if it is no output: a size, which is in force from now on, or a moment."""
        if isinstance(self._items[0], bytes):
            return None
        item = self._items.popleft()
        if isinstance(item, tuple):
            self.size = item
        return item  # type: ignore[return-value]  # no output, see above

    def piece(self, size: int) -> bytes:
        """Take up to ``size`` bytes of the output that stands first: of a long chunk, or of short ones."""
        parts: list[bytes] = []
        room = size
        while room and self._items and isinstance(item := self._items[0], bytes):
            self._items.popleft()
            if len(item) > room:
                self._items.appendleft(item[room:])
            parts.append(item[:room])
            room -= len(parts[-1])
        self._bytes -= size - room
        return b"".join(parts)
