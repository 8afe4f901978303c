"""The end of a run: from a stopped box to commits, a record, and no box.

The order is what makes it safe to be killed anywhere: the box goes only after
both refs have moved, and they move together.  Whoever finds a stopped box can
do this again from the start.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from realm.agent import turns
from realm.errors import RealmError
from realm.model import State, Totals
from realm.paths import make_private, realm_home
from realm.store import record, refs, repo
from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realm.box.container import Box
    from realm.box.report import BoxReport
    from realm.model import Project, Run, Session, TurnText
    from realm.store.ingest import Ingested

COLLECT_LIMIT = 4 * 1024**3
"""Bytes that a box may hand over in all."""

TRANSCRIPT_LIMIT = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: the session's tips, its size, and what the user should know."""

    code: str
    meta: str
    totals: Totals
    new_commits: int
    exit_code: int
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Started:
    """A run as it was recorded when it began: ``meta`` is that record's commit, ``parent`` the one before."""

    project: Project
    session: Session
    run: Run
    meta: str
    parent: str | None


def take_in(started: Started, box: Box, exit_code: int, files: Mapping[str, bytes] | None = None) -> Outcome:
    """Take a stopped box's work into the project, write the record, remove the box.

    ``files`` go into the run's record beside the transcript.  Raises
    :class:`RejectedError` when the work failed a check; the box then stays, as
    it does whenever anything else is raised.
    """
    with _scratch() as directory:
        report = box.collect(directory, limit=COLLECT_LIMIT)
        outcome = _record(started, report, exit_code, dict(files or {}))
    box.remove()
    return outcome


@contextmanager
def _scratch() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(dir=make_private(realm_home() / "tmp"), prefix="collect-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _record(started: Started, report: BoxReport, exit_code: int, files: dict[str, bytes]) -> Outcome:
    project, session = started.project, started.session
    code = started.run.before
    texts = turns.turn_texts(report.prompts, report.stops)
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
    session = _with_conversation(session, report)
    if report.transcript is not None and report.transcript.stat().st_size <= TRANSCRIPT_LIMIT:
        files["transcript.jsonl"] = report.transcript.read_bytes()
    run = _ended(started.run, exit_code, code, [first_line(text.prompt) for text in texts.values()], notes)
    totals = _totals(project, session, code)
    meta = record.write(
        project, parent=started.parent, previous=started.meta, session=session, run=run,
        totals=totals, state=State.EXITED, files=files,
    )  # fmt: skip
    _move(started, code, meta, run.number)
    if release is not None:
        release()
    return Outcome(code, meta, totals, commits, exit_code, tuple(notes))


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
    if session.agent or not report.conversation:
        return session
    found = turns.conversation_id(report.conversation)
    return dataclasses.replace(session, conversation=found) if found else session


def _ended(run: Run, exit_code: int, after: str, prompts: list[str], notes: list[str]) -> Run:
    return dataclasses.replace(
        run, ended=time.time(), exit_code=exit_code, after=after, prompts=tuple(prompts), notes=tuple(notes)
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
            f"the work of run {number} could not be recorded: {error.message}",
            error.hint or f"it is still in the box: realm resume {name}",
        ) from error
