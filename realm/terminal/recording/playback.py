"""The screen at a moment of a recording, played from the output before it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.ansi.modes import Modes
from realm.terminal.recording import keyframes, segments
from realm.terminal.recording.recorder import newest, tail
from realm.terminal.recording.segments import Marker, Size, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realm.terminal.emulator import Screen
    from realm.terminal.recording.recorder import Event, Tail

_TRIES = ((160 * 1024, 0.8), (16 * 1024, 0.3), (2048, 0.2), (256, math.inf))
"""Bytes of output to play for a screen, and the seconds that may take; if it takes longer, the next is tried.

The first is several full redraws of a large terminal, which usually take a quarter of a second.
"""

KEEP_EVERY = 48 * 1024
"""Bytes of output after which a new keyframe is worth making."""


class Played(NamedTuple):
    """A screen and its modes; ``lacking`` says whether it may be incomplete."""

    screen: Screen
    modes: Modes
    lacking: bool


def play(directory: Path, size: tuple[int, int], until: float = math.inf) -> Played | None:
    """Return what a recording shows at ``until`` (seconds since the epoch); ``None`` without output.

    ``size`` is rows and columns, used where the recording has none.
    """
    return _tried(lambda wanted: tail(directory, wanted, until), size)


def play_events(events: list[Event], size: tuple[int, int]) -> Played | None:
    """Return what is shown after ``events``; otherwise as :func:`play`."""
    return _tried(lambda wanted: newest(events, wanted), size)


def _tried(take: Callable[[int], Tail], size: tuple[int, int]) -> Played | None:
    for wanted, seconds in _TRIES:
        found = take(wanted)
        if not any(isinstance(event, bytes) for _, event in [*found.opening, *found.events]):
            return None
        played = _play(found, size, time.monotonic() + seconds)
        if played is not None:
            return played
    return None


def _play(found: Tail, size: tuple[int, int], deadline: float) -> Played | None:
    """Play ``found``; return ``None`` when ``deadline`` (monotonic seconds) has passed."""
    from realm.terminal.emulator import Screen  # 40 ms, saved where there is no output

    screen, modes = Screen(*size), Modes()
    modes.resize(size[0])
    if found.left_out:
        screen.doubt()
    for _, event in [*found.opening, *found.events]:
        if isinstance(event, Size):
            screen.resize(*event)
            modes.resize(event.rows)
        elif isinstance(event, Marker):
            if event is Marker.GAP:
                screen.doubt()
        else:
            modes.feed(event)
            if not screen.feed(event, deadline):
                return None
            if isinstance(event, State):
                screen.doubt()
    return Played(screen, modes, screen.lacking)


def keep(directory: Path, size: tuple[int, int]) -> bool:
    """Make a keyframe of what a recording shows now, if much came since the last.

    Return whether one was made.  It takes a quarter of a second, so nobody should wait for it.  Raises
    OSError.
    """
    from realm.terminal.render.drawing import draw

    end = segments.end(directory)
    before = keyframes.latest(directory)
    if end - (before.offset if before is not None else 0) < KEEP_EVERY:
        return False
    played = _tried(lambda wanted: tail(directory, wanted), size)
    # Output may have come meanwhile, and playing cannot start inside a sequence.
    if played is None or not played.screen.between or segments.end(directory) != end:
        return False
    shape = Size(played.screen.lines, played.screen.columns)
    drawing = played.modes.redo(draw(played.screen))
    keyframes.write(directory, keyframes.Keyframe(end, time.time(), shape, played.lacking, drawing))
    return True
