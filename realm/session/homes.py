"""Other repositories that have work of a session, beside the project and in its submodules.

In each the session has a name, and refs of that name as in the project: ``refs/realm/<name>`` and
``refs/realm-branches/<name>/…``. This machine notes which session a name belongs to, since a record from
elsewhere could claim any. ``refs/realm/<name>`` is made at the session's start beside the project, and
with the first work in a submodule.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.session import approvals
from realm.store import branches, refs, repo, submodules
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realm.model import Neighbour, Project, Session
    from realm.store.submodules import Submodule


class Held(NamedTuple):
    """A repository with a session's work: the session's name there, its commit, and the one it began on.

    ``path`` is its place in the workspace.
    """

    clone: Project
    name: str
    oid: str
    base: str
    path: str = ""

    def kept(self) -> dict[str, str]:
        """Return what is kept beside the work there (:func:`realm.store.branches.listed`)."""
        return branches.listed(self.clone, self.name)


class OwnRefs(NamedTuple):
    """A session with its own refs elsewhere, ``made`` from refs that it or another session ``had``."""

    session: Session
    had: list[Held]
    made: list[Held]


def other_name(project: Project, name: str) -> str:
    """Return the name for a session of ``project`` in repositories where its own name is taken."""
    return f"{name}-in-{project.name}"[: refs.LONGEST].rstrip(".")


def names(project: Project, session: Session) -> tuple[str, str]:
    """Return a session's possible names in other repositories."""
    return session.name, other_name(project, session.name)


def own_of(clone: Project, session: Session, wanted: Sequence[str]) -> str:
    """Return the one of these names that has the session's work in a repository; empty if none."""
    return next((name for name in wanted if approvals.is_own_ref(clone, session, name)), "")


# -- beside the project ----------------------------------------------------------


def opened(path: Path) -> Project | None:
    """Return the repository whose work tree's top ``path`` is."""
    with suppress(RealmError):
        if os.path.lexists(path / ".git"):
            return repo.discover(path)
    return None


def clone_of(project: Project, one: Neighbour) -> Project | None:
    """Return the clone of a repository that the user approved; ``None`` when it is not here."""
    found = opened(Path(one.path))
    if found is None or found.common_dir == project.common_dir:
        return None
    same = found.object_format == project.object_format
    return found if same and repo.is_there(found, f"{one.base}^{{commit}}") else None


def repositories(project: Project, session: Session) -> list[tuple[Neighbour, Project | None]]:
    """Return the session's repositories, each with its clone if that is here and approved."""
    approved = approvals.is_settled(project, session)
    return [(one, clone_of(project, one) if approved else None) for one in session.neighbours if one.base]


def tip_of(clone: Project, session: Session, name: str) -> str | None:
    """Return the commit of the session's own ref in a repository; ``None`` if there is none."""
    return refs.tips(clone, name).code if name and approvals.is_own_ref(clone, session, name) else None


def with_ref(project: Project, session: Session, one: Neighbour) -> Neighbour:
    """Return it with a free name for the session's work, if the repository is here."""
    clone = clone_of(project, one) if one.writable else None
    if clone is None or (one.ref and approvals.is_own_ref(clone, session, one.ref)):
        return one
    return one._replace(ref=_free(clone, project, session.name))


def _free(clone: Project, project: Project, wanted: str) -> str:
    """Return a name that is free in a repository, preferably ``wanted``."""
    for name in wanted, other_name(project, wanted):
        with suppress(RealmError):
            refs.check_new(clone, name)
            if refs.tips(clone, name) == refs.Tips(None, None) and not branches.listed(clone, name):
                return name
    shown = clean(str(clone.root), limit=200)
    raise RealmError(
        f"{shown} has work of another session called {wanted}",
        f"give this one another name, or --with {shlex.quote(shown)}:ro",
    )


def ref(session: Session, name: str) -> str:
    """Return the session's ref in the repository beside the project called ``name``."""
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
    """Create the session's missing refs in the repositories that a beginning run has ``beside`` the project.

    They keep the commits it begins on, and reserve its name.  Raises :class:`RealmError` where another
    session has taken that meanwhile.
    """
    names = {one.name: one.ref for one in session.neighbours if one.writable}
    for one in beside:
        name = names.get(one.name)
        if one.clone is not None and name:
            if refs.tips(one.clone, name).code is None:
                _make(one.clone, session, name, one.link)
            check_own(one.clone, session, name)
            _finish_rename(one.clone, session, name)


def _finish_rename(clone: Project, session: Session, name: str) -> None:
    """Remove the session's refs of a former name that a killed rename left."""
    tip = refs.tips(clone, name).code or ""
    for ref, oid in refs.below(clone, refs.CODE).items():
        former = ref.removeprefix(refs.CODE)
        if former != name and approvals.is_own_ref(clone, session, former):
            held = Held(clone, former, oid, "")
            kept = refs.renamed(former, name, held.kept()).items() <= branches.listed(clone, name).items()
            if kept and repo.is_ancestor(clone, oid, tip):
                let_go([held])


def _make(clone: Project, session: Session, name: str, oid: str, kept: Mapping[str, str] = {}) -> None:
    """Create a session's refs there.  They are noted first: a ref without an owner would block everyone."""
    if not approvals.is_own_ref(clone, session, name):
        approvals.note_ref(clone, session, name)
    there = {refs.CODE + name: oid, **kept}
    made = [refs.RefUpdate(ref, None, oid) for ref, oid in there.items()]
    refs.transact(clone, made, f"realm: {session.name} begins")


def release(project: Project, session: Session) -> None:
    """Undo :func:`reserve` for a session that was not created in the end."""
    let_go([held for held in held_by(project, session) if held.oid == held.base and not held.kept()])


def let_go(found: Sequence[Held]) -> None:
    """Remove refs that have not moved and whose commits are held elsewhere."""
    for held in found:
        there = {refs.CODE + held.name: held.oid, **held.kept()}
        with suppress(RealmError):
            gone = [refs.RefUpdate(ref, oid, None) for ref, oid in there.items()]
            refs.transact(held.clone, gone, "realm: gone")


def held_by(project: Project, session: Session) -> list[Held]:
    """Return where the session has a ref."""
    return [
        Held(clone, one.ref, tip, one.base, f"../{one.name}")
        for one, clone in repositories(project, session)
        if clone is not None and (tip := tip_of(clone, session, one.ref))
    ]


def work(project: Project, session: Session) -> list[Held]:
    """Return where the session has work, in the repositories that can be opened."""
    with suppress(RealmError):
        return [held for held in held_by(project, session) if held.oid != held.base]
    return []


def everywhere(project: Project, session: Session, code: str) -> list[Held]:
    """Return where a session at commit ``code`` has refs elsewhere, as far as that can be determined."""
    with suppress(RealmError):
        return [*held_by(project, session), *held_inside(project, session, code)]
    return []


def restore(project: Project, session: Session) -> list[str]:
    """Restore the refs that went to the trash with the session; return in words which must stay there.

    Raises :class:`RealmError` where another session has taken its name there.
    """
    found, lost = [], []
    for one, clone in repositories(project, session):
        trash = _trashed(clone, one.ref) if clone is not None and one.ref else None
        if clone is None or trash is None:
            continue
        if refs.tips(clone, one.ref).code is not None:
            check_own(clone, session, one.ref)
        elif approvals.is_own_ref(clone, session, one.ref):
            found.append((clone, trash))
        else:
            shown = shlex.quote(clean(str(clone.root)))
            lost.append(
                f"another session was called {one.ref} in {shown} meanwhile, so what {session.name} did "
                f"there stays in the trash: git -C {shown} for-each-ref {refs.TRASH}{one.ref}"
            )
    for clone, trash in found:
        refs.transact(clone, refs.restore_updates(trash), "realm: restore")
    return lost


def _trashed(clone: Project, name: str) -> refs.Trash | None:
    return next((trash for trash in refs.list_trash(clone, name) if trash.code and not trash.meta), None)


# -- in submodules ---------------------------------------------------------------


def name_in(clone: Project, project: Project, session: Session) -> str:
    """Return a session's name in a submodule's clone, where other sessions may have its own.

    Raises :class:`RealmError` when both possible names are taken.
    """
    wanted = names(project, session)
    own = own_of(clone, session, wanted)
    for name in (own, *wanted) if own else wanted:
        tips = refs.tips(clone, name)
        # A ref without a note was left by an earlier version.
        if tips.meta is None and (
            tips.code is None or name == own or not approvals.is_anothers_ref(clone, name)
        ):
            return name
    shown = shlex.quote(clean(str(clone.git_dir)))
    raise RealmError(
        f"{shown} has work of other sessions called {' and '.join(wanted)}",
        f"git --git-dir={shown} log refs/realm/{wanted[1]}, and git update-ref -d takes it away",
    )


def take_name(clone: Project, project: Project, session: Session) -> str:
    """Return :func:`name_in`, and reserve it for the session."""
    name = name_in(clone, project, session)
    if not approvals.is_own_ref(clone, session, name):
        approvals.note_ref(clone, session, name)
    _finish_rename(clone, session, name)
    return name


def _inside(project: Project, session: Session, code: str) -> Iterator[tuple[Submodule, Held]]:
    """Yield the submodules of a session at commit ``code``, with its work there, if any."""
    every = [*submodules.find(project, session.base, session.base)]
    every += submodules.find(project, session.base, code) if code != session.base else []
    for one in {one.key: one for one in every}.values():
        if one.clone is not None:
            name = name_in(one.clone, project, session)
            yield one, Held(one.clone, name, refs.tips(one.clone, name).code or "", one.base, one.path)


def held_inside(project: Project, session: Session, code: str) -> list[Held]:
    """Return where submodules have work of a session at commit ``code``."""
    return [held for _, held in _inside(project, session, code) if held.oid]


def remove(session: Session, found: Sequence[Held]) -> None:
    """Move a session's refs in other repositories to the trash there; failures do no harm."""
    for held in found:
        with suppress(RealmError):
            _finish_rename(held.clone, session, held.name)
            trash, tips = refs.list_trash(held.clone), refs.Tips(held.oid, None)
            updates = refs.trash_updates(held.name, tips, trash, branches=held.kept())
            refs.transact(held.clone, updates, "realm: remove")
            refs.expire_trash(held.clone, trash)


def restore_inside(project: Project, session: Session, code: str) -> None:
    """Restore what :func:`remove` removed from submodules, as long as git has the commits."""
    for one, (clone, name, oid, base, _) in _inside(project, session, code):
        if oid:
            continue
        trash = _trashed(clone, name) if approvals.is_own_ref(clone, session, name) else None
        if trash is not None:
            refs.transact(clone, refs.restore_updates(trash), "realm: restore")
        elif one.link != base:
            _make(clone, session, name, one.link)


# -- by another name -------------------------------------------------------------


def with_own_refs(project: Project, old: Session, session: Session, code: str | None = None) -> OwnRefs:
    """Return ``session``, which is ``old`` renamed or forked, with refs of its own, made already.

    For one that is renamed, and came to the commit ``code``, those in submodules are made too; what an
    earlier try, which was killed, made of them counts.  Raises :class:`RealmError` where it cannot have
    its name.
    """
    is_same = session.id == old.id
    # A repository that is not here keeps the name, which a fork then cannot have.
    found = {one.name: one if is_same else one._replace(ref="") for one in old.neighbours}
    pairs = []
    for one, clone in repositories(project, old):
        if clone is not None and (tip := tip_of(clone, old, one.ref)):
            held = Held(clone, one.ref, tip, one.base)
            mine = _renamed(held, project, session)
            pairs.append((held, mine))
            found[one.name] = one._replace(ref=mine.name)
    if code and is_same:
        pairs += [(held, _renamed(held, project, session)) for held in held_inside(project, old, code)]
    own = OwnRefs(session._replace(neighbours=tuple(found.values())), [], [])
    try:
        for before, after in pairs:
            if before.name != after.name:
                if not _has(before, session, after.name):
                    kept = refs.renamed(before.name, after.name, before.kept()) if is_same else {}
                    _make(after.clone, session, after.name, after.oid, kept)
                own.had.append(before)
                own.made.append(after)
    except BaseException:
        let_go(own.made)
        raise
    return own


def _renamed(held: Held, project: Project, session: Session) -> Held:
    """Return it under a name of the session's: one that it has already, or a free one."""
    there = (name for name in names(project, session) if _has(held, session, name))
    return held._replace(name=next(there, "") or _free(held.clone, project, session.name))


def _has(held: Held, session: Session, name: str) -> bool:
    """Tell whether the session has the same refs under that name."""
    clone = held.clone
    return (
        approvals.is_own_ref(clone, session, name)
        and refs.tips(clone, name) == refs.Tips(held.oid, None)
        and branches.listed(clone, name) == refs.renamed(held.name, name, held.kept())
    )
