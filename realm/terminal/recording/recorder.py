"""What a program wrote to its terminal, kept on disk as cheaply as can be.

The format stands in :mod:`realm.terminal.recording.segments`.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.recording import segments
from realm.terminal.recording.segments import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STOPPED = "stopped"
_PARTS = 8
"""A segment is this part of the limit: so much may be missing of what could be kept."""
_LARGEST_PART = 1024 * 1024
_SOON, _SECOND = 0.2, 1.0
"""Seconds that output may be put aside, little and much."""
_BORDERS = (b"\x1b", b"\n")

Event = tuple[float, "bytes | Size"]
"""Seconds since the epoch, and what came: output, or another size."""


class _Block:
    """A segment of which some is not written yet.

    Output is kept as it came: a copy of it would cost more than all else here.
    """

    def __init__(self, offset: int, size: Size | None, state: bytes) -> None:
        self.end = 0
        self._pending: list[bytes] = []
        self._fd = -1
        self._put(segments.MAGIC + segments.OFFSET.pack(offset))
        now = time.time()
        if size is not None:
            self.append(now, segments.RESIZE, segments.SIZE.pack(*size))
        if state:
            self.append(now, segments.STATE, state)

    def _put(self, data: bytes) -> None:
        self._pending.append(data)
        self.end += len(data)

    def append(self, now: float, kind: int, data: bytes) -> None:
        self._put(segments.FRAME.pack(now, len(data), kind))
        self._put(data)

    def write(self, create: Callable[[], int]) -> None:
        """Write what is pending; raises OSError."""
        if self._fd < 0:
            self._fd = create()
        rest = memoryview(b"".join(self._pending))
        self._pending.clear()
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


class Recorder:
    """Writes a recording in ``directory``, which is made; about ``limit`` bytes are kept.

    ``state`` gives the bytes that bring a fresh terminal to where the program
    has brought its own (:meth:`realm.terminal.ansi.modes.Modes.redo`): it is asked
    when a segment begins, so that a recording without its beginning can be
    shown.  Output is put aside and written by :meth:`flush`: call that when
    there is time, and before the process forks or hands the run over.  Without
    it what is fed is written at the latest a second after.  Nothing here
    raises: what cannot be written ends the recording and is noted in
    :attr:`problem`.
    """

    def __init__(self, directory: Path, *, limit: int, state: Callable[[], bytes] | None = None) -> None:
        self._directory = directory
        self._limit = max(limit, 1)
        self._part = min(-(-self._limit // _PARTS), _LARGEST_PART)
        self._state = state
        self._size: Size | None = None
        self._offset = self._fresh = 0
        self._since = math.inf
        self._blocks: deque[_Block] = deque()
        self._kept: deque[Path] = deque()
        self._next = 1
        self.problem = ""
        with self._guarded():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._offset = segments.end(directory)
            self._size = segments.last_size(directory)
            self._kept = deque(segments.paths(directory))
            self._next = int(self._kept[-1].stem) + 1 if self._kept else 1
            self._begin()

    def feed(self, data: bytes) -> None:
        """Keep output."""
        if not self._blocks:
            return
        now = time.time()
        block = self._blocks[-1]
        block.append(now, segments.OUTPUT, data)
        self._offset += len(data)
        self._fresh += len(data)
        self._since = min(self._since, now)
        if block.end >= self._part:
            self._begin()
        # In a flood most of what is put aside is dropped before it reaches the disk.
        if now - self._since > (_SECOND if self._fresh > self._part else _SOON):
            self.flush()

    def resize(self, rows: int, columns: int) -> None:
        """Keep another size of the terminal."""
        size = Size(min(max(rows, 1), 0xFFFF), min(max(columns, 1), 0xFFFF))
        if size != self._size and self._blocks:
            self._size = size
            self._since = min(self._since, time.time())
            self._blocks[-1].append(time.time(), segments.RESIZE, segments.SIZE.pack(*size))

    def flush(self) -> None:
        """Write what was put aside."""
        if self._since == math.inf:
            return
        self._since, self._fresh = math.inf, 0
        with self._guarded():
            while self._blocks:
                self._blocks[0].write(self._create)
                if len(self._blocks) == 1:
                    return
                self._drop()

    def close(self) -> None:
        """Write what was put aside and end this process's part."""
        self.flush()
        while self._blocks:
            self._drop()

    # Segments ------------------------------------------------------------------

    def _begin(self) -> None:
        if len(self._blocks) == _PARTS:
            if self._part * _PARTS < self._limit:
                self.flush()
            else:
                self._drop()
        state = self._state() if self._state is not None and self._offset else b""
        self._blocks.append(_Block(self._offset, self._size, state))

    def _drop(self) -> None:
        self._blocks.popleft().close()

    def _create(self) -> int:
        """Make the next segment's file, and room for it."""
        sizes = deque(segments.length_of(path) for path in self._kept)
        while self._kept and sum(sizes) + self._part > self._limit:
            self._kept.popleft().unlink(missing_ok=True)
            sizes.popleft()
        path = self._directory / f"{self._next:06d}{segments.SUFFIX}"
        self._next += 1
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._kept.append(path)
        return fd

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """End the recording where the disk refuses."""
        try:
            yield
        except OSError as error:
            self.problem = error.strerror or str(error)
            while self._blocks:
                self._drop()
            with contextlib.suppress(OSError):
                (self._directory / _STOPPED).touch(mode=0o600)


class Losses(NamedTuple):
    """What a recording lacks: output bytes before its beginning, and all after a full disk."""

    dropped: int = 0
    stopped: bool = False


def losses(directory: Path) -> Losses:
    """Return what is missing of the recording in ``directory``."""
    kept = segments.paths(directory)
    first = segments.read(kept[0]) if kept else b""
    return Losses(segments.offset_of(first) or 0, (directory / _STOPPED).exists())


def chunks(directory: Path, last: int | None = None) -> Iterator[Event]:
    """Yield what was recorded in ``directory``, in order; times never go back.

    A recording that lost its beginning starts with its size and the bytes that
    bring a fresh terminal to the state there.  With ``last`` only about so many
    bytes of output at the end are wanted.  A recording that another process
    goes on writing is read as far as it is.
    """
    kept = segments.paths(directory)
    if last is not None:
        kept = segments.latest(kept, last)
    now = 0.0
    middle = bool(kept) and bool(segments.offset_of(segments.read(kept[0])))
    for place, path in enumerate(kept):
        for moment, kind, data in segments.frames(segments.read(path)):
            now = max(now, moment)
            if kind == segments.RESIZE and len(data) == segments.SIZE.size:
                yield now, Size(*segments.SIZE.unpack(data))
            elif kind == segments.STATE and place == 0 and middle:
                yield now, data
            elif kind == segments.OUTPUT:
                whole = _from_border(data) if middle else data
                middle = middle and not whole
                if whole:
                    yield now, whole


def tail(directory: Path, limit: int) -> bytes:
    """Return the last output in ``directory``, at most ``limit`` bytes as they came."""
    kept = segments.latest(segments.paths(directory), limit)
    frames = (frame for path in kept for frame in segments.frames(segments.read(path)))
    parts = [data for _, kind, data in frames if kind == segments.OUTPUT]
    return b"".join(parts)[-limit:] if limit > 0 else b""


def _from_border(data: bytes) -> bytes:
    """Return ``data`` from the first place where no sequence is cut in two."""
    places = [place for border in _BORDERS if (place := data.find(border)) >= 0]
    return data[min(places) :] if places else b""
