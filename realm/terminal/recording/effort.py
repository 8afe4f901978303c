"""How much of a recording can be made into a cast while somebody waits for it.

What a program writes costs very different amounts of work: a megabyte of log a
hundredth of a second, a megabyte of nothing but resets twenty seconds.  The
weights were measured over :func:`realm.terminal.recording.cast.cut`, in microseconds; that
a machine is half as fast does not matter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.terminal.ansi.modes import Modes
from realm.terminal.recording.segments import Size

if TYPE_CHECKING:
    from realm.terminal.recording.recorder import Event

BUDGET = 500_000
"""What the end of a run may wait for: about half a second's work."""
_EVENT, _SEQUENCE, _MORE, _RESET, _CONTROL, _BYTES = 8, 16, 3, 40, 6, 32
"""One event, a sequence that is taken apart, each number in it but the first, a full reset,
a control character; so many bytes cost one."""
_PIECE = 16 * 1024
_SLOW = re.compile(
    rb"\x1b(?!\[(?:[0-9;:]{0,64}m|[0-9]{0,3}[ABCDGXd]|[0-9]{0,3}(?:;[0-9]{0,3})?H|[012]?[JK]))"
    rb"(\[?[?0-9;:>=!]*)"
)
"""All but what the filter passes without a look at it."""
_CONTROLS = re.compile(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]")


def effort(data: bytes) -> int:
    """Return about how many microseconds it takes to make ``data`` harmless."""
    slow = _SLOW.findall(data)
    return (
        len(data) // _BYTES
        + _SEQUENCE * len(slow)
        + _MORE * b"".join(slow).count(b";")
        + _RESET * data.count(b"\x1bc")
        + _CONTROL * len(_CONTROLS.findall(data))
    )


def newest(events: list[Event], budget: int = BUDGET) -> tuple[list[Event], int]:
    """Return what is newest of ``events`` and no more work than ``budget``, and the bytes left out before it.

    What is kept of a longer recording begins with its size and the bytes that
    bring a fresh terminal to the state there, as far as a quarter of the
    budget shows it.
    """
    place, rest = len(events), budget
    while place:
        _, event = events[place - 1]
        rest -= _EVENT + (effort(event) if isinstance(event, bytes) else 0)
        if rest < 0:
            break
        place -= 1
    if not place:
        return events, 0
    kept, earlier = events[place:], events[:place]
    begin = kept[0][0] if kept else earlier[-1][0]
    sizes = [event for _, event in earlier if isinstance(event, Size)]
    left_out = b"".join(event for _, event in earlier if isinstance(event, bytes))
    opening: list[Event] = [(begin, sizes[-1])] if sizes else []
    opening.append((begin, _state(left_out, sizes[-1].rows if sizes else None, budget // 4)))
    return [*opening, *kept], len(left_out)


def _state(data: bytes, rows: int | None, budget: int) -> bytes:
    """Return what brings a fresh terminal to the state after ``data``."""
    start = len(data)
    while start > 0 and budget > 0:
        start = max(0, start - _PIECE)
        budget -= effort(data[start : start + _PIECE])
    modes = Modes()
    if rows is not None:
        modes.resize(rows)
    modes.feed(data[start:])
    return modes.redo(b"\x1b[H\x1b[2J")
