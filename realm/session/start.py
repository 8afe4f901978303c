"""A new session: everything is checked before anything is written or started."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
import uuid
from typing import TYPE_CHECKING

from realm.agent.login import find_login
from realm.agent.login import warnings as login_warnings
from realm.box import dockerargs, engine, image
from realm.config import Config
from realm.errors import RealmError, UnpreparedError, UsageError
from realm.model import Session, State, Totals
from realm.session import launch as launching
from realm.session import registry
from realm.session.finish import Started
from realm.session.launch import Launch
from realm.session.lock import RunLock, run_directory
from realm.store import record, refs, remote, repo
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.box.container import Box
    from realm.box.engine import Engine
    from realm.model import Project
    from realm.session.requests import NewRequest
    from realm.session.ui import UI


def new(request: NewRequest, ui: UI) -> int:
    """Make a session, run the agent in a box, keep its work; return the agent's exit code.

    Raises :class:`RealmError` (and its kinds) when the name, the project, the
    login, the engine or the image is not fit; then nothing was made.
    """
    refs.check_name(request.name)
    project = repo.discover(request.directory)
    config = Config(project.root)
    _, launch, connection, left_out, _ = together(
        lambda: refs.check_new(project, request.name),
        lambda: _prepare(project, request, config),
        engine.connect,
        lambda: 0 if request.wip else repo.dirty_count(project),
        _warm_up,
    )
    history = launching.needs_history(project, config, local=connection.endpoint.local)
    launch = dataclasses.replace(launch, history=history)
    wanted = request.image or config.get("image") or None
    chosen = image.ensure(connection, wanted, ui.progress, config)
    _warn(launch, left_out, ui)
    launch = _with_wip(launch, request)
    try:
        with RunLock(launch.session.id, request.name, 1) as lock:
            started = begin(launch, None, State.RUNNING)
            registry.remember(project.root)
            return go(connection, started, launch, chosen, lock, ui)
    except BaseException:
        _forget(launch)
        raise


def _forget(launch: Launch) -> None:
    """Remove the run's directory of a session that did not come to be."""
    if refs.tips(launch.project, launch.session.name).code is None:
        shutil.rmtree(run_directory(launch.session.id), ignore_errors=True)


def _warm_up() -> None:
    """Import, while others wait for git, what is needed right after."""
    import realm.session.boxes
    import realm.store.objects  # noqa: F401


def _start_warm(box: Box) -> None:
    """Start the box and import, while the engine is at it, what the end of the run needs."""

    def load() -> None:
        import realm.session.salvage
        import realm.session.summary  # noqa: F401

    together(box.start, load)


def _prepare(project: Project, request: NewRequest, config: Config) -> Launch:
    program = launching.agent_program(request.agent or config.get("agent"))
    login = find_login(required=not program)
    base, identity, ignore, include = together(
        lambda: _readable_base(project, request, config),
        lambda: repo.identity(project),
        lambda: repo.ignore_lines(project),
        lambda: repo.included(project, request.include, config.get_all("include")),
    )
    session = Session(
        id=str(uuid.uuid4()),
        name=request.name,
        project=str(project.root),
        workspace=launching.workspace_path(project),
        base=base,
        created=time.time(),
        subdir=project.subdir,
        agent=program,
        image=request.image or "",
        conversation=None if program else str(uuid.uuid4()),
    )
    return Launch(
        project=project,
        session=session,
        run=launching.new_run(1, base),
        config=config,
        login=login,
        args=dockerargs.parse(config.get("dockerArgs")),
        agent_args=request.agent_args,
        include=tuple(include),
        identity=identity,
        ignore=ignore,
        tty=wants_tty(no_input=request.no_input) or (request.detach and wants_screen(request.agent_args)),
        stdin=not request.no_input,
        detach=request.detach,
        record=False if request.no_record else None,
    )


def wants_tty(*, no_input: bool) -> bool:
    """Tell whether the agent gets a terminal: when the user sits at one on both sides."""
    return not no_input and sys.stdin.isatty() and sys.stdout.isatty()


def wants_screen(agent_args: Sequence[str]) -> bool:
    """Tell whether an agent that nobody watches yet gets a terminal: unless it is told to print and exit."""
    return not any(argument in ("-p", "--print") for argument in agent_args)


def _readable_base(project: Project, request: NewRequest, config: Config) -> str:
    base = _base(project, request, config)
    repo.ensure_readable(project, base)
    return base


def _base(project: Project, request: NewRequest, config: Config) -> str:
    if not request.remote:
        return repo.resolve_commit(project, "HEAD" if request.base is None else request.base)
    if request.base is not None:
        raise UsageError("--remote and --base both say where to start", "give one of them")
    return remote.fetch_branch(project, config.get("remote"), request.name)


def _warn(launch: Launch, left_out: int, ui: UI) -> None:
    for warning in dockerargs.warnings(launch.args, launch.project.root):
        ui.warn(warning)
    for warning in login_warnings(launch.login):
        ui.warn(warning)
    if left_out:
        one = left_out == 1
        files = "1 changed file is" if one else f"{left_out} changed files are"
        stay = "stays" if one else "stay"
        ui.warn(f"{files} not committed and {stay} out of the box (--wip takes such changes along)")


def _with_wip(launch: Launch, request: NewRequest) -> Launch:
    """Make the uncommitted changes the session's first commit."""
    if not request.wip:
        return launch
    tree = repo.write_wip(launch.project, launch.session.base)
    if tree is None:
        return launch
    from realm.store.commits import commit_tree

    message = f"Uncommitted changes when {request.name} began\n\nRealm-Session: {request.name}\n"
    commit = commit_tree(
        launch.project, tree=tree, parent=launch.session.base, message=message, identity=launch.identity
    )
    return dataclasses.replace(launch, run=dataclasses.replace(launch.run, before=commit))


def begin(launch: Launch, parent: str | None, state: State, totals: Totals | None = None) -> Started:
    """Write the record of a run that starts and move the refs to it, together.

    ``parent`` is the record of the run before, ``None`` for a new session.
    """
    name = launch.session.name
    meta = record.write(
        launch.project, parent=parent, previous=None, session=launch.session, run=launch.run,
        totals=totals or Totals(), state=state, files={},
    )  # fmt: skip
    updates = [refs.RefUpdate(refs.META + name, parent, meta)]
    if parent is None:
        updates.append(refs.RefUpdate(refs.CODE + name, None, launch.run.before))
    refs.transact(launch.project, updates, f"realm: run {launch.run.number} begins")
    return Started(launch.project, launch.session, launch.run, meta, parent)


def go(connection: Engine, started: Started, launch: Launch, chosen: str, lock: RunLock, ui: UI) -> int:
    """Run the agent of a recorded run; when its box cannot be made the record goes back."""
    try:
        box, _ = together(lambda: _made(connection, launch, chosen), _import_hold)
    except BaseException:
        _back(started)
        raise
    try:
        return _held(connection, started, launch, box, lock, ui)
    except RealmError as error:
        if isinstance(error, UnpreparedError) or box.state() == "created":
            box.remove()
            _back(started)
        raise


def _made(connection: Engine, launch: Launch, chosen: str) -> Box:
    from realm.session import boxes

    return boxes.create(connection, launch, chosen)


def _import_hold() -> None:
    import realm.session.hold
    import realm.session.view  # noqa: F401


def _held(connection: Engine, started: Started, launch: Launch, box: Box, lock: RunLock, ui: UI) -> int:
    from realm.session import hold
    from realm.session.grip import take

    grip = take(connection, started, launch, box, lock, ui, box.attach())
    if not launch.detach:
        return hold.attend(grip, begin=lambda: _start_warm(box))
    from realm.session import keeper

    return keeper.start(grip)


def _back(started: Started) -> None:
    """Undo :func:`begin`: nothing ran, so nothing stays."""
    name = started.session.name
    updates = [refs.RefUpdate(refs.META + name, started.meta, started.parent)]
    if started.parent is None:
        updates.append(refs.RefUpdate(refs.CODE + name, started.run.before, None))
    refs.transact(started.project, updates, "realm: the box could not be started")
