"""What a program wrote to its terminal, kept on disk as cheaply as can be.

A directory of segments, ``000001.rec`` and so on.  A segment begins with the
eight bytes ``realmre1`` and the number of output bytes before it (``<Q``).
Frames follow: time in seconds since the epoch (``<d``), length of what comes
(``<I``), kind (``B``), and that many bytes.  Kinds: 0 output as it came; 1 the
terminal's size, rows and columns (``<HH``); 2 what brings a fresh terminal to
the state at the segment's beginning.  Readers skip other kinds.

A last frame that is cut short is not read.  Each writer begins a segment of its
own: a run can go from one process to another.  When there is more than the limit
allows, the oldest segments go; the second number above tells how much went.
An empty file ``stopped`` says that the disk took no more.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAGIC = b"realmre1"
_OFFSET = struct.Struct("<Q")
_HEAD = len(_MAGIC) + _OFFSET.size
_FRAME = struct.Struct("<dIB")
_SIZE = struct.Struct("<HH")
_OUTPUT, _RESIZE, _STATE = 0, 1, 2
_SUFFIX = ".rec"
_STOPPED = "stopped"
_PARTS = 8
"""A segment is this part of the limit: so much may be missing of what could be kept."""
_LARGEST_PART = 1024 * 1024
_SOON, _SECOND = 0.2, 1.0
"""Seconds that output may be put aside, little and much."""
_LARGEST = 64 * 1024 * 1024
"""No reader takes a larger segment or frame."""
_BORDERS = (b"\x1b", b"\n")


class Size(NamedTuple):
    """The terminal's size from here on."""

    rows: int
    columns: int


Event = tuple[float, "bytes | Size"]
"""Seconds since the epoch, and what came: output, or another size."""


class _Block:
    """A segment of which some is not written yet; ``memory`` is used again and again.

    New memory for every piece of output costs more than copying it.
    """

    def __init__(self, memory: bytearray, offset: int, size: Size | None, state: bytes) -> None:
        self.memory = memory
        self.end = self._written = 0
        self._fd = -1
        self._put(_MAGIC + _OFFSET.pack(offset))
        now = time.time()
        if size is not None:
            self.append(now, _RESIZE, _SIZE.pack(*size))
        if state:
            self.append(now, _STATE, state)

    def _put(self, data: bytes) -> None:
        # A slice beyond the end makes the memory grow.
        end = self.end + len(data)
        self.memory[self.end : end] = data
        self.end = end

    def append(self, now: float, kind: int, data: bytes) -> None:
        self._put(_FRAME.pack(now, len(data), kind))
        self._put(data)

    def write(self, create: Callable[[], int]) -> None:
        """Write what is pending; raises OSError."""
        if self._fd < 0:
            self._fd = create()
        with memoryview(self.memory) as view:
            while self._written < self.end:
                self._written += os.write(self._fd, view[self._written : self.end])

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


class Recorder:
    """Writes a recording in ``directory``, which is made; about ``limit`` bytes are kept.

    ``state`` gives the bytes that bring a fresh terminal to where the program
    has brought its own (:meth:`realm.terminal.modes.Modes.redo`): it is asked
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
        self._memory: list[bytearray] = []
        self._kept: deque[Path] = deque()
        self._next = 1
        self.problem = ""
        with self._guarded():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._offset = _end(directory)
            self._size = _last_size(directory)
            self._kept = deque(_segments(directory))
            self._next = int(self._kept[-1].stem) + 1 if self._kept else 1
            self._begin()

    def feed(self, data: bytes) -> None:
        """Keep output."""
        if not self._blocks:
            return
        now = time.time()
        block = self._blocks[-1]
        block.append(now, _OUTPUT, data)
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
            self._blocks[-1].append(time.time(), _RESIZE, _SIZE.pack(*size))

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
        memory = self._memory.pop() if self._memory else bytearray()
        self._blocks.append(_Block(memory, self._offset, self._size, state))

    def _drop(self) -> None:
        block = self._blocks.popleft()
        block.close()
        self._memory.append(block.memory)

    def _create(self) -> int:
        """Make the next segment's file, and room for it."""
        sizes = deque(_bytes(path) for path in self._kept)
        while self._kept and sum(sizes) + self._part > self._limit:
            self._kept.popleft().unlink(missing_ok=True)
            sizes.popleft()
        path = self._directory / f"{self._next:06d}{_SUFFIX}"
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


@dataclass(frozen=True, slots=True)
class Losses:
    """What a recording lacks: output bytes before its beginning, and all after a full disk."""

    dropped: int = 0
    stopped: bool = False


def losses(directory: Path) -> Losses:
    """Return what is missing of the recording in ``directory``."""
    segments = _segments(directory)
    first = _read(segments[0]) if segments else b""
    return Losses(_offset(first) or 0, (directory / _STOPPED).exists())


def chunks(directory: Path, last: int | None = None) -> Iterator[Event]:
    """Yield what was recorded in ``directory``, in order; times never go back.

    A recording that lost its beginning starts with its size and the bytes that
    bring a fresh terminal to the state there.  With ``last`` only about so many
    bytes of output at the end are wanted.  A recording that another process
    goes on writing is read as far as it is.
    """
    segments = _segments(directory)
    if last is not None:
        segments = _latest(segments, last)
    now = 0.0
    middle = bool(segments) and bool(_offset(_read(segments[0])))
    for place, path in enumerate(segments):
        for moment, kind, data in _frames(_read(path)):
            now = max(now, moment)
            if kind == _RESIZE and len(data) == _SIZE.size:
                yield now, Size(*_SIZE.unpack(data))
            elif kind == _STATE and place == 0 and middle:
                yield now, data
            elif kind == _OUTPUT:
                whole = _from_border(data) if middle else data
                middle = middle and not whole
                if whole:
                    yield now, whole


def tail(directory: Path, limit: int) -> bytes:
    """Return the last output in ``directory``, at most ``limit`` bytes as they came."""
    parts = [data for path in _latest(_segments(directory), limit)
             for _, kind, data in _frames(_read(path)) if kind == _OUTPUT]  # fmt: skip
    return b"".join(parts)[-limit:] if limit > 0 else b""


def _from_border(data: bytes) -> bytes:
    """Return ``data`` from the first place where no sequence is cut in two."""
    places = [place for border in _BORDERS if (place := data.find(border)) >= 0]
    return data[min(places) :] if places else b""


def _segments(directory: Path) -> list[Path]:
    try:
        names = [name for name in os.listdir(directory) if name.endswith(_SUFFIX) and name[:-4].isdecimal()]  # noqa: PTH208 - half the time, on the hot path
    except OSError:
        return []
    return [directory / name for name in sorted(names, key=lambda name: int(name[:-4]))]


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _latest(segments: list[Path], wanted: int) -> list[Path]:
    """Return the last segments that together hold ``wanted`` bytes of output, if there are so many."""
    place = len(segments)
    while place > 0 and wanted > 0:
        place -= 1
        wanted -= sum(len(data) for _, kind, data in _frames(_read(segments[place])) if kind == _OUTPUT)
    return segments[place:]


def _read(path: Path) -> bytes:
    """Return a segment; nothing when its writer has removed it meanwhile."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""


def _offset(data: bytes) -> int | None:
    """Return the number of output bytes before a segment, ``None`` when it is none."""
    if len(data) < _HEAD or not data.startswith(_MAGIC):
        return None
    offset: int = _OFFSET.unpack_from(data, len(_MAGIC))[0]
    return offset


def _frames(data: bytes) -> Iterator[tuple[float, int, bytes]]:
    """Yield time, kind and content of a segment's whole frames."""
    place = _HEAD if _offset(data) is not None else len(data)
    while place + _FRAME.size <= len(data):
        moment, length, kind = _FRAME.unpack_from(data, place)
        place += _FRAME.size
        if length > len(data) - place:
            return
        yield moment, kind, data[place : place + length]
        place += length


def _end(directory: Path) -> int:
    """Return the number of output bytes that were ever recorded in ``directory``."""
    for path in reversed(_segments(directory)):
        data = _read(path)
        offset = _offset(data)
        if offset is not None:
            return offset + sum(len(content) for _, kind, content in _frames(data) if kind == _OUTPUT)
    return 0


def _last_size(directory: Path) -> Size | None:
    for path in reversed(_segments(directory)):
        sizes = [data for _, kind, data in _frames(_read(path)) if kind == _RESIZE]
        if sizes and len(sizes[-1]) == _SIZE.size:
            return Size(*_SIZE.unpack(sizes[-1]))
    return None
