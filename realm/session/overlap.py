"""Sessions side by side: what each changed, and which of them would be in each other's way."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.paths import current_directory
from realm.session.find import locate
from realm.store import listing, merging, repo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realm.model import Project


class Work(NamedTuple):
    """What a session, or the branch that is checked out, has changed: ``files`` by name, raw."""

    name: str
    tip: str
    files: frozenset[bytes]


class Conflict(NamedTuple):
    """Two that cannot be merged without a hand, and the files for which that is so (clean text)."""

    one: str
    other: str
    paths: tuple[str, ...]


def conflicts(names: Sequence[str], directory: Path | None) -> list[Conflict]:
    """Return which of the sessions ``names`` (none: all that are not merged) collide, also with HEAD.

    They are merged in memory, two at a time, where both changed the same files.
    """
    project = repo.discover(directory or current_directory())
    head = repo.resolve_commit(project, "HEAD")
    for name in names:
        locate(name, project.root).sound()
    rows = [row for row in listing.rows(project, list(names) or None) if not row.problem and row.code]
    works = [
        Work(row.name, row.code, repo.changed_names(project, row.base, row.code))
        for row in rows
        if row.code and row.code != row.base and not repo.is_ancestor(project, row.code, head)
    ]
    found = list(_with_head(project, works, head))
    for one, other in itertools.combinations(works, 2):
        if one.files & other.files and (paths := _colliding(project, one.tip, other.tip)):
            found.append(Conflict(one.name, other.name, paths))
    return found


def _with_head(project: Project, works: Sequence[Work], head: str) -> Iterator[Conflict]:
    branch = repo.branch(project) or "HEAD"
    for work in works:
        base = repo.merge_base(project, work.tip, head)
        if base is None or base == head or not work.files & repo.changed_names(project, base, head):
            continue
        if paths := _colliding(project, work.tip, head):
            yield Conflict(work.name, branch, paths)


def _colliding(project: Project, one: str, other: str) -> tuple[str, ...]:
    base = repo.merge_base(project, one, other)
    if base is None:
        return ("they have no commit in common",)
    try:
        merging.merge(project, base, one, other)
    except merging.ConflictError as error:
        return error.paths or ("files of both",)
    except RealmError as error:
        return (error.message,)
    return ()
