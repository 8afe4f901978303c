"""Joining a box again whose stream has ended and that goes on: the connection to its engine broke."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.errors import EngineError

if TYPE_CHECKING:
    from realm.session.grip import Grip

_SETTLE = 2.0
"""Seconds after the end of its stream in which a box that has ended is known to have."""
_STEP = 0.02
_LEAST = 1.0
"""Seconds that a stream must have lasted: a program that closed its terminal and goes on has none to join."""


def alive(grip: Grip) -> bool:
    """Return whether the box may still say something; an engine that does not answer says nothing of that."""
    try:
        return grip.box.state() == "running"
    except EngineError:
        return True


def rejoin(grip: Grip) -> bool:
    """Give ``grip`` a new stream if its box still runs; return whether it has one.

    The screen may lack what came meanwhile.  An engine that has no answer has
    the same time to come back in which a box's end becomes known.
    """
    began = time.monotonic()
    if grip.stream.results() is not None or began - grip.joined < _LEAST:
        return False
    while time.monotonic() - began < _SETTLE:
        if not alive(grip):
            return False
        time.sleep(_STEP)
    try:
        stream = grip.box.attach()
    except EngineError:
        return False  # what can be said of that is said by whoever takes the work in
    grip.stream.close()
    grip.stream, grip.joined = stream, time.monotonic()
    grip.view.doubt()
    return True
