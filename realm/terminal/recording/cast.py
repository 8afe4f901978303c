"""asciicast v2: a recording as lines of JSON, written, read, and cut to a size.

Source of the format: asciinema's "asciicast v2".  The first line is an object:
``version`` (2), ``width``, ``height``, ``timestamp`` (seconds since the epoch),
``title``, ``env``.  Every other line is ``[seconds since the beginning, code,
data]`` with the codes ``o`` output, ``i`` input, ``r`` size (``"80x24"``) and
``m`` marker; readers skip others.

What is written has gone through :class:`realm.terminal.recording.filter.Filter`, so that
any player can show it; what is read may have been written by anybody.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.errors import RealmError
from realm.terminal.ansi.modes import Modes
from realm.terminal.recording.filter import Filter
from realm.terminal.recording.recorder import newest
from realm.terminal.recording.segments import Marker, Size
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from realm.terminal.recording.recorder import Event

VERSION = 2
OUTPUT, RESIZE, MARKER = "o", "r", "m"
_HEADER_LIMIT = 64 * 1024
_LINE_LIMIT = 16 * 1024 * 1024
_LARGEST = 1000
"""The most rows or columns that a cast may have."""
_LONGEST = 10.0 * 365 * 86400
"""The longest cast, in seconds."""
_LONGEST_MARKER = 200
_LAST_SECOND = 253_402_300_799
_LARGEST_NUMBER = 1e15
_SIZE = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")
_FALLBACK = Size(24, 80)
_TRIES = ((1, 1.2), (16, 0.2), (512, math.inf))
"""Which fraction of a recording's output (1/n) is converted, and the seconds that may take.

Tried in order.
"""
_CLEAR = "\x1b[H\x1b[2J"


class Moment(NamedTuple):
    """One event: seconds since the beginning, its code, its data."""

    time: float
    code: str
    data: str


class Header(NamedTuple):
    """The first line of a cast; ``timestamp`` is when it began, in seconds since the epoch."""

    size: Size
    timestamp: float | None = None
    title: str = ""
    env: Mapping[str, str] = {}

    def line(self) -> bytes:
        """Return the cast's first line."""
        fields: dict[str, Any] = {"version": VERSION, "width": self.size.columns, "height": self.size.rows}
        if self.timestamp is not None:
            fields["timestamp"] = int(self.timestamp)
        if self.title:
            fields["title"] = self.title
        if self.env:
            fields["env"] = self.env
        return _line(fields)


# Writing -----------------------------------------------------------------------


def convert(header: Header, events: list[Event], limit: int, lost: int, note: str = "") -> bytes:
    """Return a recording's newest ``events`` as a cast of at most about ``limit`` bytes.

    ``lost`` is the number of bytes before them; ``note`` is added at the end.  The work to make output
    harmless varies widely, from a hundredth of a second for a megabyte of log to twenty seconds for one of
    resets: where it takes too long, less is converted.
    """
    output = sum(len(event) for _, event in events if isinstance(event, bytes))
    for part, seconds in _TRIES:
        found = newest(events, output // part)
        deadline = time.process_time() + seconds
        done: list[Moment] = []
        for moment in moments([*found.opening, *found.events]):
            done.append(moment)
            if time.process_time() > deadline:
                break
        else:
            if note and done:
                done.append(Moment(done[-1].time, MARKER, note))
            return cut(header, done, limit, lost + found.left_out)
    return b""


def moments(events: Iterable[Event]) -> Iterator[Moment]:
    """Yield a recording's events (:func:`realm.terminal.recording.recorder.chunks`), made harmless.

    Times count from the first event.  Invalid UTF-8 is replaced; a character or sequence that is cut in two
    comes whole, with its end.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    through = Filter()
    begin = now = None
    for moment, event in events:
        begin = moment if begin is None else begin
        now = round(moment - begin, 6)
        if isinstance(event, Size):
            yield Moment(now, RESIZE, f"{event.columns}x{event.rows}")
        elif isinstance(event, Marker):
            continue
        elif text := through.feed(decoder.decode(event)):
            yield Moment(now, OUTPUT, text)
    if now is not None and (rest := through.feed(decoder.decode(b"", final=True))):
        yield Moment(now, OUTPUT, rest)


def harmless(events: Iterable[Moment]) -> Iterator[Moment]:
    """Yield the events of a cast (untrusted), made harmless for any terminal."""
    through = Filter()
    for event in events:
        if event.code == OUTPUT:
            text = through.feed(event.data)
        else:
            text = clean(event.data, limit=_LONGEST_MARKER)
            if event.code == RESIZE and parse_size(text) is None:
                continue
        if text:
            yield event._replace(data=text)


def lines(header: Header, events: Iterable[Moment]) -> Iterator[bytes]:
    """Yield the lines of a cast."""
    yield header.line()
    for event in events:
        yield _line(list(event))


_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode


def _line(value: object) -> bytes:
    return _encode(value).encode("utf-8", "replace") + b"\n"


def changed(data: bytes, change: Callable[[list[str]], list[str]]) -> bytes:
    """Return a cast whose output, a list of pieces, was replaced by what ``change`` returns for it."""
    found = data.split(b"\n")
    events: dict[int, Moment] = {}
    for place, line in enumerate(found):
        with contextlib.suppress(ValueError, RecursionError):
            event = _event(json.loads(line)) if len(line) <= _LINE_LIMIT else None
            if event is not None and event.code == OUTPUT:
                events[place] = event
    for (place, event), text in zip(
        events.items(), change([event.data for event in events.values()]), strict=True
    ):
        if text != event.data:
            found[place] = _line([event.time, event.code, text]).rstrip(b"\n")
    return b"\n".join(found)


def cut(header: Header, events: Iterable[Moment], limit: int, lost: int = 0) -> bytes:
    """Return a cast of at most about ``limit`` bytes, made of the newest of ``events``.

    If the beginning is missing (``lost`` bytes before ``events``, or what is cut here), it starts with a
    marker that says so and a clear screen in the state that the terminal was in.
    """
    kept: deque[tuple[Moment, int]] = deque()
    total, size, modes, whole = 0, header.size, Modes(), True
    for event in events:
        length = len(_line(list(event)))
        kept.append((event, length))
        total += length
        while total > limit and kept:
            old, length = kept.popleft()
            total, whole = total - length, False
            lost += len(old.data.encode("utf-8", "replace"))
            size = _passed(old, size, modes)
    begin = kept[0][0].time if kept else 0.0
    rebased = (Moment(round(event.time - begin, 6), event.code, event.data) for event, _ in kept)
    started = None if header.timestamp is None else header.timestamp + begin
    opening = _opening(lost, None if whole else modes)
    return b"".join(lines(Header(size, started, header.title, header.env), [*opening, *rebased]))


def _passed(event: Moment, size: Size, modes: Modes) -> Size:
    """Apply an event that is cut to ``modes``; return the size after it."""
    if event.code == OUTPUT:
        modes.feed(event.data.encode("utf-8", "replace"))
    elif event.code == RESIZE:
        return parse_size(event.data) or size
    return size


def _opening(lost: int, modes: Modes | None) -> list[Moment]:
    if not lost:
        return []
    state = modes.redo(_CLEAR.encode()).decode("utf-8", "replace") if modes is not None else ""
    opening = [Moment(0.0, MARKER, f"{lost} bytes of earlier output were not kept")]
    return [*opening, Moment(0.0, OUTPUT, state)] if state else opening


# Reading -----------------------------------------------------------------------


def parse_size(text: str) -> Size | None:
    """Return the size in a resize event; ``None`` when it is malformed."""
    found = _SIZE.fullmatch(text)
    if not found or not int(found[1]) or not int(found[2]):
        return None
    return Size(min(int(found[2]), _LARGEST), min(int(found[1]), _LARGEST))


def read(data: bytes, where: str = "the recording") -> tuple[Header, Iterator[Moment]]:
    """Return the header and the events of a cast (untrusted).

    Times never go back; events of unknown codes are skipped.  A truncated last line ends it. Raises
    :class:`RealmError` at once for a malformed header, and while iterating for a malformed line; ``where``
    names the cast.
    """
    end = data.find(b"\n", 0, _HEADER_LIMIT)
    found = _json(data[: end if end >= 0 else _HEADER_LIMIT], where, "its first line")
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise _damaged(where, "it is no asciicast of version 2")
    return _header(found), _events(data, end + 1 if end >= 0 else len(data), where)


def _header(found: dict[str, Any]) -> Header:
    width, height = found.get("width"), found.get("height")
    size = parse_size(f"{width}x{height}") or _FALLBACK
    timestamp = _number(found.get("timestamp"))
    title, env = found.get("title"), found.get("env")
    pairs = list(env.items())[:50] if isinstance(env, dict) else []
    return Header(
        size,
        timestamp if timestamp is not None and 0 <= timestamp <= _LAST_SECOND else None,
        clean(title, limit=200) if isinstance(title, str) else "",
        {clean(key, limit=100): clean(value, limit=200) for key, value in pairs if isinstance(value, str)},
    )


def _events(data: bytes, start: int, where: str) -> Iterator[Moment]:
    now, number = 0.0, 1
    while start < len(data):
        end = data.find(b"\n", start)
        number += 1
        line = data[start : end if end >= 0 else len(data)]
        if end < 0 and not line.endswith(b"]"):
            # The last line is truncated: by a full disk, or a crash.
            return
        start = end + 1 if end >= 0 else len(data)
        if not line.strip():
            continue
        if len(line) > _LINE_LIMIT:
            raise _damaged(where, f"line {number} is too long")
        event = _event(_json(line, where, f"line {number}"))
        if event is None:
            raise _damaged(where, f"line {number} is no event")
        now = max(now, event.time)
        if event.code in (OUTPUT, RESIZE, MARKER):
            yield Moment(now, event.code, event.data)


def _event(value: object) -> Moment | None:
    if not isinstance(value, list) or len(value) < len(Moment._fields):
        return None
    moment, code, data = _number(value[0]), value[1], value[2]
    if moment is None or not isinstance(code, str) or not isinstance(data, str):
        return None
    return Moment(min(max(moment, 0.0), _LONGEST), code, data)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST_NUMBER and math.isfinite(value) else None


def _json(line: bytes, where: str, what: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise _damaged(where, f"{what} is not valid JSON") from None


def _damaged(where: str, what: str) -> RealmError:
    return RealmError(f"{where} is damaged: {what}")
