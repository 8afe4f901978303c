"""Holding a run: box and terminal joined until the agent ends, then its work taken in.

One process at a time holds a run, with a terminal or, once it was left, without
(:mod:`realm.session.keeper`).  Whoever holds it answers on the run's line.
"""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

from realm.session import logins
from realm.session.attention import Attention
from realm.session.grip import Grip, HandedOverError, StoppedError, answering, conclude, give, halt
from realm.session.line import Line
from realm.session.rejoin import alive, rejoin
from realm.terminal.relay import detach
from realm.terminal.relay.loop import relay
from realm.terminal.relay.protocols import Ended, Reason
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.relay.protocols import Stream

_GONE = {Reason.HANGUP, Reason.DETACHED}


def attend(grip: Grip, *, begin: Callable[[], None] | None = None, drawing: bytes = b"") -> int:
    """Join the user's terminal with the box until the agent ends; return the exit code.

    ``begin`` starts the box; without it the box is running and ``drawing`` is
    what it shows.  Left alone (the detach keys, a closed window) the agent goes
    on with a keeper and the code is 0.  Told to end, realm stops the agent and
    gives 128 plus the signal's number, as a shell has it.
    """
    # A closing window sends more than one SIGHUP: outside the relay none may end us.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    attention = Attention(grip)
    with Line(grip.started.session.id) as line:
        try:
            ended = _joined(grip, attention, line, begin, drawing)
        except StoppedError:
            halt(grip)
            ended = Ended(Reason.EOF)
        if ended is None:
            grip.ui.info(f"{grip.started.session.name} is now attached elsewhere")
            return 0
        if _is_left(ended):
            from realm.session import keeper

            return keeper.leave(grip, line, told=ended.reason is Reason.DETACHED)
    code = conclude(grip, ended)
    attention.ended()
    return code


def _is_left(ended: Ended) -> bool:
    return ended.reason in _GONE or ended.signal == signal.SIGHUP


def _joined(
    grip: Grip, attention: Attention, line: Line, begin: Callable[[], None] | None, drawing: bytes
) -> Ended | None:
    """Relay until it ends, ``None`` when the run was handed over; a hand-over that fails is forgotten."""
    while True:
        try:
            return _relayed(grip, attention, line, begin, drawing)
        except HandedOverError as over:
            if give(grip, over.call):
                return None
            begin, drawing = None, grip.view.drawing()


def _relayed(
    grip: Grip, attention: Attention, line: Line, begin: Callable[[], None] | None, drawing: bytes
) -> Ended:
    launch = grip.launch
    terminal = Terminal(tty=launch.tty, stdin=launch.stdin)
    terminal.modes = grip.view.modes
    keys = detach.parse(launch.config.get("detachKeys")) if launch.tty else ()
    sizes = _Sizes(grip, redraw=begin is None)

    def again() -> Stream | None:
        if not rejoin(grip):
            return None
        sizes.redraw = True
        return attention.listen()

    left = False  # who leaves, or hands the run over, leaves an agent that goes on
    with (
        logins.in_step(grip.box, launch.agent, launch.login, grip.ui),
        terminal.raw(lambda: "" if left else grip.view.text()),
    ):
        if drawing:
            terminal.show(drawing)
        try:
            ended = relay(
                attention.stream,
                terminal,
                tap=grip.view.feed,
                resize=sizes,
                begin=begin,
                interrupt=lambda: grip.box.signal(signal.SIGINT.name),
                idle=grip.view.work,
                watch={line.fileno(): answering(line, attached=True)},
                alive=partial(alive, grip),
                again=again,
                detach=keys,
            )
        except HandedOverError:
            left = True
            raise
        left = _is_left(ended)
    return ended


class _Sizes:
    """Passes sizes on; with ``redraw`` the next one differs for a moment, so that the program draws anew."""

    def __init__(self, grip: Grip, *, redraw: bool) -> None:
        self._grip = grip
        self.redraw = redraw

    def __call__(self, rows: int, columns: int) -> None:
        """Tell the box its size."""
        if self.redraw and self._grip.launch.tty:
            self._grip.box.resize(max(1, rows - 1), columns)
        self.redraw = False
        self._grip.box.resize(rows, columns)
        self._grip.view.resize(rows, columns)
