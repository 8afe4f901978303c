"""Sharing a session through a remote: pushing its refs there, and fetching them, under the same names.

Each ref moves there only from the value that this machine last saw, so that of two people who continue a
session the second one is warned.  The seen values are noted beside the approvals
(:mod:`realm.session.approvals`), not in the record, which is shared too.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.errors import RealmError, RunningError
from realm.model import WORKSPACE_ROOT, Run, Session, State, Totals
from realm.paths import current_directory
from realm.session import approvals, claim, registry, secrets
from realm.session.find import locate, state
from realm.session.lock import RunLock
from realm.session.push import destination, tell_not_shared
from realm.store import branches, foreign, record, refs, remote, repo, turns
from realm.store.refs import CODE, META, RefUpdate, Tips
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from realm.model import Project
    from realm.session.requests import UI
    from realm.store.listing import MetaRow
    from realm.store.remote import SharedRefs


_KINDS = {"heads": "branch", "tags": "tag", "detached": "commit", "worktree": "work tree"}
_MOST_RUNS = 5000
"""Most runs of a session without a record, as one is created for each."""


class Shared(NamedTuple):
    """The result: the remote, whether anything moved, and whether the record was included.

    ``beside`` is the number of other branches, stashes and the like that were included.
    """

    remote: str
    changed: bool
    conversation: bool
    beside: int = 0


def share(name: str, directory: Path | None, to: str | None, ui: UI, *, conversation: bool = False) -> Shared:
    """Push the session's commits to a remote, as ``refs/realm/<name>``; with ``conversation`` its record too.

    Raises :class:`RealmError` when somebody else has pushed a session of that name, or continued this one.
    """
    project, row = locate(name, directory).sound()
    session = record.read_session(project, name)
    where = destination(project, to, directory)
    if conversation and state(row) is State.RUNNING:
        raise RunningError(
            f"{name} is still running, and its record changes with it",
            f"realm stop {name}, then share it",
        )
    with secrets.shareable(project, name, row.meta if conversation else None) as (meta, is_redacted):
        if is_redacted:
            ui.info(
                f"secrets were taken out of the conversation of {name}: whoever continues it there starts a "
                "new one, from a summary"
            )
        return _put(project, session, row, where, meta, ui)


def _put(project: Project, session: Session, row: MetaRow, where: str, meta: str | None, ui: UI) -> Shared:
    """Push a session's commits to a remote, with ``meta`` as its record if that is included."""
    name = session.name
    own = remote.SharedRefs(row.code, meta, branches.listed(project, name))
    there = remote.session_there(project, where, name)
    updates = [
        RefUpdate(ref, old, new)
        for ref, old, new in ((CODE + name, there.code, own.code), (META + name, there.meta, own.meta))
        if new is not None and new != old
    ]
    shown = remote.shown(where)
    for update in updates:
        if update.old and not _goes_on(project, session, shown, update.old, update.new or ""):
            raise _taken(name, shown)
    updates += _beside(project, session, shown, there.branches, own.branches, ui)
    if meta:
        ui.warn(
            f"whoever can read {shown} can read all that was asked, answered and shown in {name}, "
            "and secrets that were part of it, other than keys and tokens that realm knows"
        )
    moved = {update.ref for update in updates}
    beside = {ref: oid for ref, oid in own.branches.items() if ref in moved or there.branches[ref] == oid}
    ids = [*_ids(own._replace(branches=beside)), *([row.meta] if meta and row.meta else [])]
    approvals.note_shared(project, session, shown, ids)  # first, as with a push
    if updates:
        try:
            with ui.progress(f"sharing {name} on {shown}"):
                remote.push_session(project, where, updates)
        except remote.RefusedError as error:
            if error.moved:
                raise _taken(name, shown) from error
            error.hint = f"realm push {name} puts it on a branch"
            raise
    tell_not_shared(project, session, row.code or session.base, ui)
    return Shared(shown, bool(updates), meta is not None, len(beside))


def fetch(name: str, directory: Path | None, source: str | None, ui: UI) -> Shared:
    """Fetch a session from a remote, or others' additions to it; ``realm resume`` continues it.

    A session without a record gets one made from its commits.  Raises :class:`RealmError` when both sides
    have continued it, or when it is not a valid session.
    """
    refs.check_name(name)
    project = repo.discover(directory or current_directory())
    where = destination(project, source, directory)
    shown = remote.shown(where)
    there = remote.session_there(project, where, name)
    if there.code is None:
        raise RealmError(f"{shown} has no session {name}", f"git ls-remote {shown} 'refs/realm/*'")
    with ui.progress(f"fetching {name}"), remote.fetched_session(project, where, name, there):
        foreign.check(project, there.code)
        there = there._replace(branches=_sound(project, there.branches, ui))
        here = refs.tips(project, name)
        if here.code is None:
            session = _new(project, name, there, shown)
            changed = True
        else:
            session = record.read_session(project, name)
            changed = _further(project, session, here, there, shown, ui)
    approvals.note_shared(project, session, shown, _ids(there))
    return Shared(shown, changed, there.meta is not None, len(there.branches))


def _ids(found: SharedRefs) -> list[str]:
    return [oid for oid in (found.code, found.meta, *found.branches.values()) if oid]


def _words(ref: str) -> str:
    """Describe one of a session's other branches in words."""
    kind, part = branches.parts(ref) or ("", "")
    return f"{_KINDS.get(kind, kind)} {clean(branches.unescape(part) or part, limit=100)}"


def _sound(project: Project, beside: Mapping[str, str], ui: UI) -> dict[str, str]:
    """Return the fetched other branches without those that contain unsafe files."""
    sound = {}
    for ref, oid in beside.items():
        try:
            foreign.check(project, oid)
        except RealmError as refused:
            ui.warn(f"{_words(ref)} was left out: {refused.message}")
        else:
            sound[ref] = oid
    return sound


def _goes_on(project: Project, session: Session, place: str, old: str, new: str) -> bool:
    """Tell whether moving a ref at ``place`` from ``old`` to ``new`` overwrites nobody's work."""
    return approvals.is_shared(project, session, place, old) or repo.is_ancestor(project, old, new)


def _taken(name: str, shown: str) -> RealmError:
    return RealmError(
        f"{name} at {shown} has work that is not here: somebody else shared it",
        f"realm fetch {name} takes it, unless this one has gone on too; "
        f"realm push {name} --as BRANCH puts this one beside it",
    )


def _new(project: Project, name: str, there: SharedRefs, shown: str) -> Session:
    """Create a fetched session that does not exist here yet; return it."""
    refs.check_new(project, name)
    assert there.code is not None  # noqa: S101 - the caller has checked
    if there.meta is None:
        session, metas = _rebuilt(project, name, there.code, shown)
    else:
        session, metas = _recorded(project, name, there), [there.meta]
        claim.check(project, session)
    made = [RefUpdate(CODE + name, None, there.code), RefUpdate(META + name, None, metas[-1])]
    made += [RefUpdate(ref, None, oid) for ref, oid in there.branches.items()]
    refs.transact(project, made, f"realm: fetched from {shown}", held=metas)
    registry.remember_project(project)
    return session


def _recorded(project: Project, name: str, there: SharedRefs) -> Session:
    """Return the session of a fetched record; raises when anything in it is damaged."""
    assert there.code is not None  # noqa: S101 - as above
    with record.Record(project, name, there.meta or "") as found:
        session = found.session()
        found.runs()
    if not repo.is_ancestor(project, session.base, there.code):
        raise RealmError(
            f"the record of {name} does not match its commits",
            f"git log {CODE}{name} at the remote shows them",
        )
    return session


def _rebuilt(project: Project, name: str, code: str, shown: str) -> tuple[Session, list[str]]:
    """Return a session made only from its commits, and the records of its runs."""
    base = turns.base(project, code)
    agent = agents.find(())
    session = Session(
        id=str(uuid.uuid4()), name=name, project=str(project.root),
        workspace=f"{WORKSPACE_ROOT}/{project.name}", base=base, created=time.time(),
        conversation=agent.new_conversation(),
    )  # fmt: skip
    found = turns.turns(project, base, code, ())
    last = max((turn.run for turn in found), default=1)
    if last > _MOST_RUNS:
        raise RealmError(
            f"{name} at {shown} is not a session: one of its commits claims to be of run {last}",
            f"git log {CODE}{name} at the remote shows it",
        )
    metas: list[str] = []
    before = base
    for number in range(1, last + 1):
        own = [turn for turn in found if turn.run == number and turn.turn > 0]
        after = code if number == last else (own[-1].after if own else before)
        run = Run(
            number=number, started=time.time(), ended=time.time(), before=before, after=after, exit_code=0,
            prompts=tuple(turn.prompt for turn in own),
            notes=(f"fetched from {clean(shown, limit=200)} without its record",) if number == last else (),
        )  # fmt: skip
        totals = repo.diffstat(project, base, after) if after != base else Totals()
        count = sum(turn.run <= number for turn in found)
        metas.append(record.write(
            project, parent=metas[-1] if metas else None, previous=None, session=session, run=run,
            totals=totals._replace(turns=count), state=State.EXITED, files={},
        ))  # fmt: skip
        before = after
    return session, metas


def _further(project: Project, session: Session, here: Tips, there: SharedRefs, shown: str, ui: UI) -> bool:
    """Move an existing session to the fetched refs; return whether it was behind."""
    name = session.name
    assert here.code is not None and there.code is not None  # noqa: S101, PT018 - the caller has checked
    behind = here.code != there.code and not repo.is_ancestor(project, there.code, here.code)
    news = there.meta not in {None, here.meta} and not (
        approvals.is_shared(project, session, shown, there.meta or "")
    )
    beside = _beside(project, session, shown, branches.listed(project, name), there.branches, ui)
    forward = repo.is_ancestor(project, here.code, there.code)
    if behind and not forward and not approvals.is_shared(project, session, shown, here.code):
        raise RealmError(
            f"{name} has moved on both here and at {shown}",
            f"realm push {name} --as BRANCH keeps this one; realm remove {name}, then realm fetch {name} "
            "takes theirs",
        )
    if not behind and here.meta and not approvals.is_shared(project, session, shown, here.meta):
        news = False  # the commits are the same, and this machine's record of them is newer
    if not behind and not news and not beside:
        return False
    with RunLock(session.id, name, 0):
        if news:
            _recorded(project, name, there)
        updates = [RefUpdate(CODE + name, here.code, there.code)] if behind else []
        updates += [RefUpdate(META + name, here.meta, there.meta)] if news else []
        updates += beside
        lost = {update.ref: update.old for update in beside if update.old}
        kept = here if behind or news else Tips(None, None)
        updates += refs.keep_updates(project, name, kept, lost) if lost or kept.code else []
        refs.transact(project, updates, f"realm: fetched from {shown}")
    return True


def _beside(
    project: Project, session: Session, shown: str, before: Mapping[str, str], after: Mapping[str, str],
    ui: UI,
) -> list[RefUpdate]:  # fmt: skip
    """Return the updates of a session's other branches; those that have diverged stay, with a warning."""
    updates = []
    for ref, oid in after.items():
        old = before.get(ref)
        if old == oid or (old and repo.is_ancestor(project, oid, old)):
            continue
        if old and not _goes_on(project, session, shown, old, oid):
            ui.warn(f"{_words(ref)} has moved on both here and at {shown}: each stays as it is")
        else:
            updates.append(RefUpdate(ref, old, oid))
    return updates
