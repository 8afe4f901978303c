"""Taking a session away, and bringing it back.

The commits go nowhere: ``remove`` moves both refs below ``refs/realm-trash/``,
where git's clean-up leaves them alone for 30 days, and ``restore`` moves them
back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import EngineError, NoSuchSessionError, RealmError, RunningError
from realm.model import State
from realm.paths import current_directory, remove_tree
from realm.session import claim
from realm.session.find import locate
from realm.session.lock import RunLock, holder, run_directory
from realm.session.requests import Removal
from realm.store import record, refs
from realm.store.repo import count_commits, discover, is_there

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project, Session
    from realm.session.requests import UI


def plan(name: str, directory: Path | None) -> Removal:
    """Say what removing the session would take away; nothing is changed."""
    project, row = locate(name, directory)
    session = _session(project, name)
    unpushed = _unpushed(project, session, row.code or "")
    if session is not None and claim.is_anothers(project, session):
        return Removal(name, project, row.code or "", row.meta, unpushed=unpushed)
    return Removal(
        name=name,
        project=project,
        code=row.code or "",
        meta=row.meta,
        session=session,
        unpushed=unpushed,
        running=session is not None and holder(session.id) is not None,
        leftovers=1 if row.state is not State.EXITED else 0,
    )


def _session(project: Project, name: str) -> Session | None:
    """Return the record, ``None`` for a damaged one: such a session can still be removed."""
    try:
        return record.read_session(project, name)
    except RealmError:
        return None


def _unpushed(project: Project, session: Session | None, code: str) -> int:
    """Count commits that only this session has."""
    pushed = list(session.pushed.values()) if session else []
    if code in pushed:
        return 0
    return count_commits(project, code, [*pushed, *([session.base] if session else [])], shared=False)


def remove(removal: Removal, ui: UI) -> None:
    """Carry out a plan: the sandbox and its volumes, then the refs.

    Of a session whose record is damaged, or has another session's id, only the
    refs go: what the record names is nobody's word.  Raises :class:`RunningError` while a run goes on and
    :class:`RefRaceError` when the session moved since it was planned.
    """
    session = removal.session
    if session is None:
        _move_refs(removal)
        return
    with RunLock(session.id, removal.name, 0):
        if not _remove_boxes(session, ui) and removal.leftovers:
            raise EngineError(
                "the engine does not answer, and this session may still have a container on it",
                "start the engine, then: realm doctor",
            )
        _move_refs(removal)
    remove_tree(run_directory(session.id))


def _remove_boxes(session: Session, ui: UI) -> bool:
    from realm.sandbox import docker, lookup

    try:
        connection = docker.connect()
        lookup.clear(connection, session.id)
        found = lookup.find(connection, session_id=session.id)
    except EngineError:
        return False
    # A record from elsewhere may have the id of another session.
    sandboxes = [sandbox for sandbox in found if sandbox.owner.session == session.name]
    for sandbox in sandboxes:
        if sandbox.state() == "running":
            raise RunningError(
                f"the container of session {session.name} is still running",
                f"realm stop {session.name} ends it and saves its work",
            )
    with ui.progress("removing the container"):
        for sandbox in sandboxes:
            sandbox.remove()
    return True


def _move_refs(removal: Removal) -> None:
    project, tips = removal.project, refs.Tips(removal.code or None, removal.meta)
    trash = refs.list_trash(project)
    updates = refs.trash_updates(removal.name, tips, trash)
    if removal.session is None and removal.meta and not is_there(project, removal.meta):
        updates = [update for update in updates if update.new != removal.meta]  # git keeps no ref to that
    refs.transact(project, updates, "realm: remove")
    refs.expire_trash(project, trash)


def restore(name: str, directory: Path | None) -> Removal:
    """Bring back the session of that name that was removed last, and return what it is.

    Raises :class:`RealmError` when a session of that name exists and
    :class:`NoSuchSessionError` when none was removed.
    """
    project = discover(directory or current_directory())
    refs.check_name(name)
    refs.check_new(project, name)
    trash = refs.latest_trash(project, name)
    if trash is None:
        raise NoSuchSessionError(
            f"no removed session {name} in {project.root}",
            "git for-each-ref refs/realm-trash lists what can be restored",
        )
    refs.transact(project, refs.restore_updates(trash), "realm: restore")
    return Removal(name, project, trash.code or "", trash.meta)
