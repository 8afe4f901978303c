"""The files of a recording, and how to read them.

A directory of segments, ``000001.rec`` and so on.  A segment begins with the eight bytes ``realmre1`` and the
number of output bytes before it (``<Q``).  Frames follow: time in seconds since the epoch (``<d``), length of
the content (``<I``), kind (``B``), and the content.  Kinds: 0 output, unchanged; 1 the terminal's size, rows
and columns (``<HH``); 2 the bytes that bring a fresh terminal to the state at the segment's beginning; 3 a
marker (:class:`Marker`).  Readers skip other kinds and a truncated last frame.

Each writer begins its own segment, since a run can go from one process to another.  Beyond the limit the
oldest segments are removed; the number in the header says how much is missing.  An empty file ``stopped``
means that the disk was full.
"""

from __future__ import annotations

import math
import os
import struct
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"realmre1"
OFFSET = struct.Struct("<Q")
HEAD = len(MAGIC) + OFFSET.size
FRAME = struct.Struct("<dIB")
SIZE = struct.Struct("<HH")
OUTPUT, RESIZE, STATE, MARKER = 0, 1, 2, 3
SUFFIX = ".rec"
LARGEST = 64 * 1024 * 1024
"""Readers refuse larger segments and frames."""


class Marker(StrEnum):
    """An event between two pieces of output."""

    BEGUN = "begun"
    """The agent began a turn."""
    ENDED = "ended"
    """The agent ended a turn."""
    GAP = "gap"
    """Some output is missing here."""


class State(bytes):
    """The bytes that bring a fresh terminal to the state here; what was on its screen is unknown."""


class Screenful(bytes):
    """The bytes that draw the whole screen shown here and switch its modes on."""


class Size(NamedTuple):
    """The terminal's size from here on."""

    rows: int
    columns: int


def paths(directory: Path) -> list[Path]:
    """Return the segments in a directory, in order."""
    try:
        names = [name for name in os.listdir(directory) if name.endswith(SUFFIX) and name[:-4].isdecimal()]  # noqa: PTH208 - half the time
    except OSError:
        return []
    return [directory / name for name in sorted(names, key=lambda name: int(name[:-4]))]


def length_of(path: Path) -> int:
    """Return a file's length in bytes, 0 when it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def latest(segments: list[Path], wanted: int) -> list[Path]:
    """Return the last segments that together hold ``wanted`` bytes of output, or all if there are fewer."""
    place = len(segments)
    while place > 0 and wanted > 0:
        place -= 1
        wanted -= sum(len(data) for _, kind, data in frames(read(segments[place])) if kind == OUTPUT)
    return segments[place:]


def read(path: Path) -> bytes:
    """Return a segment's bytes; empty when its writer has removed it meanwhile."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except OSError:
        return b""


def begin_of(path: Path) -> float:
    """Return when a segment begins, in seconds since the epoch; infinity when unknown."""
    try:
        with path.open("rb") as file:
            data = file.read(HEAD + FRAME.size)
    except OSError:
        return math.inf
    if offset_of(data) is None or len(data) < HEAD + FRAME.size:
        return math.inf
    moment: float = FRAME.unpack_from(data, HEAD)[0]
    return moment


def offset_of(data: bytes) -> int | None:
    """Return the number of output bytes before a segment; ``None`` when ``data`` is not a segment."""
    if len(data) < HEAD or not data.startswith(MAGIC):
        return None
    offset: int = OFFSET.unpack_from(data, len(MAGIC))[0]
    return offset


def frames(data: bytes) -> Iterator[tuple[float, int, bytes]]:
    """Yield time, kind and content of a segment's complete frames."""
    place = HEAD if offset_of(data) is not None else len(data)
    while (frame := _frame(data, place)) is not None:
        yield frame
        place += FRAME.size + len(frame[2])


def whole_frames(data: bytes) -> tuple[list[tuple[float, int, bytes]], int]:
    """Return the complete frames at the beginning of ``data``, and where they end."""
    found, place = [], 0
    while (frame := _frame(data, place)) is not None:
        found.append(frame)
        place += FRAME.size + len(frame[2])
    return found, place


def _frame(data: bytes, place: int) -> tuple[float, int, bytes] | None:
    if place + FRAME.size > len(data):
        return None
    moment, length, kind = FRAME.unpack_from(data, place)
    place += FRAME.size
    return (moment, kind, data[place : place + length]) if length <= len(data) - place else None


def end(directory: Path) -> int:
    """Return the number of output bytes ever recorded in ``directory``."""
    for path in reversed(paths(directory)):
        data = read(path)
        before = offset_of(data)
        if before is not None:
            return before + sum(len(content) for _, kind, content in frames(data) if kind == OUTPUT)
    return 0


def last_size(directory: Path) -> Size | None:
    """Return the last recorded size; ``None`` when there is none."""
    for path in reversed(paths(directory)):
        sizes = [data for _, kind, data in frames(read(path)) if kind == RESIZE]
        if sizes and len(sizes[-1]) == SIZE.size:
            return Size(*SIZE.unpack(sizes[-1]))
    return None
