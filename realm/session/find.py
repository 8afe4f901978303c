"""Finding a session by its name: here first, then in every project realm was used in."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from realm.errors import NoSuchSessionError, NotARepositoryError, RealmError
from realm.paths import current_directory
from realm.session import registry
from realm.store import refs
from realm.store.repo import discover
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project


def find(name: str, directory: Path | None) -> Project:
    """Return the project that has the session ``name``.

    With ``directory`` only the repository there is asked.  Without it the one
    around the current directory is, and then the others.  Raises
    :class:`NoSuchSessionError` with the closest names, :class:`UsageError` for
    a name that none can have, :class:`RealmError` when several projects have it.
    """
    refs.check_name(name)
    if directory is not None:
        return _in(discover(directory), name)
    here = _around(current_directory())
    if here is not None and refs.tips(here, name).code is not None:
        return here
    others = [project for project in elsewhere(here) if refs.tips(project, name).code is not None]
    if len(others) > 1:
        places = ", ".join(str(project.root) for project in others)
        raise RealmError(
            f"several projects have a session {name}: {places}",
            f"say which one: realm -C {others[0].root} …",
        )
    if not others:
        for project in _everywhere(here):
            sound(project, name)
        raise _unknown(name, here)
    return others[0]


def sound(project: Project, name: str) -> Project:
    """Return ``project``; :class:`RealmError` when the refs or the record of its session are damaged."""
    for row in refs.rows(project, [name]):
        if row.problem:
            raise RealmError(
                f"the session {name} is damaged: {row.problem}", _advice(project, name, row.problem)
            )
    return project


def _advice(project: Project, name: str, problem: str) -> str:
    """Return what to do about a damaged session; a broken ref is a file that git itself does not remove."""
    ref = f"{refs.CODE}{name}"
    if problem != f"{ref} is broken":
        return f"git for-each-ref refs/realm refs/realm-meta; realm remove {name} puts it away"
    path = clean(str(project.common_dir / ref))
    return (
        f"git grep after {refs.META}{name} names its commits; "
        f"rm '{path}' && git update-ref {ref} COMMIT puts the last one back"
    )


def _around(directory: Path) -> Project | None:
    try:
        return discover(directory)
    except NotARepositoryError:
        return None


def _in(project: Project, name: str) -> Project:
    if refs.tips(project, name).code is None:
        raise _unknown(name, sound(project, name))
    return project


def elsewhere(here: Project | None) -> list[Project]:
    """Return the other remembered projects that are still there, each repository once."""
    seen = {here.common_dir} if here else set()
    found: list[Project] = []
    for root in registry.known():
        project = _around(root)
        if project is not None and project.common_dir not in seen:
            seen.add(project.common_dir)
            found.append(project)
    return found


def _everywhere(here: Project | None) -> list[Project]:
    return [*([here] if here else []), *elsewhere(here)]


def _unknown(name: str, here: Project | None) -> NoSuchSessionError:
    names = sorted({row.name for project in _everywhere(here) for row in refs.rows(project)})
    same = [other for other in names if other.casefold() == name.casefold()]
    close = same or difflib.get_close_matches(name, names, n=3)
    where = f" in {here.root}" if here else ""
    gone = [str(root) for root in registry.known() if not root.is_dir()]
    moved = f"; these projects are gone: {', '.join(gone)} (moved? use -C NEW_PLACE)" if gone else ""
    hint = f"did you mean {' or '.join(close)}?" if close else "realm list --all shows every session"
    return NoSuchSessionError(f"there is no session {name}{where}{moved}", hint)
