"""Comparing sessions: what each changed, and which of them conflict."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.paths import current_directory, itself
from realm.session.find import locate
from realm.session.review import commit_range
from realm.store import listing, merging, repo
from realm.store.commits import tree_of
from realm.store.quarantine import quarantine
from realm.text import clean
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realm.model import Project, Totals
    from realm.session.requests import At
    from realm.session.review import CommitRange

_AT_ONCE = 4
"""The most sandboxes in which checks run at the same time."""
_TAIL = 64 * 1024
"""Bytes of a check's output that are searched for its last line."""


class Changes(NamedTuple):
    """The changes of a session or of the checked-out branch: ``files`` by name, raw."""

    name: str
    tip: str
    files: frozenset[bytes]


class Conflict(NamedTuple):
    """Two sessions that cannot be merged automatically, and the files that conflict (clean text)."""

    one: str
    other: str
    paths: tuple[str, ...]


def conflicts(names: Sequence[str], directory: Path | None) -> list[Conflict]:
    """Return which of the sessions ``names`` (none: all unmerged ones) conflict, also with HEAD.

    They are merged in memory, two at a time, where both changed the same files.
    """
    project = repo.discover(directory or current_directory())
    head = repo.resolve_commit(project, "HEAD")
    for name in names:
        locate(name, project.root).sound()
    rows = [row for row in listing.rows(project, list(names) or None) if not row.problem and row.code]
    works = [
        Changes(row.name, row.code, repo.changed_names(project, row.summary.base, row.code))
        for row in rows
        if row.code and row.code != row.summary.base and not repo.is_ancestor(project, row.code, head)
    ]
    with quarantine(project) as held:  # objects made here are not for the project
        project = held.aside
        found = list(_with_head(project, works, head))
        for one, other in itertools.combinations(works, 2):
            if one.files & other.files:
                base = repo.merge_base(project, one.tip, other.tip)
                if paths := _colliding(project, base, one.tip, other.tip):
                    found.append(Conflict(one.name, other.name, paths))
    return found


def _with_head(project: Project, works: Sequence[Changes], head: str) -> Iterator[Conflict]:
    branch = repo.branch(project) or "HEAD"
    since: dict[str, frozenset[bytes]] = {}
    for work in works:
        base = repo.merge_base(project, work.tip, head)
        if base is None or base == head:
            continue
        if base not in since:
            since[base] = repo.changed_names(project, base, head)
        if work.files & since[base] and (paths := _colliding(project, base, work.tip, head)):
            yield Conflict(work.name, branch, paths)


def _colliding(project: Project, base: str | None, one: str, other: str) -> tuple[str, ...]:
    """Return the files that conflict when two commits with the merge base ``base`` are merged."""
    if base is None:
        return ("they have no commit in common",)
    try:
        merging.merge(project, base, one, other)
    except merging.ConflictError as error:
        return error.paths or ("files of both",)
    except RealmError as error:
        return (error.message,)
    return ()


class Checked(NamedTuple):
    """The result of a command run on a session's work: exit code, seconds, its last line of output."""

    exit_code: int
    seconds: float
    last: str


class Side(NamedTuple):
    """One of the compared sessions: its size, and how many of its files others changed too."""

    name: str
    tip: str
    totals: Totals
    shared: int
    same: str
    """The name of an earlier session with exactly the same files; empty if there is none."""
    checked: Checked | None = None


def compare(asked: Sequence[At], directory: Path | None, check: str | None) -> list[Side]:
    """Return sessions, or turns of them, side by side; ``check`` is a shell command to run on each.

    It runs as ``realm try`` does, each in a sandbox, several at a time.
    """
    ranges = [commit_range(at, directory) for at in asked]
    files = [repo.changed_names(whole.project, whole.base, whole.tip) for whole in ranges]
    trees = [tree_of(whole.project, whole.tip) for whole in ranges]
    names = [str(at) for at in asked]
    sides = []
    for number, whole in enumerate(ranges):
        others = frozenset().union(*(found for other, found in enumerate(files) if other != number))
        first = trees.index(trees[number])
        totals = repo.totals(whole.project, whole.base, whole.tip)
        same = names[first] if first != number else ""
        sides.append(Side(names[number], whole.tip, totals, len(files[number] & others), same))
    if check is None:
        return sides
    found: list[Checked] = []
    tasks = [partial(_checked, name, whole, check) for name, whole in zip(names, ranges, strict=True)]
    for start in range(0, len(tasks), _AT_ONCE):
        found += together(*tasks[start : start + _AT_ONCE])
    return [side._replace(checked=one) for side, one in zip(sides, found, strict=True)]


def _checked(name: str, whole: CommitRange, check: str) -> Checked:
    began = time.monotonic()
    command = (*itself(), "-C", str(whole.project.root), "try", "--no-input", name)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*command, "--", "sh", "-c", check], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        code = process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
        lines = clean(output.read(), multiline=True).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return Checked(code, time.monotonic() - began, last)
