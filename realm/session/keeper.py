"""The keeper: a holder without a terminal.

It is the same process image, forked when the user leaves: it has the box's
stream, the lock, the screen and the account of modes, and goes on taking the
agent's output until the agent ends, somebody attaches, or it is told to stop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.paths import make_private
from realm.session import grip as grips
from realm.session import logins
from realm.session.line import Line
from realm.session.lock import run_directory
from realm.session.rejoin import alive, rejoin
from realm.terminal.relay.ears import Ears
from realm.terminal.relay.loop import drain
from realm.terminal.relay.overheard import Overheard
from realm.terminal.relay.protocols import Ended, Reason
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.session.grip import Grip
    from realm.terminal.relay.protocols import Stream

LOG = "keeper.log"


class QuietUI:
    """A voice that only its log hears."""

    interactive = False

    def warn(self, text: str) -> None:
        """Write a warning."""

    def info(self, text: str) -> None:
        """Write what was done."""

    @contextlib.contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Write what is going on."""
        self.info(text)
        yield

    def confirm(self, question: str) -> bool:  # noqa: ARG002 - nobody is there to read it
        """Return no: nobody can answer."""
        return False


def start(grip: Grip) -> int:
    """Start the box with a keeper from the beginning; return this process's exit code."""
    with Line(grip.started.session.id) as line:
        grip.box.start()
        grip.box.deliver(grip.stream)
        if grip.launch.tty:
            rows, columns = Terminal().size()
            grip.box.resize(rows, columns)
        return leave(grip, line, told=True)


def leave(grip: Grip, line: Line, *, told: bool) -> int:
    """Let a keeper hold the run and return this process's exit code.

    With ``told`` the user asked for it and is told the way back; otherwise the
    terminal is gone and nobody reads what is said.
    """
    grip.view.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    told_by, ready = os.pipe()
    if os.fork() == 0:
        _become_keeper(grip, line, ready)
    os.close(ready)
    os.read(told_by, 1)  # ends when the keeper has let go of all that is ours
    if not told:
        return 128 + signal.SIGHUP
    name = grip.started.session.name
    grip.ui.info(f"{name} goes on without a terminal")
    grip.ui.info(f"  realm attach {name}   realm stop {name}")
    return 0


def _become_keeper(grip: Grip, line: Line, ready: int) -> None:
    """Run as the keeper and never return; what goes wrong is in the run's log.

    Closing ``ready`` says that this process is on its own.
    """
    status = 1
    try:
        os.setsid()
        _silence(make_private(run_directory(grip.started.session.id)) / LOG)
        grip.engine.close()
        grip.ui = QuietUI()
        grip.lock.write(attached=False)
        os.close(ready)
        keep(grip, line)
        status = 0
    except BaseException as error:  # noqa: BLE001 - the last place where it can be said
        traceback.print_exc()
        if isinstance(error, RealmError) and error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _silence(log: Path) -> None:
    """Point the standard descriptors away from the terminal that was left."""
    nothing = os.open(os.devnull, os.O_RDWR)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _let_go()
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(written, 2)
    os.close(nothing)
    os.close(written)


def _let_go() -> None:
    """Close what whoever started realm left open: a lock or a pipe would be held as long as the agent works.

    Everything that realm opens itself is closed on exec; what came by exec is not.
    """
    for path in list(Path("/dev/fd").iterdir()):
        descriptor = int(path.name)
        with contextlib.suppress(OSError):
            if descriptor > sys.stderr.fileno() and os.get_inheritable(descriptor):
                os.close(descriptor)


def keep(grip: Grip, line: Line) -> None:
    """Hold the run until the agent ends and its work is taken in, or until somebody attaches."""
    grip.caller.leave()
    try:
        ended = _drained(grip, line)
    except grips.StoppedError:
        grips.halt(grip)
        ended = Ended(Reason.EOF)
    if ended is not None:
        grips.conclude(grip, ended)
        grip.caller.ended()


def _listening(grip: Grip) -> tuple[Stream, Callable[[bytes], object]]:
    """Return the stream to drain and what takes its output; whoever calls the user hears it."""
    if grip.stream.tty:
        return Overheard(grip.stream, grip.hear), grip.view.keep
    ears = Ears(grip.hear)

    def tap(data: bytes) -> None:
        ears.hear(data)
        grip.view.keep(data)

    return grip.stream, tap


def _drained(grip: Grip, line: Line) -> Ended | None:
    """Take the box's output until it ends; ``None`` when the run was handed over."""
    while True:
        stream, tap = _listening(grip)
        try:
            with logins.in_step(grip.box, grip.launch.agent, grip.launch.login, grip.ui):
                return drain(
                    stream,
                    tap=tap,
                    idle=grip.view.work,
                    watch={line.fileno(): grips.answering(line, attached=False)},
                    alive=partial(alive, grip),
                    again=lambda: _listening(grip)[0] if rejoin(grip) else None,
                )
        except grips.HandedOverError as over:
            if grips.give(grip, over.call):
                return None
