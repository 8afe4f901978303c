"""Taking a session away, and bringing it back.

The commits go nowhere: ``remove`` moves both refs below ``refs/realm-trash/``,
where git's clean-up leaves them alone for 30 days, and ``restore`` moves them
back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import EngineError, NoSuchSessionError, RealmError, RunningError
from realm.paths import remove_tree
from realm.session.find import find
from realm.session.lock import RunLock, holder, run_directory
from realm.session.requests import Removal
from realm.store import record, refs
from realm.store.repo import count_commits, discover, is_there

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project, Session
    from realm.session.ui import UI


def plan(name: str, directory: Path | None) -> Removal:
    """Say what removing the session would take away; nothing is changed."""
    project = find(name, directory)
    tips = refs.tips(project, name)
    session = _session(project, name)
    code = tips.code or ""
    return Removal(
        name=name,
        project=project.root,
        code=code,
        meta=tips.meta,
        unpushed=_unpushed(project, session, code),
        running=session is not None and holder(session.id) is not None,
        leftovers=1 if _unsaved(project, name) else 0,
    )


def _session(project: Project, name: str) -> Session | None:
    """Return the record, ``None`` for a damaged one: such a session can still be removed."""
    try:
        return record.read_session(project, name)
    except RealmError:
        return None


def _unsaved(project: Project, name: str) -> bool:
    from realm.model import State

    return any(row.state is not State.EXITED for row in refs.rows(project, [name]))


def _unpushed(project: Project, session: Session | None, code: str) -> int:
    """Count commits that only this session has."""
    pushed = list(session.pushed.values()) if session else []
    base = [session.base] if session else []
    if code in pushed:
        return 0
    known = [oid for oid in [*pushed, *base] if is_there(project, oid)]
    return count_commits(project, code, known, shared=False)


def remove(removal: Removal, ui: UI) -> None:
    """Carry out a plan: the box and its volumes, then the refs.

    Raises :class:`RunningError` while a run goes on and :class:`RefRaceError`
    when the session moved since it was planned.
    """
    project = discover(removal.project)
    session = _session(project, removal.name)
    if session is None:
        _move_refs(project, removal)
        return
    with RunLock(session.id, removal.name, 0):
        if not _remove_boxes(session, ui) and removal.leftovers:
            raise EngineError(
                "the engine does not answer, and this session may still have a box on it",
                "start the engine, then: realm doctor",
            )
        _move_refs(project, removal)
    remove_tree(run_directory(session.id))


def _remove_boxes(session: Session, ui: UI) -> bool:
    from realm.sandbox import docker, lookup

    try:
        connection = docker.connect()
        lookup.clear(connection, session.id)
        boxes = lookup.find(connection, session_id=session.id)
    except EngineError:
        return False
    for box in boxes:
        if box.state() == "running":
            raise RunningError(
                f"the box of session {session.name} is still running",
                f"realm stop {session.name} ends it and saves its work",
            )
    with ui.progress("removing the box"):
        for box in boxes:
            box.remove()
    return True


def _move_refs(project: Project, removal: Removal) -> None:
    tips = refs.Tips(removal.code, removal.meta)
    updates = refs.trash_updates(project, removal.name, tips)
    if removal.meta and not is_there(project, removal.meta):  # git keeps no ref to what is not there
        updates = [update for update in updates if update.new != removal.meta]
    refs.transact(project, updates, "realm: remove")
    refs.expire_trash(project)


def restore(name: str, directory: Path | None) -> Removal:
    """Bring back the session of that name that was removed last, and return what it is.

    Raises :class:`RealmError` when a session of that name exists and
    :class:`NoSuchSessionError` when none was removed.
    """
    from pathlib import Path as _Path

    project = discover(directory or _Path.cwd())
    refs.check_name(name)
    refs.check_new(project, name)
    trash = refs.latest_trash(project, name)
    if trash is None:
        raise NoSuchSessionError(
            f"no removed session {name} in {project.root}",
            "git for-each-ref refs/realm-trash lists what can be restored",
        )
    refs.transact(project, refs.restore_updates(trash), "realm: restore")
    return Removal(name, project.root, trash.code or "", trash.meta)
