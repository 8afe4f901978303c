"""Finding a session by its name: here first, then in every project realm was used in."""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from realm.errors import GitError, NoGitError, NoSuchSessionError, NotARepositoryError, RealmError
from realm.paths import current_directory
from realm.session import registry
from realm.store import listing, refs
from realm.store.repo import discover
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project
    from realm.store.listing import MetaRow


class Found(NamedTuple):
    """A session and its project; ``row`` is what its refs tell of it."""

    project: Project
    row: MetaRow

    def sound(self) -> Self:
        """Return this; :class:`RealmError` when the refs or the record of the session are damaged."""
        problem = self.row.problem
        if problem:
            raise RealmError(
                f"the session {self.row.name} is damaged: {problem}",
                _advice(self.project, self.row.name, problem),
            )
        return self


def find(name: str, directory: Path | None) -> Project:
    """Return the project that has the session ``name``, sound or not; see :func:`locate`."""
    return locate(name, directory).project


def locate(name: str, directory: Path | None) -> Found:
    """Return the session ``name`` with its project.

    With ``directory`` only the repository there is asked.  Without it the one
    around the current directory is, and then the others.  Raises
    :class:`NoSuchSessionError` with the closest names, :class:`UsageError` for
    a name that none can have, :class:`RealmError` when several projects have it.
    """
    refs.check_name(name)
    here = discover(directory) if directory is not None else _around(current_directory())
    found = _named(here, name) if here else None
    if found is not None and found.row.code is not None:
        return found
    if directory is not None:
        raise _unknown(name, here, found)
    every = [found for project in elsewhere(here) if (found := _named(project, name)) is not None]
    others = [other for other in every if other.row.code is not None]
    if len(others) > 1:
        places = ", ".join(str(other.project.root) for other in others)
        raise RealmError(
            f"several projects have a session {name}: {places}",
            f"say which one: realm -C {others[0].project.root} …",
        )
    if not others:
        raise _unknown(name, here, found, *every)
    return others[0]


def _named(project: Project, name: str) -> Found | None:
    try:
        return next((Found(project, row) for row in listing.rows(project, [name])), None)
    except GitError:  # another project's refs may not be readable
        return None


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
    except NoGitError:
        raise
    except (NotARepositoryError, GitError):
        return None


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


def _unknown(name: str, here: Project | None, *damaged: Found | None) -> NoSuchSessionError:
    """Return the error for a session that is nowhere; raise the one of a damaged one."""
    for found in damaged:
        if found is not None:
            found.sound()
    names = set()
    for project in [*([here] if here else []), *elsewhere(here)]:
        with suppress(GitError):
            names |= {row.name for row in listing.rows(project)}
    same = [other for other in sorted(names) if other.casefold() == name.casefold()]
    close = same or difflib.get_close_matches(name, sorted(names), n=3)
    where = f" in {here.root}" if here else ""
    gone = [str(root) for root in registry.known() if registry.is_gone(root)]
    moved = f"; these projects are gone: {', '.join(gone)} (moved? use -C NEW_PLACE)" if gone else ""
    hint = f"did you mean {' or '.join(close)}?" if close else "realm list --all shows every session"
    return NoSuchSessionError(f"there is no session {name}{where}{moved}", hint)
