"""Going on with a session: what is left over first, then a new run on its tip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm import agents
from realm.config import Config
from realm.errors import NoSuchSessionError, RealmError, RunningError, UnpreparedError
from realm.sandbox import dockerargs, engine, image, lookup
from realm.session import approvals, begin, rebase, salvage, summary
from realm.session import launch as launching
from realm.session.begin import Started
from realm.session.find import find, sound
from realm.session.launch import Launch
from realm.session.lock import RunLock
from realm.session.start import wants_tty
from realm.store import record, refs, repo

if TYPE_CHECKING:
    from realm.agents import Agent, Login
    from realm.model import Project, Run, Session
    from realm.sandbox.box import Box
    from realm.sandbox.dockerargs import DockerArgs
    from realm.sandbox.engine import Engine
    from realm.session.requests import ResumeRequest
    from realm.session.ui import UI


def resume(request: ResumeRequest, ui: UI) -> int:
    """Go on with a session in a new box, in the same conversation; return the agent's exit code.

    What a record that this machine did not write asks for is approved first.
    Work that an earlier run left in its box is saved then; a box that still
    runs without anybody attached is attached to instead.  Raises
    :class:`RunningError` while another process holds a run.
    """
    project = sound(find(request.name, request.directory), request.name)
    session = record.read_session(project, request.name)
    Config(project.root).check()
    approvals.settle_record(project, session, ui, approve=request.approve)
    approvals.settle_patterns(project, ui)
    runs = record.read_runs(project, request.name)
    number = runs[-1].number if runs else 0
    with RunLock(session.id, session.name, number + 1) as lock:
        connection = engine.connect()
        launch = prepare(project, session, runs, request, local=connection.endpoint.local)
        going_on = _settle(connection, launch, runs, ui)
        if going_on is not None:
            return _take_over(connection, launch, runs[-1], going_on, request, lock, ui)
        if request.rebase:
            launch = rebase.rebase(connection, launch, _image(connection, request, launch, ui), ui)
        return _run(connection, launch, request, lock, ui)


def prepare(
    project: Project, session: Session, runs: list[Run], request: ResumeRequest, *, local: bool
) -> Launch:
    """Return what a next run, or the rest of the last one, would need; a missing login is no error yet."""
    config = Config(project.root)
    agent = agents.find(session.agent)
    args = dockerargs.parse(config.get("dockerArgs"))
    return Launch(
        project=project,
        session=session._replace(project=str(project.root)),
        run=launching.new_run(len(runs) + 1, ""),
        config=config,
        login=_login(agent, args),
        args=args,
        identity=repo.identity(project, config.of_git()),
        ignore=repo.ignore_lines(project, config.of_git()),
        agent_args=request.agent_args,
        include=approvals.included(project, (), config.get_all("include"), session.include),
        resume=True,
        history=launching.needs_history(project, config, local=local),
        tty=wants_tty(no_input=request.no_input)
        or (request.detach and agent.wants_screen(request.agent_args)),
        stdin=not request.no_input,
        detach=request.detach,
        record=False if request.no_record else None,
    )


def _login(agent: Agent, args: DockerArgs) -> Login:
    try:
        return launching.find_login(agent, args)
    except RealmError:
        return agents.Login()


def _image(connection: Engine, request: ResumeRequest, launch: Launch, ui: UI) -> str:
    wanted = request.image or launch.session.image or launch.config.get("image") or None
    return image.ensure(connection, wanted, ui.progress, launch.config, part=launch.agent.image_part)


def _run(connection: Engine, launch: Launch, request: ResumeRequest, lock: RunLock, ui: UI) -> int:
    project, name = launch.project, launch.session.name
    tips = refs.tips(project, name)
    runs = record.read_runs(project, name)
    if tips.code is None or tips.meta is None:
        raise NoSuchSessionError(f"session {name} is gone", "realm restore brings a removed session back")
    row = refs.rows(project, [name])[0]
    launch = launch._replace(
        session=record.read_session(project, name),
        login=launching.find_login(launch.agent, launch.args),
        run=launching.new_run(len(runs) + 1, tips.code),
        transcript=_transcript(project, name, runs),
    )
    chosen = _image(connection, request, launch, ui)
    for warning in dockerargs.warnings(launch.args, project.root):
        ui.warn(warning)
    approvals.announce(launch.include, ui)
    repo.ensure_readable(project, tips.code)
    return begin.go(connection, launch, chosen, begin.Before(tips.meta, row.totals), lock, ui)


def _transcript(project: Project, name: str, runs: list[Run]) -> bytes | None:
    """Return the conversation as the last run that had one left it."""
    for run in reversed(runs):
        found = record.read_file(project, name, f"runs/{run.number:04d}/transcript.jsonl")
        if found:
            return found
    return None


def _settle(connection: Engine, launch: Launch, runs: list[Run], ui: UI) -> Box | None:
    """Bring home what earlier boxes still hold; return one that is still running."""
    lookup.clear(connection, launch.session.id)
    for box in lookup.find(connection, session_id=launch.session.id):
        state = box.state()
        if state == "running":
            _check_ours(box, launch)
            return box
        if state == "created" or not runs or runs[-1].ended is not None:
            box.remove()
            continue
        started = started_before(launch, runs[-1])
        try:
            with ui.progress("saving what the last run left in its box"):
                outcome = salvage.save(connection, started, _as(launch, runs[-1]), box, box.wait())
        except UnpreparedError:
            box.remove()
            continue
        ui.info(f"run {runs[-1].number} of {launch.session.name} had not been saved: it is now")
        summary.tell(started, outcome, ui)
    return None


def _check_ours(box: Box, launch: Launch) -> None:
    """Raise when a running box belongs to another realm directory: who holds it is only known there."""
    own, name = launching.home_label(), launch.session.name
    if box.labels.get("realm.home", own) != own:
        raise RunningError(
            f"a run of session {name} is going on that was started with another REALM_HOME or user",
            f"realm attach {name} there; when nobody holds it there any more: realm stop {name}",
        )


def _as(launch: Launch, run: Run) -> Launch:
    return launch._replace(run=run)


def started_before(launch: Launch, run: Run) -> Started:
    """Return a run that began earlier as git has recorded it."""
    project, name = launch.project, launch.session.name
    meta = refs.tips(project, name).meta
    if meta is None:
        raise RealmError(f"session {name} has lost its record", f"git log {refs.META}{name}")
    return Started(project, launch.session, run, meta, record.parent(project, meta))


def _take_over(
    connection: Engine, launch: Launch, run: Run, box: Box, request: ResumeRequest, lock: RunLock, ui: UI
) -> int:
    """Attach to a box whose holder is gone; it knows nothing of new arguments."""
    if request.agent_args or request.rebase:
        raise RunningError(
            f"run {run.number} of {launch.session.name} is still going on in its box",
            f"realm attach {launch.session.name} shows it, realm stop {launch.session.name} ends it",
        )
    if box.tty and not wants_tty(no_input=request.no_input):
        raise RunningError(
            f"run {run.number} of {launch.session.name} is still going on, and needs a terminal to be shown",
            f"realm stop {launch.session.name} ends it and saves its work",
        )
    from realm.session import orphan

    launch = _as(launch, run)._replace(tty=box.tty)
    return orphan.attend(connection, started_before(launch, run), launch, box, lock, ui)
