"""Runs a command on a session's work: in a sandbox that leaves nothing, or in a work tree on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from typing import TYPE_CHECKING

from realm import agents, git
from realm.config import INCLUDE
from realm.errors import RealmError
from realm.paths import remove_tree, scratched
from realm.sandbox import docker, flags, lookup
from realm.session import approvals, egress, images, neighbours, sandboxes, sight
from realm.session import plan as planning
from realm.session import run as running
from realm.session.exec import SHELL
from realm.session.lock import RunLock, run_directory
from realm.session.requests import ResumeRequest
from realm.session.review import CommitRange, commit_range
from realm.session.rewriting import changed
from realm.store import record, stores, worktree
from realm.terminal.relay.loop import relay
from realm.terminal.relay.tty import Terminal
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI, TryRequest
    from realm.session.run import Plan
    from realm.store.worktree import Include


def attempt(request: TryRequest, ui: UI) -> int:
    """Run a command, or a shell, on a session's work, and return its exit code; its changes are dropped.

    Raises :class:`RealmError` if there is no such session or turn, or it cannot be run.
    """
    whole = commit_range(request.at, request.directory)
    return _on_host(request, whole) if request.host else _in_sandbox(request, whole, ui)


def _in_sandbox(request: TryRequest, whole: CommitRange, ui: UI) -> int:
    project, name = whole.project, whole.name
    with record.Record(project, name) as found:
        session, last = found.session(), found.last()
    asked = ResumeRequest(name, request.directory, image=request.image, no_input=request.no_input)
    approvals.settle_record(project, session, ui, approve=False)
    approvals.settle_patterns(project, ui)
    plan = planning.following(project, session, last, asked)
    plain = neighbours.plain(project, session, session.neighbours)
    plan = plan._replace(run=planning.starting(plan.run.number, whole.tip), plain=plain)
    plan = planning.with_neighbours(plan, begins=True)
    own = session._replace(id=str(uuid.uuid4()))
    include = approvals.included(project, request.include, plan.config.values(INCLUDE), session.include)
    plan = plan._replace(
        session=own,
        login=_no_login(plan),
        api=None,
        exposed="",
        git_hosts=(),
        registries=(),
        include=include,
    )
    for warning in (*flags.risks(plan.args, project.root), *egress.warnings(plan)):
        ui.warn(warning)
    approvals.announce(plan.include, plan.dotfiles.notes, ui)
    neighbours.announce(plan, ui)
    stores.ensure_readable(project, whole.tip, session.base, running.outline(plan))
    with docker.connect() as connection:
        image = images.ensure(connection, plan, request.image, ui)
        try:
            with RunLock(own.id, name, 0):
                return _run(connection, plan, image, request.command or SHELL, ui)
        finally:
            remove_tree(run_directory(own.id))
            sandboxes.sweep(connection)


def _no_login(plan: Plan) -> agents.Login:
    """Return empty values for the agent's login in the variables that docker flags set."""
    given = flags.environment(plan.args)
    known = plan.agent.keyless(plan.login, plan.api, "", "", given) if plan.api else plan.login
    return agents.Login({name: "" for name in known.variables if name in given})


def _run(connection: Engine, plan: Plan, image: str, command: Sequence[str], ui: UI) -> int:
    seen = sight.find(plan)
    with (
        ui.progress("making the container"),
        egress.way(connection, plan, ui) as way,
        sandboxes.outfit(connection, plan, image, ["try", *command], seen, progress=ui.progress) as made,
    ):
        spec = made.spec._replace(owner=made.spec.owner._replace(role=lookup.TRY))
        sandbox = sandboxes.placed(connection, plan, made._replace(spec=spec), running.files(plan), way)
    try:
        return _joined(plan, sandbox)
    finally:
        sandbox.remove()


def _joined(plan: Plan, sandbox: Sandbox) -> int:
    """Connect the user's terminal, or pipes, to the sandbox until either ends; return the exit code."""
    terminal = Terminal(tty=plan.tty, stdin=plan.stdin)
    stream = sandbox.attach()
    with terminal.raw():
        ended = relay(
            changed(stream, plan.session.name, plan.config), terminal,
            tap=terminal.note, resize=sandbox.resize, begin=sandbox.start,
            interrupt=lambda: sandbox.signal(signal.SIGINT.name), alive=lambda: sandbox.state() == "running",
        )  # fmt: skip
    stream.close()
    return ended.code(sandbox.wait)


def _on_host(request: TryRequest, whole: CommitRange) -> int:
    project = whole.project
    copies = worktree.included(project, request.include)
    with scratched("try") as held:
        directory = held / project.name
        with worktree.linked(project, directory, whole.base, whole.tip):
            for item in copies:
                _copy(item, directory)
            below = directory / project.subdir
            shell = os.environ.get("SHELL") or "sh"
            return _wait(request.command or (shell,), below if below.is_dir() else directory)


def _copy(item: Include, directory: Path) -> None:
    """Copy a file into a work tree in which an agent may have left links."""
    target = directory / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(directory.resolve()):
        raise RealmError(f"{clean(item.path)} would be copied elsewhere", "leave it out of --include")
    target.unlink(missing_ok=True)
    shutil.copy2(item.source, target, follow_symlinks=False)


def _wait(command: Sequence[str], directory: Path) -> int:
    """Run a command and return its exit code as a shell would; Ctrl-C goes to the command."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, cwd=directory, env=git.user_environment())
        code = process.wait()
    except OSError as error:
        raise RealmError(f"{command[0]} cannot be run: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - code if code < 0 else code
