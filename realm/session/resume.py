"""Resuming a session: unsaved work first, then a new run on its tip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.config import INCLUDE, Config
from realm.errors import NoSuchSessionError, RealmError, RunningError
from realm.paths import current_directory
from realm.sandbox import docker, flags
from realm.session import (
    approvals,
    background,
    claim,
    egress,
    images,
    intake,
    keys,
    neighbours,
    onto,
    rebase,
    sight,
    untold,
    words,
)
from realm.session import plan as planning
from realm.session import run as running
from realm.session.begin import begin
from realm.session.find import locate
from realm.session.lock import RunLock
from realm.session.requests import At
from realm.store import listing, record, repo, stores
from realm.text import clean
from realm.together import Begun

if TYPE_CHECKING:
    from realm.model import Run
    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI, ResumeRequest
    from realm.session.run import Plan


def resume(request: ResumeRequest, ui: UI, connected: Engine | None = None) -> int:
    """Continue a session in a new sandbox, in the same conversation; return the agent's exit code.

    Work that an earlier run left in its sandbox is saved first; if its sandbox still runs without a holder,
    this attaches to it instead.  Requests in a record that this machine did not write need the user's
    approval before a new run.  ``connected`` is an engine that was found already.  Raises
    :class:`RunningError` while another process holds a run.
    """
    engine = Begun(lambda: connected or docker.connect())
    if request.turn is not None:
        _rewind(At(request.name, request.turn), request, ui)
    project = locate(request.name, request.directory).sound().project
    if request.directory is None and not current_directory().is_relative_to(project.root):
        ui.info(f"{request.name} is a session of {clean(str(project.root))}")
    with record.Record(project, request.name) as found:
        session, last = found.session(), found.last()
    plan = planning.following(project, session, last, request)
    claim.check(project, session)
    with RunLock(session.id, session.name, plan.run.number) as lock:
        claim.take(project, session)
        connection = engine.result()
        untold.tell(session.id, ui)
        sandbox = intake.recover(connection, plan, last, ui)
        if sandbox is not None:
            return _take_over(
                connection, plan, intake.recorded_run(sandbox, plan, last), sandbox, request, lock, ui
            )
        approvals.settle_record(project, session, ui, approve=request.approve)
        planning.mention_removed(Config(project.root), ui)
        approvals.settle_patterns(project, ui)
        if request.rebase:
            plan = rebase.rebase(connection, plan, images.ensure(connection, plan, request.image, ui), ui)
        if request.take is not None:
            onto.put(project, session.name, request.take, ui)
        return _run(connection, plan, request, lock, ui)


def _rewind(at: At, request: ResumeRequest, ui: UI) -> None:
    from realm.session.travel import rewind

    moved = rewind(at, request.directory, moves=False)
    if moved.code != moved.before:
        ui.info(
            f"{at.name} is back where turn {moved.turn} ended; what came later stays for 30 days: "
            f"realm restore {at.name} --replace"
        )


def _run(connection: Engine, plan: Plan, request: ResumeRequest, lock: RunLock, ui: UI) -> int:
    project, name = plan.project, plan.session.name
    row = next(iter(listing.rows(project, [name])), None)
    if row is None or row.code is None or row.meta is None:
        raise NoSuchSessionError(f"session {name} is gone", "realm restore brings a removed session back")
    with record.Record(project, name) as found:
        session, runs = found.session(), found.numbers()
        continued, transcript = _conversation(found, name, ui) if plan.agent.conversations else (0, None)
        briefing = ""
        if transcript and session.conversation is None and (new := plan.agent.new_conversation()):
            ui.info(
                f"secrets were taken out of the conversation of {name}: the agent starts a new one, from "
                "a summary"
            )
            continued, transcript, session = 0, None, session._replace(conversation=new)
            briefing = words.summary(found, session)
    before = session.neighbours
    start = request.directory or current_directory()
    session = neighbours.named(project, session, request.neighbours, start)
    plain = neighbours.plain(project, session, before)
    if session.neighbours != before:
        approvals.approve_record(project, session)
    plan = plan._replace(
        session=session,
        include=approvals.included(project, (), plan.config.values(INCLUDE), session.include),
        login=planning.find_login(plan.agent, plan.args),
        run=planning.starting(len(runs) + 1, row.code)._replace(
            continues=continued,
            said=len(transcript or b""),
            network=plan.network.policy,
        ),
        plain=plain,
        parent=row.meta,
        totals=row.summary.totals,
        transcript=transcript,
        briefing=briefing,
    )
    plan = planning.with_ssh(planning.with_keys(keys.lasting(plan)))
    plan = planning.with_neighbours(plan, begins=True)
    egress.refuse_none(plan)
    seen = Begun(lambda: sight.find(plan, *rebase.to_merge(plan)))
    if repo.count_commits(project, session.base, [row.code]):  # its history would be shown to the agent
        raise RealmError(
            f"{name} began on {session.base[:10]} according to its record, but its commits do not build "
            "on that",
            f"realm new NAME --base refs/realm/{name} goes on with the commits alone",
        )
    chosen = images.ensure(connection, plan, request.image, ui)
    for warning in (*flags.risks(plan.args, project.root), *egress.warnings(plan)):
        ui.warn(warning)
    approvals.announce(plan.include, plan.dotfiles.notes, ui)
    neighbours.announce(plan, ui)
    stores.ensure_readable(project, row.code, session.base, running.outline(plan))
    return begin(connection, plan, chosen, seen, lock, ui)


def _conversation(found: record.Record, name: str, ui: UI) -> tuple[int, bytes | None]:
    """Return the last run with a conversation, and that conversation; 0 if there is none.

    The user is told if a later run's was not kept.
    """
    numbers = found.numbers()
    for number in reversed(numbers):
        if found.said(number):
            if number != numbers[-1] and found.run(numbers[-1]).prompts:
                lost = f"the conversation of run {numbers[-1]} of {name} was not kept"
                ui.warn(f"{lost}: the agent continues from that of run {number}")
            return number, found.conversation(number)
    return 0, None


def _take_over(
    connection: Engine,
    plan: Plan,
    run: Run,
    sandbox: Sandbox,
    request: ResumeRequest,
    lock: RunLock,
    ui: UI,
) -> int:
    """Attach to a sandbox whose holder is gone; new arguments for the agent have no effect."""
    name = plan.session.name
    if request.agent_args or request.rebase or request.take is not None or request.neighbours:
        raise RunningError(
            f"run {run.number} of {name} is still running in its container",
            f"realm attach {name} shows it, realm stop {name} ends it",
        )
    if sandbox.tty and not planning.wants_tty(no_input=request.no_input):
        raise RunningError(
            f"run {run.number} of {name} is still running, and needs a terminal to be shown",
            f"realm stop {name} ends it and saves its work",
        )
    plan = planning.still_with_ssh(planning.recorded(plan, run)._replace(tty=sandbox.tty), ui)
    return background.adopt(connection, plan, sandbox, lock, ui)
