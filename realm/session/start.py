"""A new session: everything is checked before anything is written or started."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm import agents
from realm.config import Config
from realm.errors import RealmError, UsageError
from realm.model import Session, new_id
from realm.paths import remove_tree
from realm.sandbox import dockerargs, engine, image
from realm.session import approvals, begin
from realm.session import launch as launching
from realm.session.launch import Launch
from realm.session.lock import RunLock, run_directory
from realm.store import repo
from realm.store.names import check_name
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.model import Project
    from realm.session.requests import NewRequest
    from realm.session.ui import UI


def new(request: NewRequest, ui: UI) -> int:
    """Make a session, run the agent in a box, keep its work; return the agent's exit code.

    Raises :class:`RealmError` (and its kinds) when the name, the project, the
    login, the engine or the image is not fit; then nothing was made.
    """
    check_name(request.name)
    project = repo.discover(request.directory)
    config = Config(project.root)
    config.check()
    approvals.settle_patterns(project, ui)
    launch, connection, _ = together(
        lambda: _prepare(project, request, config),
        engine.connect,
        _warm_up,
    )
    history = launching.needs_history(project, config, local=connection.endpoint.local)
    launch = launch._replace(history=history)
    wanted = request.image or config.get("image") or None
    chosen = image.ensure(connection, wanted, ui.progress, config, part=launch.agent.image_part)
    launch = _with_wip(launch, request)
    approvals.announce(launch.include, ui)
    approvals.approve_record(project, launch.session)
    try:
        with RunLock(launch.session.id, request.name, 1) as lock:
            return begin.go(
                connection, launch, chosen, begin.Before(), lock, ui,
                check=_checked(launch), aside=lambda: _warn(launch, request, ui),
            )  # fmt: skip
    except BaseException:
        _forget(launch)
        raise


def _checked(launch: Launch) -> Callable[[], None]:
    """Return what checks the name and the base's objects; these now, where making the box needs them.

    A partial clone fetches what it has not; a box without the object store
    gets a pack of the history.
    """

    def check() -> None:
        from realm.store import refs

        refs.check_new(launch.project, launch.session.name)
        repo.ensure_readable(launch.project, launch.session.base)

    if not launch.history and not repo.is_partial(launch.project):
        return check
    check()
    return lambda: None


def _forget(launch: Launch) -> None:
    """Remove the run's directory of a session that did not come to be."""
    from realm.store import refs

    with suppress(RealmError):
        if refs.tips(launch.project, launch.session.name).code is None or _is_taken(launch):
            remove_tree(run_directory(launch.session.id))


def _is_taken(launch: Launch) -> bool:
    """Tell whether another session has the name."""
    from realm.store import record

    with suppress(RealmError):
        return record.read_session(launch.project, launch.session.name).id != launch.session.id
    return False


def _warm_up() -> None:
    """Import, while others wait for git, what is needed right after."""
    import realm.session.boxes  # noqa: F401


def _prepare(project: Project, request: NewRequest, config: Config) -> Launch:
    program = launching.agent_program(request.agent, config)
    agent = agents.find(program)
    args = dockerargs.parse(config.get("dockerArgs"))
    login = launching.find_login(agent, args)
    base, identity, ignore, include = together(
        lambda: _base(project, request, config),
        lambda: repo.identity(project, config.of_git()),
        lambda: repo.ignore_lines(project, config.of_git()),
        lambda: approvals.included(project, request.include, config.get_all("include")),
    )
    session = Session(
        id=new_id(),
        name=request.name,
        project=str(project.root),
        workspace=launching.workspace_path(project),
        base=base,
        created=time.time(),
        subdir=project.subdir,
        agent=program,
        image=request.image or "",
        conversation=agent.new_conversation(),
        include=repo.named(project, request.include),
    )
    return Launch(
        project=project,
        session=session,
        run=launching.new_run(1, base),
        config=config,
        login=login,
        args=args,
        agent_args=request.agent_args,
        include=include,
        identity=identity,
        ignore=ignore,
        tty=wants_tty(no_input=request.no_input)
        or (request.detach and agent.wants_screen(request.agent_args)),
        stdin=not request.no_input,
        detach=request.detach,
        record=False if request.no_record else None,
    )


def wants_tty(*, no_input: bool) -> bool:
    """Tell whether the agent gets a terminal: when the user sits at one on both sides."""
    return not no_input and sys.stdin.isatty() and sys.stdout.isatty()


def _base(project: Project, request: NewRequest, config: Config) -> str:
    if not request.remote:
        return repo.resolve_commit(project, "HEAD" if request.base is None else request.base)
    if request.base is not None:
        raise UsageError("--remote and --base both say where to start", "give one of them")
    from realm.store import remote

    return remote.fetch_branch(project, config.get("remote"), request.name)


def _warn(launch: Launch, request: NewRequest, ui: UI) -> None:
    left_out = 0 if request.wip else repo.dirty_count(launch.project)
    for warning in dockerargs.warnings(launch.args, launch.project.root):
        ui.warn(warning)
    for warning in launch.agent.warnings(launch.login):
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
    return launch._replace(run=launch.run._replace(before=commit))
