"""A run whose holder was killed: its agent works on, and is taken in hand again."""

from __future__ import annotations

import contextlib
import sys
import termios
from typing import TYPE_CHECKING

from realm.session import hold, recordings
from realm.session.grip import take
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from realm.sandbox.box import Box
    from realm.sandbox.engine import Engine
    from realm.session.begin import Started
    from realm.session.launch import Launch
    from realm.session.lock import RunLock
    from realm.session.ui import UI


def attend(engine: Engine, started: Started, launch: Launch, box: Box, lock: RunLock, ui: UI) -> int:
    """Show the agent in this terminal until it ends; return the exit code.

    The holder may have been killed in this very terminal: what it left on there
    is put right first.  The screen and the modes are those of its recording.
    """
    if launch.tty:
        _put_right()
    ui.info(f"run {started.run.number} of {started.session.name} is still going on: attached")
    drawing = _shown(started) if launch.tty else b""
    grip = take(engine, started, launch, box, lock, ui, box.attach(), drawing)
    return hold.attend(grip, drawing=drawing)


def _put_right() -> None:
    from realm.terminal.relay.repair import repair

    with contextlib.suppress(OSError, termios.error):
        repair(sys.stdin.fileno(), lines=False)


def _shown(started: Started) -> bytes:
    """Return what draws the screen as the holder left it, and switches its modes on."""
    place = recordings.place(started.session.id, started.run.number)
    return recordings.drawing(place, Terminal().size())
