"""Removing a session, and restoring it.

No commit is lost: what the last run left is saved first, ``remove`` then moves both refs below
``refs/realm-trash/``, which keeps them from git's garbage collection for 30 days, and ``restore`` moves
them back.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError, NoSuchSessionError, RealmError, RefRaceError, RunningError
from realm.model import State
from realm.paths import current_directory
from realm.session import claim, homes
from realm.session.find import locate, meant, state
from realm.session.lock import RunLock, forget
from realm.session.requests import Removal, ResumeRequest
from realm.store import branches, listing, record, refs
from realm.store.repo import count_commits, discover, is_there

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project, Run, Session
    from realm.session.requests import UI


_TRIES = 6


def plan(name: str, directory: Path | None, ui: UI, *, force: bool = False) -> Removal:
    """Save the work that the session's last run left, and return what a removal would remove.

    Raises :class:`RunningError` while a run goes on, :class:`RealmError` when work cannot be saved, unless
    ``force`` gives it up.
    """
    project, row = locate(name, directory)
    session = _session(project, name)
    if session is None or claim.is_anothers(project, session):
        return Removal(
            name, project, row.code or "", row.meta, unpushed=_unpushed(project, session, row.code)
        )
    given_up = False
    try:
        _bring_home(project, session, ui)
    except RunningError:
        raise
    except RealmError as error:
        given_up = state(row) is State.INTERRUPTED
        if given_up and not force:
            raise _not_saved(name, error) from error
        if given_up:
            ui.warn(f"the unsaved work of {name} is given up: {error.message}")
    tips = refs.tips(project, name)
    if tips == refs.Tips(None, None):
        raise NoSuchSessionError(f"session {name} is gone", "realm restore brings a removed session back")
    inside = _unpushed_inside(project, session, tips.code) if session and tips.code else 0
    unpushed = inside + _unpushed(project, session, tips.code)
    return Removal(name, project, tips.code or "", tips.meta, session, unpushed, inside, given_up)


def _session(project: Project, name: str) -> Session | None:
    """Return the record, ``None`` for a damaged one: such a session can still be removed."""
    try:
        return record.read_session(project, name)
    except RealmError:
        return None


def _bring_home(project: Project, session: Session, ui: UI) -> None:
    from realm.sandbox import docker
    from realm.session import intake
    from realm.session import plan as planning

    with RunLock(session.id, session.name, 0), docker.connect() as connection:
        with record.Record(project, session.name) as found:
            last = found.last()
        following = planning.following(project, session, last, ResumeRequest(session.name, project.root))
        if intake.recover(connection, following, last, ui) is not None:
            raise _still_running(session.name)


def _still_running(name: str) -> RunningError:
    return RunningError(
        f"the container of session {name} is still running", f"realm stop {name} ends it and saves its work"
    )


def _not_saved(name: str, error: RealmError) -> RealmError:
    """Return the error for work that a removal would lose."""
    if isinstance(error, EngineError) and error.kind == "unreachable":
        return EngineError(
            f"this session may still have a container with work: {error.message}",
            f"{error.hint}; realm remove {name} --force gives the work up",
            kind=error.kind,
        )
    return type(error)(error.message, f"{error.hint}; realm remove {name} --force gives it up")


def _unpushed(project: Project, session: Session | None, code: str | None) -> int:
    """Count commits that only this session has."""
    if not code or session is None:
        return count_commits(project, code, shared=False) if code else 0
    pushed = list(session.pushed.values())
    beside = branches.listed(project, session.name).values()
    if code in pushed and not beside:
        return 0
    return count_commits(project, code, [*pushed, session.base], shared=False, more=[*beside])


def _unpushed_inside(project: Project, session: Session, code: str) -> int:
    """Count those in submodules and in repositories beside the project."""
    with suppress(RealmError):  # as where they are removed
        return sum(
            count_commits(one.clone, one.oid, [one.base], shared=False, more=[*one.kept().values()])
            for one in homes.everywhere(project, session, code)
        )
    return 0


def remove(removal: Removal, ui: UI) -> Removal:
    """Carry out a plan, and return it with the record as it was removed: a push may have noted itself.

    If the session's record is damaged, or has another session's id, only the refs are removed, as what the
    record names cannot be trusted.  Raises :class:`RunningError` while a run goes on and
    :class:`RefRaceError` when the session moved since it was planned.
    """
    session = removal.session
    if session is None:
        _move_refs(removal)
        return removal
    with RunLock(session.id, removal.name, 0):
        if removal.given_up:
            _give_up(session, ui)
        for tries in range(_TRIES):
            try:
                _move_refs(removal)
                break
            except RefRaceError:
                now = refs.tips(removal.project, removal.name)
                moved = now.code != removal.code or _runs(removal, now.meta) != _runs(removal, removal.meta)
                if moved or tries == _TRIES - 1:
                    raise
                removal = removal._replace(meta=now.meta)
        forget(session.id)
    return removal


def _runs(removal: Removal, meta: str | None) -> tuple[str, Run | None] | None:
    """Return the session's id and last run in a record."""
    if meta is None:
        return None
    with record.Record(removal.project, removal.name, meta) as found:
        return found.session().id, found.last()


def _give_up(session: Session, ui: UI) -> None:
    """Remove the session's remains on the engine, if there is one, whatever they contain."""
    from realm.sandbox import docker, lookup

    try:
        connection = docker.connect()
    except EngineError as error:
        ui.warn(f"a container of {session.name} may be left: {error.message}")
        return
    with connection, ui.progress("removing the container"):
        lookup.clear(connection, session.id)
        for sandbox in lookup.find(connection, session_id=session.id):
            if sandbox.state() == "running":
                raise _still_running(session.name)
            sandbox.remove()


def _move_refs(removal: Removal) -> None:
    project, tips = removal.project, refs.Tips(removal.code or None, removal.meta)
    trash = refs.list_trash(project)
    updates = refs.trash_updates(removal.name, tips, trash, branches=branches.listed(project, removal.name))
    if removal.session is None and removal.meta and not is_there(project, removal.meta):
        updates = [update for update in updates if update.new != removal.meta]  # git keeps no ref to that
    refs.transact(project, updates, "realm: remove")
    if removal.session is not None and removal.code:
        homes.remove(removal.session, homes.everywhere(project, removal.session, removal.code))
    refs.expire_trash(project, trash)


def finish(project: Project, session_id: str, name: str) -> bool:
    """Finish removing a session whose refs are in the trash, if it is there; for a removal that was killed.

    Raises :class:`RunningError` where another realm is at it, or has restored the session.
    """
    for trash in refs.list_trash(project, name):
        if not trash.code or not trash.meta:
            continue
        with record.Record(project, name, trash.meta) as found:
            session = found.session()
        if session.id == session_id:
            with RunLock(session_id, name, 0):
                if any(row.summary.id == session_id for row in listing.rows(project)):
                    return False
                homes.remove(session, homes.everywhere(project, session, trash.code))
                forget(session_id)
            return True
    return False


def restore(name: str, directory: Path | None, *, replace: bool = False) -> Removal:
    """Restore the session of that name that was removed last, and return what it has.

    With ``replace`` an existing session that is not running, such as a rewound one, goes to the trash
    instead. Otherwise raises :class:`RealmError` when the name is taken; raises :class:`NoSuchSessionError`
    when none was removed.
    """
    project = discover(directory or current_directory())
    refs.check_name(name)
    there = refs.tips(project, name)
    if there.code is not None:
        if replace:
            return _swap(project, name)
        _removed(project, name)
        raise RealmError(f"the session '{name}' exists", f"realm restore {name} --replace swaps the two")
    refs.check_new(project, name)
    trash, session = _removed(project, name), None
    if trash.code is not None and trash.meta is not None:
        with suppress(RealmError), record.Record(project, name, trash.meta) as found:
            session = found.session()
    with RunLock(session.id, name, 0) if session is not None else nullcontext():
        lost = homes.restore(project, session) if session is not None else []
        refs.transact(project, refs.restore_updates(trash), "realm: restore")
        if session is not None:
            with suppress(RealmError):
                homes.restore_inside(project, session._replace(name=name), trash.code or "")
    return Removal(name, project, trash.code or "", trash.meta, lost=tuple(lost))


def _removed(project: Project, name: str) -> refs.Trash:
    trash = refs.latest_trash(project, name)
    if trash is None:
        removed = {one.name for one in refs.list_trash(project)}
        raise NoSuchSessionError(
            f"no removed session {name} in {project.root}",
            meant(name, removed, "git for-each-ref refs/realm-trash lists what can be restored"),
        )
    return trash


def _swap(project: Project, name: str) -> Removal:
    """Move a session's current state to the trash and restore the last one from there."""
    with claim.alone(name, project.root) as (_, row):
        there, trash = refs.Tips(row.code, row.meta), _removed(project, name)
        if trash.code is None or trash.meta is None:
            raise RealmError(
                f"what was removed of {name} is not complete",
                f"git for-each-ref {refs.TRASH}{name}",
            )
        # A rewound session still has its branches and stashes.
        beside = branches.listed(project, name) if trash.branches else {}
        refs.transact(
            project,
            [
                refs.RefUpdate(refs.CODE + name, there.code, trash.code),
                refs.RefUpdate(refs.META + name, there.meta, trash.meta),
                *refs.keep_updates(project, name, there, beside),
                *trash.exchanged(beside),
                *trash.updates(),
            ],
            "realm: restore",
        )
    return Removal(name, project, trash.code or "", trash.meta)
