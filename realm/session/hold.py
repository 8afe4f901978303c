"""Holding a run: box and terminal joined until the agent ends, then its work taken in."""

from __future__ import annotations

import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from realm.box.container import Box
from realm.paths import make_private, realm_home
from realm.session import launch as launching
from realm.session import logins, salvage, summary
from realm.session.tail import Tail
from realm.store import repo
from realm.terminal.relay import relay
from realm.terminal.sides import Reason
from realm.terminal.tty import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.box.engine import Engine
    from realm.session.finish import Outcome, Started
    from realm.session.launch import Launch
    from realm.session.ui import UI
    from realm.terminal.sides import Ended

GRACE = 10.0
"""Seconds that an agent has to end after being told to."""


def create(engine: Engine, launch: Launch, image: str) -> Box:
    """Make the box of a run, ready to be started."""
    spec = launching.spec(launch, image, ["run", *launching.argv(launch)])
    with packs(launch, launch.run.before) as history:
        return Box.create(engine, spec, launching.files(launch, history), args=launch.args)


@contextmanager
def packs(launch: Launch, *tips: str) -> Iterator[list[Path]]:
    """Give the history of ``tips`` as files, for a box without the object store; else nothing."""
    if not launch.history:
        yield []
        return
    with tempfile.TemporaryDirectory(dir=make_private(realm_home() / "tmp"), prefix="history-") as directory:
        yield repo.history_pack(launch.project, tips, Path(directory))


def attend(engine: Engine, started: Started, launch: Launch, box: Box, ui: UI, *, fresh: bool) -> int:
    """Join the user's terminal with the box until the agent ends; return its exit code.

    ``fresh`` starts the box; otherwise it is one that went on without a
    holder.  When realm is told to end, or the terminal or whoever reads the
    output is gone, the agent is stopped, its work taken in, and the code is
    128 plus the signal's number, as a shell has it.
    """
    tail = Tail()
    with logins.in_step(engine, box, launch.login):
        number = _ending(_joined(box, launch, tail, fresh=fresh))
        if number:
            box.stop(GRACE)
        code = box.wait()
    if number:
        code = 128 + number
    outcome = finish(engine, started, launch, box, code, tail, ui)
    summary.tell(started, outcome, ui)
    return code


def _ending(ended: Ended) -> int:
    """Return the signal that stands for a relay's end, 0 when the box ended first."""
    if ended.reason is Reason.SIGNAL:
        return ended.signal or signal.SIGTERM
    return {Reason.HANGUP: int(signal.SIGHUP), Reason.CLOSED: int(signal.SIGPIPE)}.get(ended.reason, 0)


def _joined(box: Box, launch: Launch, tail: Tail, *, fresh: bool) -> Ended:
    terminal = Terminal(tty=launch.tty, stdin=launch.stdin)
    stream = box.attach()
    try:
        with terminal.raw(lambda: tail.text(terminal.size())):
            return relay(
                stream,
                terminal,
                tap=tail.feed,
                resize=box.resize,
                begin=box.start if fresh else None,
                interrupt=lambda: box.signal(signal.SIGINT.name),
            )
    finally:
        stream.close()


def finish(
    engine: Engine, started: Started, launch: Launch, box: Box, code: int, tail: Tail, ui: UI
) -> Outcome:
    """Take in the work of a box that has stopped."""
    screen = tail.files(Terminal().size()) if launch.tty else {}
    with ui.progress("saving the work"):
        return salvage.save(engine, started, launch, box, code, screen)
