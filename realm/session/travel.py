"""Time travel: putting a session back to the end of a turn, or starting a second one there.

This covers code and conversation: the record is cut at the turn's end, and the conversation gets a new id, so
that an agent that continues it does not know what came later.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.errors import RealmError
from realm.model import State
from realm.session import approvals, audit, claim, homes, recordings, registry, words
from realm.session import talk as talks
from realm.session.review import CommitRange, commit_range
from realm.store import record, refs, repo
from realm.store import turns as numbered
from realm.text import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Run, Session
    from realm.session.requests import At
    from realm.store.turns import Turn


class Moved(NamedTuple):
    """A session's new position: its turn, its commit, and its commit before."""

    turn: int
    code: str
    before: str


class _Cut(NamedTuple):
    """A record cut at a turn's end, not written yet."""

    whole: CommitRange
    turn: Turn
    last: int
    session: Session
    run: Run
    files: dict[str, bytes]
    meta: str


def fork(at: At, new: str, directory: Path | None) -> Moved:
    """Start the session ``new`` at the end of another's turn, by default the last, with its conversation.

    No files are copied, as it shares the other's commits.  Raises :class:`RealmError` when there is no such
    turn or the name is taken.
    """
    whole = commit_range(at._replace(turn=None), directory)
    project = whole.project
    refs.check_new(project, new)
    with record.Record(project, at.name) as found:
        cut = _cut(found, whole, at)
    old = cut.session
    session = old._replace(
        id=str(uuid.uuid4()), name=new, created=time.time(), pushed={}, project=str(project.root)
    )
    own = homes.with_own_refs(project, old, session)
    session = own.session
    try:
        meta = _written(cut._replace(session=session, run=cut.run._replace(kept=())))
        approvals.approve_alike(project, old, session)
        made = [
            refs.RefUpdate(refs.CODE + new, None, cut.turn.after),
            refs.RefUpdate(refs.META + new, None, meta),
        ]
        refs.transact(project, made, f"realm: fork of {at.name}")
    except (RealmError, OSError):
        homes.let_go(own.made)
        raise
    registry.remember_project(project)
    return Moved(cut.turn.number, cut.turn.after, whole.tip)


def rewind(at: At, directory: Path | None, *, moves: bool = True) -> Moved:
    """Put a session back to the end of a turn; its earlier state goes to the trash, and can be restored.

    Without ``moves`` it may be there already.  Raises :class:`RealmError` when there is no such turn, nothing
    came after it, or the session's last run has not ended.
    """
    with claim.alone(at.name, directory) as (project, row):
        whole, tips = commit_range(at._replace(turn=None), directory), refs.Tips(row.code, row.meta)
        with record.Record(project, at.name) as found:
            cut = _cut(found, whole, at)
        if cut.turn.number == cut.last and cut.turn.after == tips.code:
            if not moves:
                return Moved(cut.turn.number, cut.turn.after, tips.code)
            raise RealmError(f"{at.name} is where turn {cut.turn.number} ended", f"realm log {at.name}")
        updates = refs.replace_updates(project, at.name, tips, cut.turn.after, _written(cut))
        refs.transact(project, updates, f"realm: rewind to turn {cut.turn.number}")
    return Moved(cut.turn.number, cut.turn.after, tips.code or "")


def _cut(found: record.Record, whole: CommitRange, at: At) -> _Cut:
    """Return the record cut at a turn's end, by default the last one's."""
    session, runs = found.session(), found.runs()
    every = numbered.turns(whole.project, whole.base, whole.tip, runs)
    turn = numbered.pick(at.name, every, at.turn or max(1, len(every)))
    run = next((run for run in runs if run.number == turn.run), None)
    if run is None:
        raise RealmError(f"the record of {at.name} does not know run {turn.run}", f"realm log {at.name}")
    is_last = all(other.run != turn.run for other in every[turn.number :]) and run.taken is None
    files = found.files(run.number)
    if not is_last:
        files = {
            name: data
            for name, data in files.items()
            if name == audit.FILE or (name.startswith("turns/") and _number(name) <= turn.turn)
        }
        shown = recordings.drawing_path(turn.turn).removesuffix(recordings.SCREEN)
        files |= {name.removeprefix(shown): files[name] for name in files if name.startswith(shown)}
    talk = _conversation(found, session, run, turn)
    told = list(agents.find(session.agent).exchanges(talk.splitlines()))
    said = next((one.answer for one in reversed(told) if one.answer.strip()), "")
    if session.conversation:
        session = session._replace(conversation=str(uuid.uuid4()))
        talk = agents.find(session.agent).with_id(talk, session.conversation or "")
    if talk:
        files[record.talk_file(max(1, turn.turn))] = talk
    run = run._replace(
        prompts=run.prompts[: turn.turn], after=turn.after, taken=None, ended=run.ended or time.time(),
        continues=0, switches=(), said=len(talk), kept=run.kept if is_last else (),
        took=run.took[: turn.turn], ends=run.ends[: turn.turn],
        closing=run.closing if is_last else first_line(said, talks.WORDS),
        incomplete=tuple(name for name in run.incomplete if is_last or f"{name}.ans" in files),
    )  # fmt: skip
    return _Cut(whole, turn, len(every), session, run, files, found.commit())


def _number(name: str) -> int:
    return int(name.partition("/")[2].partition(".")[0])


def _conversation(found: record.Record, session: Session, run: Run, turn: Turn) -> bytes:
    """Return the conversation up to the end of a turn; one kept as a whole is cut at the next prompt."""
    talk = found.conversation(run.number, turn.turn or None)
    if turn.turn and not found.talk(run.number) and turn.turn < len(run.prompts):
        lines = talk.splitlines(keepends=True)
        told = list(agents.find(session.agent).exchanges(lines))
        following = words.find(told, run.prompts, turn.turn + 1)
        if following is None:
            raise RealmError(
                f"the conversation of {session.name} cannot be cut at turn {turn.number}",
                f"git switch -c NAME {turn.after[:12]} takes the code of it",
            )
        talk = b"".join(lines[: told[following].line])
    return talk


def _written(cut: _Cut) -> str:
    whole, run = cut.whole, cut.run
    above = record.of_run(whole.project, cut.meta, run.number - 1)
    size = repo.diffstat(whole.project, whole.base, cut.turn.after)
    return record.write(
        whole.project, parent=above, previous=None, session=cut.session, run=run,
        totals=size._replace(turns=cut.turn.number), state=State.EXITED, files=cut.files,
    )  # fmt: skip
