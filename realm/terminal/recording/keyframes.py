"""Whole screens beside a recording: the screen at a moment is played from the last keyframe before it.

A program that draws only changes may have drawn the rest of its screen long before the bytes that there is
time to play.  ``keyframes/<offset>`` in the recording's directory is the screen after that many bytes of
output: a line of JSON (``moment`` in seconds since the epoch, ``rows``, ``columns``, and ``lacking``, whether
it may be incomplete), then the bytes that draw it and switch its modes on in a fresh terminal.  Keyframes are
made in spare time, beside the writer.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from typing import TYPE_CHECKING, NamedTuple

from realm.paths import make_private, replace
from realm.terminal.recording.segments import Size

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = "keyframes"
_MOST = 256
"""The most keyframes of one recording; the oldest are removed."""
_LARGEST = 1024 * 1024


class Keyframe(NamedTuple):
    """A screen after ``offset`` bytes of output; ``moment`` in seconds since the epoch."""

    offset: int
    moment: float
    size: Size
    lacking: bool
    drawing: bytes


def write(directory: Path, frame: Keyframe) -> None:
    """Store a keyframe of the recording in ``directory``; raises OSError."""
    place = make_private(directory / _DIRECTORY)
    head = {"moment": frame.moment, "rows": frame.size.rows, "columns": frame.size.columns,
            "lacking": frame.lacking}  # fmt: skip
    replace(place / str(frame.offset), json.dumps(head).encode() + b"\n" + frame.drawing)
    for old in _offsets(directory)[:-_MOST]:
        (place / str(old)).unlink(missing_ok=True)


def latest(directory: Path, until: float = math.inf) -> Keyframe | None:
    """Return the last keyframe up to ``until`` (seconds since the epoch); damaged ones are skipped."""
    for offset in reversed(_offsets(directory)):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            with (directory / _DIRECTORY / str(offset)).open("rb") as file:
                head, _, drawing = file.read(_LARGEST).partition(b"\n")
            known = json.loads(head)
            size = Size(int(known["rows"]), int(known["columns"]))
            found = Keyframe(offset, float(known["moment"]), size, bool(known["lacking"]), drawing)
            if found.moment <= until:
                return found
    return None


def _offsets(directory: Path) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(directory / _DIRECTORY) if name.isdecimal())  # noqa: PTH208 - as in segments
    except OSError:
        return []
