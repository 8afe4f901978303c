"""The intake: from a stopped sandbox to commits and a record, and then no sandbox.

The order is what makes it safe to be killed anywhere: the sandbox goes only after
both refs have moved, and they move together.  Whoever finds a stopped sandbox can
do this again from the start, and what is in git already is not taken in twice.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from realm import agents
from realm.errors import RealmError, RefRaceError, RejectedError, RunningError, UnpreparedError
from realm.model import State, Totals
from realm.paths import make_private, realm_home, remove_tree, scratched
from realm.session import approvals, recordings, sandboxes
from realm.session import plan as planning
from realm.session.lock import run_directory
from realm.session.run import Outcome
from realm.store import record, refs, repo
from realm.terminal.relay.tty import FALLBACK
from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.model import Run, TurnText
    from realm.sandbox.docker import Engine
    from realm.sandbox.report import Report
    from realm.sandbox.sandbox import Sandbox
    from realm.session.recordings import Shown
    from realm.session.requests import UI
    from realm.session.run import Plan
    from realm.store.ingest import Ingested

_UNPREPARED = "the workspace could not be prepared"
"""What a sandbox reports that gave up before the agent was started."""
_NO_GIT = "the image has no git"
"""Why, where its image is not fit for it."""

TRANSCRIPT = "transcript.jsonl"
TRANSCRIPT_LIMIT = 256 * 1024**2
WORDS = 200
"""Characters that are kept of the first line of an agent's last words."""


_NOT_RUN = (126, 127)
"""What a shell exits with when it cannot run a program, or does not find it."""


def take_back(plan: Plan, outcome: Outcome) -> bool:
    """Remove a new session in which nothing happened: its name is free then; tell whether that was done."""
    if plan.run.number != 1 or not outcome.is_nothing:
        return False
    name = plan.session.name
    gone = [refs.RefUpdate(refs.META + name, outcome.meta, None)]
    gone.append(refs.RefUpdate(refs.CODE + name, outcome.code, None))
    try:
        refs.transact(plan.project, gone, "realm: nothing happened")
    except RealmError:
        return False
    remove_tree(run_directory(plan.session.id))
    approvals.forget_record(plan.project, plan.session)
    return True


def save(engine: Engine, plan: Plan, sandbox: Sandbox, code: int, shown: Shown | None = None,
         notes: Sequence[str] = ()) -> Outcome:  # fmt: skip
    """Take in the work of a stopped sandbox, write the record, remove the sandbox.

    One that was killed before it could report has its workspace saved first.
    ``shown`` is what its terminal showed, left out: what a killed holder
    recorded; ``notes`` go into the record before the intake's own.  Raises
    :class:`RealmError` with the way out when the work cannot be taken in: the
    sandbox then stays.
    """
    if shown is None:
        place = recordings.place(plan.session.id, plan.run.number)
        title = f"{plan.session.name}, run {plan.run.number}"
        shown = recordings.shown(place, FALLBACK, plan.config, tty=sandbox.tty, title=title)
    try:
        if not sandbox.reported():
            _snapshot(engine, plan, sandbox)
        outcome = _taken(plan, sandbox, code, shown, notes)
    except UnpreparedError as error:
        if _NO_GIT not in error.message:
            sandboxes.forget(sandbox)
        raise
    except RejectedError as error:
        error.hint = error.hint or way_out(plan)
        raise
    except OSError as error:
        raise RealmError(
            f"the work of run {plan.run.number} could not be saved: {error.strerror or error}: "
            f"{error.filename or realm_home()}; it is still in its container",
            way_out(plan),
        ) from error
    sandbox.remove()
    return outcome


def _snapshot(engine: Engine, plan: Plan, sandbox: Sandbox) -> None:
    """Let a second container on a dead sandbox's volumes take the snapshot."""
    from realm.sandbox import creation

    try:
        with sandboxes.outfit(
            engine, plan, sandbox.image, ["snapshot"], prefer=sandbox.owner.history
        ) as made:
            creation.snapshot(engine, sandbox, made.spec, made.layout)
    except creation.UnsavedError:
        sandboxes.forget(sandbox)
        raise


def way_out(plan: Plan) -> str:
    """Return what to do about work that could not be taken in."""
    name = plan.session.name
    return f"realm resume {name} tries again, realm rescue {name} DIRECTORY writes its files there"


def recover(connection: Engine, plan: Plan, runs: Sequence[Run], ui: UI) -> Sandbox | None:
    """Bring home what earlier sandboxes of the planned session still hold; return one that still runs.

    This is the one way of every command.  Whoever calls it has the run's lock.
    A sandbox whose work is in git already is removed, one that never ran too.
    """
    from realm.sandbox import lookup

    refuse_strangers(connection, plan, ui)
    lookup.clear(connection, plan.session.id)
    running_one = None
    for sandbox in lookup.find(connection, session_id=plan.session.id):
        state = sandbox.state()
        if state == "running":
            running_one = sandbox
        elif state == "created" or (run := recorded_run(sandbox, plan, runs)).ended is not None:
            sandbox.remove()
        else:
            _recover_one(connection, planning.recorded(plan, run), sandbox, ui)
    return running_one


def refuse_strangers(connection: Engine, plan: Plan, ui: UI) -> None:
    """Name a session's containers that this REALM_HOME did not make; one that runs is in the way."""
    from realm.sandbox import lookup

    name = plan.session.name
    for stranger in lookup.strangers(connection, session_id=plan.session.id):
        if stranger.running:
            raise RunningError(
                f"a run of session {name} is going on that was started with another REALM_HOME or user, "
                f"or by an earlier version of realm, in container {stranger.id[:12]}",
                f"realm attach {name} or realm stop {name} there; where that is gone: "
                f"docker stop {stranger.id[:12]}, then realm rescue {name} DIRECTORY",
            )
        ui.warn(
            f"container {stranger.id[:12]} of {name} was made by an earlier version of realm or with "
            f"another REALM_HOME: realm rescue {name} DIRECTORY writes its files there; it stays until "
            f"docker rm {stranger.id[:12]}"
        )


def number(sandbox: Sandbox, runs: Sequence[Run]) -> int:
    """Return the number of the run that a sandbox is of; of one that does not say it the last."""
    return sandbox.owner.run or (runs[-1].number if runs else 0)


def recorded_run(sandbox: Sandbox, plan: Plan, runs: Sequence[Run]) -> Run:
    """Return the record's run that a sandbox is of; :class:`RealmError` when the record does not know it."""
    wanted = number(sandbox, runs)
    for run in runs:
        if run.number == wanted:
            return run
    raise RealmError(
        f"a container has work of run {wanted}, which the record of {plan.session.name} does not know",
        f"realm rescue {plan.session.name} DIRECTORY writes its files there",
    )


def _recover_one(connection: Engine, plan: Plan, sandbox: Sandbox, ui: UI) -> None:
    from realm.session import summary

    try:
        with ui.progress("saving what the last run left in its container"):
            outcome = save(connection, plan, sandbox, sandbox.wait())
    except UnpreparedError:
        sandbox.remove()
        return
    ui.info(f"recovered the unsaved work of run {plan.run.number} of {plan.session.name}")
    summary.tell(plan, outcome, ui)


def _taken(
    plan: Plan, sandbox: Sandbox, exit_code: int, shown: Shown | None, before: Sequence[str]
) -> Outcome:
    with scratched("collect") as directory:
        report = sandbox.collect(directory)
        _check(plan, report)
        try:
            return _record(plan, report, exit_code, shown, before)
        except RefRaceError:
            latest = _as_noted_since(plan)
            if latest is None:
                raise
            return _record(latest, report, exit_code, shown, before)


def _check(plan: Plan, report: Report) -> None:
    """Raise when the sandbox does not hand over the state of its workspace: it must not be removed then."""
    if report.complete and not report.points and _UNPREPARED in report.errors:
        raise _unprepared(report)
    reasons = "; ".join(clean(text, limit=200) for text in report.errors)
    if not report.complete or not report.points:
        raise RejectedError(
            f"the work of run {plan.run.number} cannot be taken out of its container: "
            f"{reasons or 'it gave no report'}",
            way_out(plan),
        )


def _unprepared(report: Report) -> UnpreparedError:
    others = [clean(text, limit=200) for text in report.errors if text != _UNPREPARED]
    message = ": ".join([f"the container's {_UNPREPARED.removeprefix('the ')}", *others[:1]])
    hint = "install git in the image, or build it FROM realm:latest" if _NO_GIT in report.errors else ""
    return UnpreparedError(
        message, hint or "try again: its copy of the history is made anew; git fsck checks the project's own"
    )


def _as_noted_since(plan: Plan) -> Plan | None:
    """Return the plan with its record as it is now, ``None`` where somebody else changed more than that.

    A push during the run notes in the record where it went; refs that were
    deleted during the run are made anew.
    """
    project, name = plan.project, plan.session.name
    tips = refs.tips(project, name)
    if tips.code not in (None, plan.run.before):
        return None
    if tips.meta is None:
        return plan
    if record.parent(project, tips.meta) != plan.parent:
        return None
    noted = record.read_session(project, name)
    if noted._replace(pushed={}) != plan.session._replace(pushed={}):
        return None
    return plan._replace(meta=tips.meta, session=noted)


def _record(
    plan: Plan, report: Report, exit_code: int, shown: Shown | None, before: Sequence[str]
) -> Outcome:
    project, session = plan.project, plan.session
    code = plan.run.before
    there = refs.tips(project, session.name)
    texts = agents.find(session.agent).turn_texts(report.prompts, report.stops)
    notes = [*before, *(f"the container reported: {clean(text, limit=200)}" for text in report.errors)]
    if there.code is None or there.meta is None:
        notes.append(f"the refs of {session.name} were deleted during the run: they were made anew")
    notes += [f"{clean(path, limit=200)} was a repository of its own: its files are kept, its history is not"
              for path in report.nested]  # fmt: skip
    commits = 0
    if any((point.head, point.snapshot) != (code, code) for point in report.points):
        ingested = _ingest(plan, report, texts)
        code = ingested.tip
        commits = sum(len(made) for made in ingested.turns.values())
        notes += [*ingested.notes, *(f"left out: {path}" for path in ingested.dropped)]
        notes += _let_out(plan, code, [item.path for item in plan.include])
    if found := agents.find(session.agent).conversation_id(report.conversation or ""):
        session = session._replace(conversation=found)  # the agent may have begun another (/clear)
    files: dict[str, bytes] = {}
    size = report.transcript.stat().st_size if report.transcript is not None else report.too_long
    if report.transcript is not None and size <= TRANSCRIPT_LIMIT:
        files[TRANSCRIPT] = report.transcript.read_bytes()
    elif size:
        notes.append(_too_long(plan, size, report.transcript))
    prompts = tuple(first_line(text.prompt) for text in texts.values())
    answers = [text.answer for text in texts.values() if text.answer.strip()]
    run = plan.run._replace(
        ended=time.time(), exit_code=exit_code, after=code, prompts=prompts, notes=tuple(notes),
        closing=first_line(answers[-1], WORDS) if answers else "",
    )  # fmt: skip
    if shown is not None:
        of_turns, incomplete = shown.of_turns(report.points)
        files = {**files, **shown.files, **of_turns}
        run = run._replace(dropped=shown.dropped, incomplete=tuple(incomplete))
    totals = Totals()
    if code != session.base:
        totals = repo.totals(project, session.base, code)
    meta = record.write(
        project, parent=plan.parent, previous=plan.meta, session=session, run=run,
        totals=totals, state=State.EXITED, files=files,
    )  # fmt: skip
    _move(plan, there, code, meta)
    nothing = exit_code in _NOT_RUN and not commits and not texts and not files.get(TRANSCRIPT)
    return Outcome(code, meta, totals, commits, exit_code, tuple(notes), nothing)


def _let_out(plan: Plan, code: str, included: Sequence[str]) -> list[str]:
    """Return warnings about files that git ignores, were copied in, and are now in commits."""
    return [
        f"the agent committed {clean(path, limit=200)}, which git ignores and which was copied into the "
        "container: look at it before a push"
        for path in repo.committed(plan.project, plan.run.before, code, included)
    ]


def _ingest(plan: Plan, report: Report, texts: Mapping[int, TurnText]) -> Ingested:
    from realm.store import ingest

    intake = ingest.Intake(
        project=plan.project,
        session=plan.session.name,
        run=plan.run.number,
        tip=plan.run.before,
        points=report.points,
        texts=texts,
        pack=report.pack,
        started=plan.run.started,
        identity=repo.identity(plan.project),
    )
    return ingest.ingest(intake)


def _too_long(plan: Plan, size: int, transcript: Path | None) -> str:
    """Keep a transcript that is too long for the record beside it, if it came, and say so."""
    kept = "it was not kept"
    if transcript is not None:
        place = make_private(run_directory(plan.session.id)) / f"transcript-{plan.run.number:04d}.jsonl"
        shutil.copyfile(transcript, place)
        kept = f"it is in {place}"
    return (
        f"the conversation has {size / 1e6:.0f} MB, too much for the record: {kept}, and "
        f"realm resume {plan.session.name} continues from an earlier one"
    )


def _move(plan: Plan, there: refs.Tips, code: str, meta: str) -> None:
    """Move both refs from what the run began with, where they are ``there``, to what it made."""
    name = plan.session.name
    updates = [refs.RefUpdate(refs.META + name, plan.meta if there.meta else None, meta)]
    if code != plan.run.before or there.code is None:
        updates.append(refs.RefUpdate(refs.CODE + name, plan.run.before if there.code else None, code))
    try:
        refs.transact(plan.project, updates, f"realm: run {plan.run.number}")
    except RealmError as error:
        raise type(error)(
            f"the work of run {plan.run.number} could not be recorded, it is still in its container: "
            f"{error.message}",
            _after_a_race(plan),
        ) from error


def _after_a_race(plan: Plan) -> str:
    """Return how work comes home that could not be recorded."""
    name = plan.session.name
    now = refs.tips(plan.project, name).code
    if now is None or now == plan.run.before:
        return way_out(plan)
    return (
        f"git branch {name}-other {now[:12]} && git update-ref {refs.CODE}{name} {plan.run.before}, "
        f"then realm resume {name} takes it in; merge the two afterwards"
    )
