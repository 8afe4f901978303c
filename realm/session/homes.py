"""The repositories beside the project, as the host has them, and what a session is called in each.

A session has a ref of its own, made when it begins, and this machine notes whose it is: a record from
elsewhere could name any.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.session import approvals
from realm.store import refs, repo
from realm.store.submodules import Held, other_name
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.model import Neighbour, Project, Session
    from realm.store.submodules import Submodule


def opened(path: Path) -> Project | None:
    """Return the repository whose work tree's top ``path`` is."""
    with suppress(RealmError):
        if os.path.lexists(path / ".git"):
            return repo.discover(path)
    return None


def clone_of(project: Project, one: Neighbour) -> Project | None:
    """Return a repository, which the user approved, ``None`` where it is not here."""
    found = opened(Path(one.path))
    if found is None or found.common_dir == project.common_dir:
        return None
    same = found.object_format == project.object_format
    return found if same and repo.is_there(found, f"{one.base}^{{commit}}") else None


def repositories(project: Project, session: Session) -> list[tuple[Neighbour, Project | None]]:
    """Return the session's repositories, without a clone where it is not here or not approved."""
    approved = approvals.is_settled(project, session)
    return [(one, clone_of(project, one) if approved else None) for one in session.neighbours if one.base]


def tip_of(clone: Project, session: Session, name: str) -> str | None:
    """Return where the session's own ref is in a repository, ``None`` where there is none."""
    return refs.tips(clone, name).code if name and approvals.is_own_ref(clone, session, name) else None


def with_ref(project: Project, session: Session, one: Neighbour) -> Neighbour:
    """Return it with a name for the session's work that nothing else has there, where it is here."""
    clone = clone_of(project, one) if one.writable else None
    if clone is None or (one.ref and approvals.is_own_ref(clone, session, one.ref)):
        return one
    return one._replace(ref=_free(clone, project, session.name))


def _free(clone: Project, project: Project, wanted: str) -> str:
    """Return what a session may be called in a repository, which may have one of that name."""
    for name in wanted, other_name(project, wanted):
        with suppress(RealmError):
            refs.check_new(clone, name)
            if refs.tips(clone, name) == refs.Tips(None, None):
                return name
    shown = clean(str(clone.root), limit=200)
    raise RealmError(
        f"{shown} has work of another session called {wanted}",
        f"give this one another name, or --with {shlex.quote(shown)}:ro",
    )


def ref(session: Session, name: str) -> str:
    """Return what the session is called in the repository that lies as ``name`` beside the project."""
    return next(one.ref for one in session.neighbours if one.name == name)


def check_own(clone: Project, session: Session, name: str) -> None:
    """Raise :class:`RealmError` where a ref is not the session's, whatever its record says."""
    tips = refs.tips(clone, name)
    if tips.meta is not None or not approvals.is_own_ref(clone, session, name):
        shown = clean(str(clone.root), limit=200)
        raise RealmError(
            f"refs/realm/{name} in {shown} is another session's",
            f"git -C {shlex.quote(shown)} log refs/realm/{name}",
        )


def reserve(session: Session, beside: Sequence[Submodule]) -> None:
    """Make the session's refs in what a run that begins has ``beside`` the project, where there are none.

    That keeps what it begins on, and no other session takes the name.  Raises :class:`RealmError`
    where one has it since.
    """
    names = {one.name: one.ref for one in session.neighbours if one.writable}
    for one in beside:
        name = names.get(one.name)
        if one.clone is not None and name:
            if refs.tips(one.clone, name).code is None:
                _make(one.clone, session, name, one.link)
            check_own(one.clone, session, name)


def _make(clone: Project, session: Session, name: str, oid: str) -> None:
    refs.transact(clone, [refs.RefUpdate(refs.CODE + name, None, oid)], f"realm: {session.name} begins")
    try:
        approvals.note_ref(clone, session, name)
    except BaseException:  # nobody's, it would be in the way
        _delete(Held(clone, name, oid, oid))
        raise


def release(project: Project, session: Session) -> None:
    """Undo :func:`reserve` for a session that did not come to be."""
    for held in held_by(project, session):
        if held.oid == held.base:
            _delete(held)


def _delete(held: Held) -> None:
    with suppress(RealmError):
        refs.transact(held.clone, [refs.RefUpdate(refs.CODE + held.name, held.oid, None)], "realm: gone")


def held_by(project: Project, session: Session) -> list[Held]:
    """Return where the session has a ref."""
    return [
        Held(clone, one.ref, tip, one.base)
        for one, clone in repositories(project, session)
        if clone is not None and (tip := tip_of(clone, session, one.ref))
    ]


def work(project: Project, session: Session) -> list[Held]:
    """Return where the session has work, as far as that is to be had."""
    with suppress(RealmError):
        return [held for held in held_by(project, session) if held.oid != held.base]
    return []


def restore(project: Project, session: Session) -> None:
    """Bring back what went to the trash with the session.

    Raises :class:`RealmError` where another session has its name there by now.
    """
    found = []
    for one, clone in repositories(project, session):
        known = refs.list_trash(clone, one.ref) if clone is not None and one.ref else []
        trash = next((trash for trash in known if trash.code and not trash.meta), None)
        if clone is None or trash is None:
            continue
        if refs.tips(clone, one.ref).code is not None:
            check_own(clone, session, one.ref)
        elif approvals.is_own_ref(clone, session, one.ref):
            found.append((clone, trash))
    for clone, trash in found:
        refs.transact(clone, refs.restore_updates(trash), "realm: restore")


def with_own_refs(project: Project, old: Session, session: Session) -> Session:
    """Return ``session``, which is ``old`` renamed or forked, with refs of its own, made already.

    Raises :class:`RealmError` where it cannot have its name there.
    """
    # What is not here keeps its name, which a fork cannot have.
    found = {one.name: one if session.id == old.id else one._replace(ref="") for one in old.neighbours}
    made = []
    for one, clone in repositories(project, old):
        if clone is not None and (tip := tip_of(clone, old, one.ref)):
            name = _free(clone, project, session.name)
            made.append((clone, name, tip))
            found[one.name] = one._replace(ref=name)
    now = session._replace(neighbours=tuple(found.values()))
    try:
        for clone, name, tip in made:
            _make(clone, session, name, tip)
    except BaseException:
        let_go(project, now, old)
        raise
    return now


def let_go(project: Project, session: Session, now: Session) -> None:
    """Take away the refs that ``session`` had and ``now`` has not."""
    names = {one.ref for one in now.neighbours}
    for held in held_by(project, session):
        if held.name not in names:
            _delete(held)
