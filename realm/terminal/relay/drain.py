"""Holding a box's stream while nobody looks: output is taken so that the program can go on."""

from __future__ import annotations

import select
import signal
from typing import TYPE_CHECKING

from realm.terminal.relay.broken import Silence, joined
from realm.terminal.relay.frames import Demux
from realm.terminal.relay.loop import QUIET
from realm.terminal.relay.pace import PIECE
from realm.terminal.relay.sides import Ended, Reason
from realm.terminal.relay.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realm.terminal.relay.sides import Stream

_ENDING = (signal.SIGTERM, signal.SIGINT)


def drain(
    box: Stream,
    *,
    tap: Callable[[bytes], object],
    idle: Callable[[], bool],
    watch: Mapping[int, Callable[[], bool]],
    alive: Callable[[], bool] | None = None,
    again: Callable[[], Stream | None] | None = None,
) -> Ended:
    """Take a box's output until it ends or SIGTERM or SIGINT arrives; return why.

    ``tap``, ``idle``, ``watch``, ``alive`` and ``again`` are as in :class:`realm.terminal.relay.sides.Hooks`;
    what they raise ends the draining.  The box's input stays open: the program
    waits for whoever comes back.  SIGHUP is ignored.
    """
    with Wakeup((*_ENDING, signal.SIGHUP)) as wakeup:
        return joined(box, lambda box: _loop(box, wakeup, tap, idle, watch, Silence(alive)), again)


def _loop(
    box: Stream,
    wakeup: Wakeup,
    tap: Callable[[bytes], object],
    idle: Callable[[], bool],
    watch: Mapping[int, Callable[[], bool]],
    silence: Silence,
) -> Ended:
    demux = None if box.tty else Demux()
    working = silent = True
    fds = [box.fileno(), wakeup.fileno(), *watch]
    while True:
        ahead = box.pending() > 0
        rest = QUIET if working else silence.left() if silent else None
        readable, _, _ = select.select(fds, (), (), 0 if ahead else rest)
        if not readable and not ahead:
            if silent and silence.is_lasting():
                return Ended(Reason.EOF)
            working = idle()
            continue
        if wakeup.fileno() in readable:
            ending = [number for number in wakeup.take() if number != signal.SIGHUP]
            if ending:
                return Ended(Reason.SIGNAL, ending[0])
        for fd in readable:
            if fd in watch:
                watch[fd]()
        if ahead or box.fileno() in readable:
            reason = _take(box, demux, tap)
            if reason is not None:
                return Ended(reason)
            working, silent = True, False


def _take(box: Stream, demux: Demux | None, tap: Callable[[bytes], object]) -> Reason | None:
    """Take one piece of output; return why there is no more, when there is none."""
    try:
        chunk = box.recv(PIECE)
    except BlockingIOError:
        return None
    except OSError:
        return Reason.LOST
    if not chunk:
        return Reason.EOF
    for data in [chunk] if demux is None else [data for _, data in demux.feed(chunk)]:
        tap(data)
    return None
