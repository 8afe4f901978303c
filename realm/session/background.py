"""Decides which process holds a run: this one, with the user's terminal, or a background process.

The background holder is forked from this process when the user leaves: it inherits the sandbox's stream, the
lock, the screen and the modes, and takes the agent's output until the agent ends, somebody attaches, or it is
told to stop.  It reports through a pipe that it has taken over, or why not.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import sys
import termios
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError, RunningError
from realm.interrupts import telling
from realm.paths import make_private
from realm.session import control as controls
from realm.session import loaded, recordings, untold
from realm.session.control import Control
from realm.session.holder import Holder, is_left
from realm.session.lock import RunLock, run_directory
from realm.session.run import kept
from realm.store import record
from realm.terminal.relay.protocols import Reason
from realm.terminal.relay.tty import Terminal, repair
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.control import Asked
    from realm.session.requests import UI
    from realm.session.run import Plan

LOG = "holder.log"
_READY = b"ready"
_ANSWER = 65536


class QuietUI:
    """The UI of a background holder: nobody reads it, so warnings are kept for the run's record."""

    interactive = False

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def warn(self, text: str) -> None:
        """Keep a warning for the record."""
        if text not in self._notes:
            self._notes.append(text)

    def info(self, text: str) -> None:
        """Do nothing: nobody reads it."""

    @contextlib.contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Do nothing: nobody reads it."""
        self.info(text)
        yield

    def confirm(self, question: str) -> bool:  # noqa: ARG002 - nobody is there to read it
        """Return no: nobody can answer."""
        return False


# -- in the foreground ---------------------------------------------------------


def attend(holder: Holder, *, begin: Callable[[], None] | None = None) -> int:
    """Hold a run with the user's terminal until the agent ends; return the exit code.

    ``begin`` starts the sandbox; without it the sandbox is running.  If the user leaves (the detach keys,
    a closed window), the agent continues with a background holder and the code is 0. While this process
    is suspended, a background holder has the run, too. If realm is told to end, it stops the agent and
    returns 128 plus the signal's number, as a shell does.
    """
    while True:
        # A closing window sends several SIGHUPs: outside the relay none of them may end this process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Control(holder.plan.session.id) as control:
            ended = holder.attend(control, begin=begin)
            if ended is None:
                holder.ui.info(f"{holder.plan.session.name} is now attached elsewhere")
                return 0
            if is_left(ended):
                code = _leave(holder, control, ended.reason)
        if not is_left(ended):
            return holder.conclude(ended)
        if ended.reason is not Reason.SUSPENDED:
            return code
        again = _suspended(holder)
        if again is None:
            return _ended_meanwhile(holder)
        holder, begin = again, None


def _suspended(holder: Holder) -> Holder | None:
    """Stop this process, as the shell expects after Ctrl-Z.

    Then take the run back, ``None`` if it is over.
    """
    holder.stream.close()
    holder.lock.close()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.killpg(0, signal.SIGTSTP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return take_over(holder.plan, holder.engine, holder.sandbox, holder.ui)


def _ended_meanwhile(holder: Holder) -> int:
    """Report on a run that ended while this process was stopped; return the agent's exit code."""
    plan = holder.plan
    name = plan.session.name
    run = next((run for run in record.read_runs(plan.project, name) if run.number == plan.run.number), None)
    if run is None or run.ended is None:
        raise RealmError(f"the background process of {name} is gone", f"realm stop {name} saves its work")
    untold.tell(plan.session.id, holder.ui)
    holder.ui.info(f"{name} has ended   realm resume {name}")
    return run.exit_code or 0


def take_over(
    plan: Plan, connection: Engine, sandbox: Sandbox, ui: UI, *, take: bool = False
) -> Holder | None:
    """Take the run over from its holder; ``None`` when there is none.

    Raises :class:`RunningError` when a terminal has it and ``take`` is false, or when its holder did not wait
    for this process.
    """
    name = plan.session.name
    size = Terminal().size()
    asked = controls.ask(plan.session, {"op": "attach", "take": take, "size": size})
    if asked is None:
        return None
    with contextlib.closing(asked):
        if not asked.answer.get("ok"):
            raise RunningError(
                f"session {name} is attached in another terminal",
                f"realm attach {name} --take shows it here instead",
            )
        stream_fd, lock_fd = asked.fds
        lock = RunLock.adopt(lock_fd, plan.session.id, name, plan.run.number)
        tty, drawing = bool(asked.answer.get("tty")), _decoded(asked, "drawing")
        stream = sandbox.stream(socket.socket(fileno=stream_fd), _decoded(asked, "ahead"), tty=tty)
        try:
            plan = plan._replace(tty=tty)
            holder = Holder(connection, plan, sandbox, lock, ui, stream, drawing)
            if asked.answer.get("size") != list(size):  # of a holder of an earlier version
                holder.drawing = holder.state.drawing()
            _confirm(holder, asked)
        except BaseException:
            lock.close()
            stream.close()
            raise
        lock.write()
        return holder


def _decoded(asked: Asked, key: str) -> bytes:
    return base64.b64decode(asked.answer.get(key, ""))


def _confirm(holder: Holder, asked: Asked) -> None:
    """Confirm that this process takes the run: it has all that is needed to hold it."""
    name = holder.plan.session.name
    if holder.plan.tty and not Terminal().interactive:
        raise RealmError("attaching needs a terminal", f"realm screen {name} shows what it shows")
    if not asked.confirm():
        raise RunningError(
            f"the holder of {name} resumed it before it could be taken over", f"realm attach {name}"
        )


def adopt(engine: Engine, plan: Plan, sandbox: Sandbox, lock: RunLock, ui: UI) -> int:
    """Show an agent whose holder was killed in this terminal until it ends; return the exit code.

    The holder may have been killed in this very terminal, so that is repaired first.  Screen and modes come
    from the recording.
    """
    drawing = b""
    if plan.tty:
        with contextlib.suppress(OSError, termios.error):
            repair(sys.stdin.fileno(), lines=False)
        drawing = recordings.drawing(recordings.place(plan.session.id, plan.run.number), Terminal().size())
    ui.info(f"run {plan.run.number} of {plan.session.name} is still running: attached")
    holder = Holder(engine, plan, sandbox, lock, ui, sandbox.attach(), drawing)
    with telling(kept(plan)):
        return attend(holder)


# -- in the background ---------------------------------------------------------


def start(holder: Holder) -> int:
    """Start the sandbox with a holder in the background; return this process's exit code."""
    plan = holder.plan
    with Control(plan.session.id) as control:
        holder.sandbox.start()
        if plan.tty:
            rows, columns = Terminal().size()
            holder.sandbox.resize(rows, columns)
        else:
            holder.stream.close_write()  # nobody is there to write anything
        code = _leave(holder, control, Reason.DETACHED)
    if plan.tty and not any(plan.agent_args) and plan.agent.options is not None:
        holder.ui.info(f"  it has no prompt: realm send {plan.session.name} 'what to do', or attach")
    return code


def _leave(holder: Holder, control: Control, why: Reason) -> int:
    """Hand the run to a background holder and return this process's exit code.

    A user who left by a key is told the way back; otherwise the terminal is gone and nobody reads it.  Raises
    :class:`RealmError` when that holder could not start.
    """
    name = holder.plan.session.name
    _fork(holder, control)
    if why not in (Reason.DETACHED, Reason.SUSPENDED):
        return 128 + signal.SIGHUP
    back = "fg" if why is Reason.SUSPENDED else f"realm attach {name}"
    holder.ui.info(f"{name} is running in the background")
    holder.ui.info(f"  {back}   realm stop {name}")
    return 0


def _fork(holder: Holder, control: Control) -> None:
    """Start the background holder and wait until it has the run; raise its error when it fails."""
    holder.state.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    told_by, ready = os.pipe()
    with loaded.settled():
        child = os.fork()
    if child == 0:
        os.close(told_by)
        _become_holder(holder, control, ready)
    os.close(ready)
    with os.fdopen(told_by, "rb") as pipe:
        answer = pipe.read(_ANSWER)
    if answer == _READY:
        return
    name = holder.plan.session.name
    reason = clean(answer.decode("utf-8", "replace"), limit=400) or "it was killed"
    raise RealmError(
        f"{name} has no background process: {reason}; the agent keeps running",
        f"realm attach {name} shows it, realm stop {name} ends it and saves its work",
    )


def _become_holder(holder: Holder, control: Control, ready: int) -> None:
    """Run as the background holder; never returns, and writes errors to the run's log.

    ``ready`` is the pipe on which it reports that it has taken over, or why not.
    """
    status = 1
    try:
        os.setsid()
        _silence(make_private(run_directory(holder.plan.session.id)) / LOG)
        holder.engine.renew()
        holder.books.renew()
        holder.prompts.renew()
        holder.ui = QuietUI(holder.notes)
        holder.lock.write(attached=False)
        os.write(ready, _READY)
        os.close(ready)
        ready = -1
        loaded.load_later()  # somebody may attach at once
        ended = holder.drain(control)
        if ended is not None:
            holder.conclude(ended)
            untold.keep(holder.plan.session.id, holder.notes)
        status = 0
    except BaseException as error:  # noqa: BLE001 - the last place where it can be said
        _say_why(holder, error, ready)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _say_why(holder: Holder, error: BaseException, ready: int) -> None:
    """Report to the waiting process, and to the next command, why this process no longer holds the run."""
    traceback.print_exc()
    reason = error.message if isinstance(error, RealmError) else f"{type(error).__name__}: {error}"
    if isinstance(error, RealmError) and error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    with contextlib.suppress(OSError):
        if ready >= 0:
            os.write(ready, reason.encode()[:4000])
        else:
            untold.keep(holder.plan.session.id, [*holder.notes, reason])


def _silence(log: Path) -> None:
    """Redirect the standard descriptors away from the terminal that was left."""
    nothing = os.open(os.devnull, os.O_RDWR)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _let_go()
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(written, 2)
    os.close(nothing)
    os.close(written)


def _let_go() -> None:
    """Close inherited descriptors, which could keep a lock or a pipe open as long as the agent works.

    realm opens its own with close-on-exec; those that came from its parent are not.
    """
    for path in list(Path("/dev/fd").iterdir()):
        descriptor = int(path.name)
        with contextlib.suppress(OSError):
            if descriptor > sys.stderr.fileno() and os.get_inheritable(descriptor):
                os.close(descriptor)
