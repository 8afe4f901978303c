"""The end of a run: from a stopped box to commits, a record, and no box.

The order is what makes it safe to be killed anywhere: the box goes only after
both refs have moved, and they move together.  Whoever finds a stopped box can
do this again from the start.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.errors import RealmError, RefRaceError, RejectedError, UnpreparedError
from realm.model import State, Totals
from realm.paths import scratched
from realm.store import record, refs, repo
from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realm.model import Project, Run, Session, TurnText
    from realm.sandbox.box import Box
    from realm.sandbox.report import BoxReport
    from realm.session.begin import Started
    from realm.session.stills import Shown
    from realm.store.ingest import Ingested

COLLECT_LIMIT = 4 * 1024**3
"""Bytes that a box may hand over in all."""

_UNPREPARED = "the workspace could not be prepared"
"""What a box reports that gave up before the agent was started."""
_NO_GIT = "the image has no git"
"""Why, where its image is not fit for it."""

TRANSCRIPT_LIMIT = 256 * 1024**2


class Outcome(NamedTuple):
    """What a run left: the session's tips, its size, and what the user should know."""

    code: str
    meta: str
    totals: Totals
    new_commits: int
    exit_code: int
    notes: tuple[str, ...] = ()


def take_in(
    started: Started,
    box: Box,
    exit_code: int,
    shown: Shown | None = None,
    included: Sequence[str] = (),
) -> Outcome:
    """Take a stopped box's work into the project, write the record, remove the box.

    What was ``shown`` goes into the run's record beside the transcript; ``included`` are
    the ignored files that were copied into the box.  Raises
    :class:`RejectedError` when the work failed a check; the box then stays, as
    it does whenever anything else is raised.
    """
    with scratched("collect") as directory:
        report = box.collect(directory, limit=COLLECT_LIMIT)
        _check(started, report, box)
        try:
            outcome = _record(started, report, exit_code, shown, included)
        except RefRaceError:
            latest = _as_noted_since(started)
            if latest == started:
                raise
            outcome = _record(latest, report, exit_code, shown, included)
    box.remove()
    return outcome


def _check(started: Started, report: BoxReport, box: Box) -> None:
    """Raise when the box does not hand over the state of its workspace: it must not be removed then."""
    if report.complete and not report.points and _UNPREPARED in report.errors:
        raise _unprepared(report)
    reasons = "; ".join(clean(text, limit=200) for text in report.errors)
    if not report.complete or not report.points:
        name, workspace = started.session.name, started.session.workspace
        raise RejectedError(
            f"the work of run {started.run.number} cannot be taken out of its box: "
            f"{reasons or 'the box gave no report'}",
            f"docker cp {box.id[:12]}:{workspace} DIRECTORY gets the files; realm resume {name} tries again",
        )


def _unprepared(report: BoxReport) -> UnpreparedError:
    others = [clean(text, limit=200) for text in report.errors if text != _UNPREPARED]
    message = ": ".join([f"the box's {_UNPREPARED.removeprefix('the ')}", *others[:1]])
    hint = "install git in the image, or build it FROM realm:latest" if _NO_GIT in report.errors else ""
    return UnpreparedError(message, hint or "git fsck, or realm doctor")


def _as_noted_since(started: Started) -> Started:
    """Return the run with its record as it is now: a push during the run notes in it where it went."""
    project, name = started.project, started.session.name
    meta = refs.tips(project, name).meta
    if meta is None or record.parent(project, meta) != started.parent:
        return started
    noted = record.read_session(project, name)
    if noted._replace(pushed={}) != started.session._replace(pushed={}):
        return started
    return started._replace(meta=meta, session=noted)


def _record(
    started: Started, report: BoxReport, exit_code: int, shown: Shown | None, included: Sequence[str]
) -> Outcome:
    project, session = started.project, started.session
    code = started.run.before
    agent = agents.find(session.agent)
    texts = agent.turn_texts(report.prompts, report.stops)
    notes = [f"the box reported: {clean(text, limit=200)}" for text in report.errors]
    notes += [f"{clean(path, limit=200)} was a repository of its own: its files are kept, its history is not"
              for path in report.nested]  # fmt: skip
    commits = 0
    release = None
    if any((point.head, point.snapshot) != (code, code) for point in report.points):
        ingested = _ingest(started, report, texts)
        code, release = ingested.tip, ingested.release
        commits = sum(len(made) for made in ingested.turns.values())
        notes += [*ingested.notes, *(f"left out: {path}" for path in ingested.dropped)]
        notes += _let_out(started, code, included)
    session = _with_conversation(session, report)
    files: dict[str, bytes] = {}
    if report.transcript is not None and report.transcript.stat().st_size <= TRANSCRIPT_LIMIT:
        files["transcript.jsonl"] = report.transcript.read_bytes()
    run = _ended(started.run, exit_code, code, [first_line(text.prompt) for text in texts.values()], notes)
    if shown is not None:
        of_turns, incomplete = shown.of_turns(report.points)
        files = {**files, **shown.files, **of_turns}
        run = run._replace(dropped=shown.dropped, incomplete=tuple(incomplete))
    totals = _totals(project, session, code)
    meta = record.write(
        project, parent=started.parent, previous=started.meta, session=session, run=run,
        totals=totals, state=State.EXITED, files=files,
    )  # fmt: skip
    _move(started, code, meta, run.number)
    if release is not None:
        release()
    return Outcome(code, meta, totals, commits, exit_code, tuple(notes))


def _let_out(started: Started, code: str, included: Sequence[str]) -> list[str]:
    """Return warnings about files that git ignores, were copied in, and are now in commits."""
    return [
        f"the agent committed {clean(path, limit=200)}, which git ignores and which was copied into the box: "
        "look at it before a push"
        for path in repo.committed(started.project, started.run.before, code, included)
    ]


def _ingest(started: Started, report: BoxReport, texts: Mapping[int, TurnText]) -> Ingested:
    from realm.store import ingest

    intake = ingest.Intake(
        project=started.project,
        session=started.session.name,
        run=started.run.number,
        tip=started.run.before,
        points=report.points,
        texts=texts,
        pack=report.pack,
        started=started.run.started,
        identity=repo.identity(started.project),
    )
    return ingest.ingest(intake)


def _with_conversation(session: Session, report: BoxReport) -> Session:
    """Return the session with its last conversation: the agent may have begun another (``/clear``)."""
    found = agents.find(session.agent).conversation_id(report.conversation or "")
    return session._replace(conversation=found) if found else session


def _ended(run: Run, exit_code: int, after: str, prompts: list[str], notes: list[str]) -> Run:
    return run._replace(
        ended=time.time(), exit_code=exit_code, after=after, prompts=tuple(prompts), notes=tuple(notes)
    )


def _totals(project: Project, session: Session, code: str) -> Totals:
    if code == session.base:
        return Totals()
    from realm.store import stats

    return stats.totals(project, session.base, code)


def _move(started: Started, code: str, meta: str, number: int) -> None:
    name = started.session.name
    updates = [refs.RefUpdate(refs.META + name, started.meta, meta)]
    if code != started.run.before:
        updates.append(refs.RefUpdate(refs.CODE + name, started.run.before, code))
    try:
        refs.transact(started.project, updates, f"realm: run {number}")
    except RealmError as error:
        raise type(error)(
            f"the work of run {number} could not be recorded, it is still in its box: {error.message}",
            _way_out(started),
        ) from error


def _way_out(started: Started) -> str:
    """Return how work comes home that could not be recorded."""
    name = started.session.name
    now = refs.tips(started.project, name).code
    if now is None or now == started.run.before:
        return f"realm resume {name} tries again"
    return (
        f"git branch {name}-other {now[:12]} && git update-ref {refs.CODE}{name} {started.run.before}, "
        f"then realm resume {name} takes it in; merge the two afterwards"
    )
