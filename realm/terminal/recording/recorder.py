"""Records a program's output on disk as cheaply as possible.

:mod:`realm.terminal.recording.segments` has the format.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from realm.terminal.ansi.modes import Modes
from realm.terminal.recording import keyframes, segments
from realm.terminal.recording.segments import Marker, Screenful, Size, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_STOPPED = "stopped"
_PARTS = 8
"""A segment is this fraction (1/n) of the limit, which is how much less than the limit may be kept."""
_LARGEST_PART = 1024 * 1024
_SOON, _SECOND = 0.2, 1.0
"""Seconds for which little output, and much output, may be buffered."""
_BORDERS = (b"\x1b", b"\n")

_CLEAR = b"\x1b[H\x1b[2J"
_PIECE, _MOMENT = 16 * 1024, 0.3
"""Bytes that are searched for modes at a time, and seconds for all of them."""

Event = tuple[float, "bytes | Size | Marker"]
"""Seconds since the epoch, and what happened: output, a new size, a marker."""


class _Block:
    """A segment that is not completely written yet.

    Output is kept in the pieces it came in: copying it would cost more than everything else here.
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
        """Write what is pending; ``create`` opens the file.  Raises OSError."""
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
    """Writes a recording to ``directory``, which is created; about ``limit`` bytes are kept.

    ``state`` returns the bytes that bring a fresh terminal to the program's terminal state
    (:meth:`realm.terminal.ansi.modes.Modes.redo`); it is called when a segment begins, so that a recording
    without its beginning can be shown.  Output is buffered and written by :meth:`flush`: call that when there
    is time, and before the process forks or hands the run over; otherwise it is written within a second of
    the next output.  Nothing here raises: a failed write ends the recording and is noted in :attr:`problem`.
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

    @property
    def offset(self) -> int:
        """The number of bytes of output so far."""
        return self._offset

    def feed(self, data: bytes) -> None:
        """Record output."""
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
        # In a flood, most buffered output is dropped before it reaches the disk.
        if now - self._since > (_SECOND if self._fresh > self._part else _SOON):
            self.flush()

    def resize(self, rows: int, columns: int) -> None:
        """Record a new size of the terminal."""
        size = Size(min(max(rows, 1), 0xFFFF), min(max(columns, 1), 0xFFFF))
        if size != self._size and self._blocks:
            self._size = size
            self._since = min(self._since, time.time())
            self._blocks[-1].append(time.time(), segments.RESIZE, segments.SIZE.pack(*size))

    def mark(self, marker: Marker) -> None:
        """Record a marker."""
        if self._blocks:
            self._since = min(self._since, time.time())
            self._blocks[-1].append(time.time(), segments.MARKER, marker.encode())

    def flush(self) -> None:
        """Write what is buffered."""
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
        """Write what is buffered and end this process's part."""
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
        """Create the next segment's file, and make room for it."""
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
        """End the recording when a write fails."""
        try:
            yield
        except OSError as error:
            self.problem = error.strerror or str(error)
            while self._blocks:
                self._drop()
            with contextlib.suppress(OSError):
                (self._directory / _STOPPED).touch(mode=0o600)


class Losses(NamedTuple):
    """What a recording lacks: bytes of output before its beginning; everything after the disk was full."""

    dropped: int = 0
    stopped: bool = False


def losses(directory: Path) -> Losses:
    """Return what is missing of the recording in ``directory``."""
    kept = segments.paths(directory)
    first = segments.read(kept[0]) if kept else b""
    return Losses(segments.offset_of(first) or 0, (directory / _STOPPED).exists())


def chunks(directory: Path, since: float = 0.0) -> Iterator[Event]:
    """Yield what was recorded in ``directory``, in order; times never go back.

    With ``since``, seconds since the epoch, it starts somewhere before that.  A recording that lost its
    beginning starts with its size and the bytes that bring a fresh terminal to the state there.  One that is
    still being written is read as far as it goes.
    """
    paths = segments.paths(directory)
    while len(paths) > 1 and segments.begin_of(paths[1]) <= since:
        del paths[0]
    return _events(paths)


def _events(paths: Sequence[Path]) -> Iterator[Event]:
    now = 0.0
    middle = bool(paths) and bool(segments.offset_of(segments.read(paths[0])))
    for place, path in enumerate(paths):
        for moment, kind, data in segments.frames(segments.read(path)):
            now = max(now, moment)
            if (event := _beside(kind, data)) is not None:
                yield now, event
            elif kind == segments.STATE and place == 0 and middle:
                yield now, State(data)
            elif kind == segments.OUTPUT:
                whole = _from_border(data) if middle else data
                middle = middle and not whole
                if whole:
                    yield now, whole


class Tail(NamedTuple):
    """The newest events, and what replaces those before them.

    ``opening`` is the size and state there, empty where nothing is missing; ``left_out`` is the number of
    bytes of output that the opening does not account for.
    """

    opening: list[Event]
    events: list[Event]
    left_out: int


def tail(directory: Path, wanted: int, until: float = math.inf) -> Tail:
    """Return about the last ``wanted`` bytes recorded up to ``until`` (seconds since the epoch).

    If a keyframe is that near, return it and what came after it.
    """
    paths = [path for path in segments.paths(directory) if segments.begin_of(path) <= until]
    frame = keyframes.latest(directory, until)
    if frame is not None and (since := _since(paths, frame.offset, wanted, until)) is not None:
        opening: list[Event] = [(frame.moment, frame.size), (frame.moment, Screenful(frame.drawing))]
        return Tail(opening, since, int(frame.lacking))
    kept = segments.latest(paths, wanted)
    before = segments.offset_of(segments.read(kept[0])) or 0 if kept else 0
    found = newest([event for event in _events(kept) if event[0] <= until], wanted)
    return found._replace(left_out=found.left_out + before)


def _since(paths: Sequence[Path], offset: int, wanted: int, until: float) -> list[Event] | None:
    """Return what was recorded after ``offset`` bytes; ``None`` when that is more than ``wanted``."""
    found: list[Event] = []
    for path in reversed(paths):
        data = segments.read(path)
        place = segments.offset_of(data)
        if place is None:
            continue
        events: list[Event] = []
        for moment, kind, content in segments.frames(data):
            if kind == segments.OUTPUT:
                if moment <= until and place + len(content) > offset:
                    more = content[max(0, offset - place) :]
                    wanted -= len(more)
                    events.append((moment, more))
                place += len(content)
            elif place >= offset and moment <= until and (event := _beside(kind, content)) is not None:
                events.append((moment, event))
        found = events + found
        begin = segments.offset_of(data) or 0
        if wanted < 0:
            return None
        if begin <= offset:
            return found
    return None


def _beside(kind: int, content: bytes) -> Size | Marker | None:
    """Return the size or marker in a frame that is not output."""
    if kind == segments.RESIZE and len(content) == segments.SIZE.size:
        return Size(*segments.SIZE.unpack(content))
    if kind == segments.MARKER and content.decode("ascii", "replace") in set(Marker):
        return Marker(content.decode())
    return None


def newest(events: list[Event], wanted: int) -> Tail:
    """Return the newest of ``events``, with at most ``wanted`` bytes of output."""
    place, rest = len(events), wanted
    earlier: list[Event] = []
    kept: list[Event] = []
    while place and rest > 0:
        place -= 1
        moment, event = events[place]
        if isinstance(event, bytes) and len(event) > rest:
            earlier, kept = [(moment, event[:-rest])], [(moment, _from_border(event[-rest:]))]
        rest -= len(event) if isinstance(event, bytes) else 0
    kept += events[place + len(kept) :]
    earlier = events[:place] + earlier
    if not any(isinstance(event, bytes) for _, event in earlier):
        return Tail([], events, 0)
    moment = kept[0][0] if kept else earlier[-1][0]
    sizes = [event for _, event in earlier if isinstance(event, Size)]
    output = b"".join(event for _, event in earlier if isinstance(event, bytes))
    opening: list[Event] = [(moment, sizes[-1])] if sizes else []
    opening.append((moment, State(_state(output, sizes[-1].rows if sizes else None))))
    return Tail(opening, kept, len(output))


def _state(output: bytes, rows: int | None) -> bytes:
    """Return the bytes that bring a fresh terminal to the state after ``output``, found in limited time."""
    modes, until = Modes(), time.monotonic() + _MOMENT
    if rows is not None:
        modes.resize(rows)
    for start in range(0, len(output), _PIECE):
        modes.feed(output[start : start + _PIECE])
        if time.monotonic() > until:
            modes.feed(output[max(start + _PIECE, len(output) - _PIECE) :])
            break
    return modes.redo(_CLEAR)


def _from_border(data: bytes) -> bytes:
    """Return ``data`` from the first position that is not inside a sequence."""
    places = [place for border in _BORDERS if (place := data.find(border)) >= 0]
    return data[min(places) :] if places else b""


class Follower:
    """Reads the output of a growing recording, each byte once.

    The file being read stays open: output is read even when its writer appends to it and removes it
    meanwhile, as happens when the run is over.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = -1
        self._file: BinaryIO | None = None
        self._rest = b""

    def read(self) -> bytes:
        """Return the output since the last call."""
        found = [self._added()]
        for path in segments.paths(self._directory):
            if int(path.stem) > self._number:
                self.close()
                self._number = int(path.stem)
                with contextlib.suppress(OSError):
                    self._file = path.open("rb")
                    found.append(self._added())
        return b"".join(found)

    def _added(self) -> bytes:
        if self._file is None:
            return b""
        data = self._rest + self._file.read()
        if self._file.tell() == len(data):
            if segments.offset_of(data) is None:
                self._rest = data[: segments.HEAD]
                return b""
            data = data[segments.HEAD :]
        frames, end = segments.whole_frames(data)
        self._rest = data[end:]
        return b"".join(content for _, kind, content in frames if kind == segments.OUTPUT)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""
