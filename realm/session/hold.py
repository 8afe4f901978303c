"""Holding a run: box and terminal joined until the agent ends, then its work taken in.

One process at a time holds a run, with a terminal or, once it was left, without
(:mod:`realm.session.keeper`).  Whoever holds it answers on the run's line.
"""

from __future__ import annotations

import base64
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realm.session import logins
from realm.session.line import Line
from realm.terminal import detach
from realm.terminal.relay import relay
from realm.terminal.sides import Ended, Reason
from realm.terminal.tty import Terminal
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.box.container import Box
    from realm.box.engine import Engine
    from realm.box.stream import BoxStream
    from realm.session.finish import Started
    from realm.session.launch import Launch
    from realm.session.line import Call
    from realm.session.lock import RunLock
    from realm.session.ui import UI
    from realm.session.view import View

GRACE = 7.0
"""Seconds that an agent has to end after being told to terminate."""
PAUSE = 3.0
"""Seconds that it has before that, after an interrupt."""

_GONE = {Reason.HANGUP, Reason.DETACHED}


class HandedOverError(Exception):
    """Somebody else asks for the run."""

    def __init__(self, call: Call) -> None:
        super().__init__("handed over")
        self.call = call


class StoppedError(Exception):
    """Somebody asks to stop the run."""


@dataclass(slots=True)
class Grip:
    """What the holder of a run has in its hands."""

    engine: Engine
    started: Started
    launch: Launch
    box: Box
    lock: RunLock
    view: View
    ui: UI
    stream: BoxStream


def attend(grip: Grip, *, begin: Callable[[], None] | None = None, drawing: bytes = b"") -> int:
    """Join the user's terminal with the box until the agent ends; return the exit code.

    ``begin`` starts the box; without it the box is running and ``drawing`` is
    what it shows.  Left alone (the detach keys, a closed window) the agent goes
    on with a keeper and the code is 0.  Told to end, realm stops the agent and
    gives 128 plus the signal's number, as a shell has it.
    """
    # A closing window sends more than one SIGHUP: outside the relay none may end us.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Line(grip.started.session.id) as line:
        try:
            ended = _joined(grip, line, begin, drawing)
        except StoppedError:
            end(grip.box)
            ended = Ended(Reason.EOF)
        if ended is None:
            grip.ui.info(f"{grip.started.session.name} is now attached elsewhere")
            return 0
        if _is_left(ended):
            from realm.session import keeper

            return keeper.leave(grip, line, told=ended.reason is Reason.DETACHED)
    return conclude(grip, ended)


def _is_left(ended: Ended) -> bool:
    return ended.reason in _GONE or ended.signal == signal.SIGHUP


def _joined(grip: Grip, line: Line, begin: Callable[[], None] | None, drawing: bytes) -> Ended | None:
    """Relay until it ends, ``None`` when the run was handed over; a hand-over that fails is forgotten."""
    while True:
        try:
            return _relayed(grip, line, begin, drawing)
        except HandedOverError as over:
            if give(grip, over.call):
                return None
            begin, drawing = None, grip.view.drawing()


def _relayed(grip: Grip, line: Line, begin: Callable[[], None] | None, drawing: bytes) -> Ended:
    launch = grip.launch
    terminal = Terminal(tty=launch.tty, stdin=launch.stdin)
    terminal.modes = grip.view.modes
    keys = detach.parse(launch.config.get("detachKeys")) if launch.tty else ()
    left = False
    with (
        logins.in_step(grip.engine, grip.box, launch.login),
        terminal.raw(lambda: "" if left else grip.view.text()),
    ):
        left = True  # until the box itself has ended
        if drawing:
            terminal.show(drawing)
        ended = relay(
            grip.stream,
            terminal,
            tap=grip.view.feed,
            resize=_resizer(grip, redraw=begin is None),
            begin=begin,
            interrupt=lambda: grip.box.signal(signal.SIGINT.name),
            idle=grip.view.work,
            watch={line.fileno(): answering(line, attached=True)},
            detach=keys,
        )
        left = _is_left(ended)
    return ended


def _resizer(grip: Grip, *, redraw: bool) -> Callable[[int, int], None]:
    """Pass sizes on; the first one after an attach differs for a moment, so that the program redraws."""
    first = redraw

    def resize(rows: int, columns: int) -> None:
        nonlocal first
        if first and grip.launch.tty:
            first = False
            grip.box.resize(max(1, rows - 1), columns)
        grip.box.resize(rows, columns)
        grip.view.resize(rows, columns)

    return resize


def answering(line: Line, *, attached: bool) -> Callable[[], bool]:
    """Return what answers a call: it raises what the holder has to do."""

    def answer() -> bool:
        call = line.take()
        if call is None:
            return True
        operation = call.request.get("op")
        if operation == "attach" and (call.request.get("take") or not attached):
            raise HandedOverError(call)
        if operation == "stop":
            call.answer({"ok": True})
            call.close()
            raise StoppedError
        call.answer({"ok": False, "why": "attached" if operation == "attach" else "unknown"})
        call.close()
        return True

    return answer


def give(grip: Grip, call: Call) -> bool:
    """Hand stream and lock to whoever called; return whether they were taken."""
    ahead = grip.stream.recv(grip.stream.pending()) if grip.stream.pending() else b""
    answer = {
        "ok": True,
        "tty": grip.stream.tty,
        "drawing": base64.b64encode(grip.view.drawing()).decode(),
        "ahead": base64.b64encode(ahead).decode(),
    }
    call.answer(answer, [grip.stream.fileno(), grip.lock.fileno()])
    taken = call.confirmed()
    call.close()
    return taken


def end(box: Box) -> None:
    """End a box step by step: interrupt, terminate, kill, with time between."""
    box.signal(signal.SIGINT.name)
    deadline = time.monotonic() + PAUSE
    while time.monotonic() < deadline and box.state() == "running":
        time.sleep(0.1)
    box.stop(GRACE)


def conclude(grip: Grip, ended: Ended) -> int:
    """Take in the work of a run whose relay has ended; return the exit code."""
    from realm.session import salvage, summary

    number = _number(ended)
    if number:
        grip.box.stop(GRACE)
    code, _ = together(grip.box.wait, grip.box.prefetch)
    grip.stream.close()
    code = 128 + number if number else code
    with grip.ui.progress("saving the work"):
        outcome = salvage.save(grip.engine, grip.started, grip.launch, grip.box, code, grip.view.files())
    summary.tell(grip.started, outcome, grip.ui)
    return code


def _number(ended: Ended) -> int:
    """Return the signal that stands for a relay's end, 0 when the box ended first."""
    if ended.reason is Reason.SIGNAL:
        return ended.signal or signal.SIGTERM
    return int(signal.SIGPIPE) if ended.reason is Reason.CLOSED else 0
