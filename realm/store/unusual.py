"""Unusual changes that are probably accidents, and dropping them from commits.

Large files, very many new ones below one directory, installed packages, and the deletion of most of the tree
are mostly accidents: a build's output that no rule ignores, a clean-up gone wrong.  Files with a filter of
the user's (gitattributes(5)), which encrypts them, say, are committed as the agent wrote them, since realm
does not run the user's programs on them.  All are kept; the user is told, and can have them dropped.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from realm.git import git
from realm.store import signing
from realm.store.batch import CatFile
from realm.store.commits import COMMIT_LIMIT, parse_commit
from realm.store.objects import DIRECTORY, Objects, read_tree
from realm.store.quarantine import quarantine
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from realm.model import Project
    from realm.store.objects import Entry

LARGE = 50 * 1024**2
"""Bytes from which a file is large; GitHub refuses files of twice that."""
HEAP = 2000
"""Number of new files below one directory that is a heap."""
PACKAGES = 100
"""Number of new files of installed packages that is a heap; test data has fewer."""
LEAST_GONE = 20
"""Least number of deleted files to be reported, if they are more than half of all."""
_TREE_LIMIT = 64 * 1024**2


class Unusual(NamedTuple):
    """One unusual change: a description, and the path to drop, relative to the project's top, if any."""

    what: str
    path: str


class Change(NamedTuple):
    """A changed file: its path, its objects, git's status letter, its new mode (0: deleted)."""

    path: str
    before: str
    after: str
    status: str
    mode: int


def find(project: Project, old: str, new: str) -> list[Unusual]:
    """Return what is unusual about the difference between two commits."""
    changed = list(changes(project, old, new))
    added = [change for change in changed if change.status == "A"]
    sizes = _sizes(project, [change.after for change in changed if change.status in "AM"])
    found = [
        _large(change.path, sizes[change.after]) for change in changed if sizes.get(change.after, 0) > LARGE
    ]
    found += [
        Unusual(f"{count} new files below {clean(place, limit=200)}", place)
        for place, count in _heaps([change.path for change in added])
    ]
    found += _unfiltered(project, [change.path for change in changed if change.status in "AM"])
    moved = {change.after for change in added}
    gone = sum(change.status == "D" and change.before not in moved for change in changed)
    if gone >= LEAST_GONE:
        listed = git("ls-tree", "-r", "-z", "--name-only", "--end-of-options", old, project=project).out
        every = listed.count(b"\0")
        if gone * 2 > every:
            found.append(Unusual(f"{gone} of {every} files are deleted", ""))
    return found


def find_to_push(project: Project, base: str, tip: str) -> list[Unusual]:
    """Return what is unusual about commits to be pushed, including large files in only one of them."""
    listed = git("rev-list", "--objects", "--end-of-options", f"{base}..{tip}", project=project)
    named = dict(line.split(" ", 1) for line in listed.lines if " " in line)
    sizes = _sizes(project, list(named))
    inside = {path for oid, path in named.items() if sizes.get(oid, 0) > LARGE}
    found = find(project, base, tip)
    known = {one.path for one in found}
    more = {named[oid]: size for oid, size in sizes.items() if size > LARGE and named[oid] in inside - known}
    return [*found, *(_large(path, size) for path, size in more.items())]


def _large(path: str, size: int) -> Unusual:
    return Unusual(f"{clean(path, limit=200)} has {size / 1e6:.0f} MB", path)


def changes(project: Project, old: str, new: str) -> Iterator[Change]:
    """Yield the files that differ between two commits; a moved one as deleted and added."""
    asked = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--end-of-options", old, new)
    fields = git(*asked, project=project).out.decode("utf-8", "surrogateescape").split("\0")
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, before, after, status = head.split(" ")
        yield Change(path, before, after, status[:1], int(mode, 8))


def _sizes(project: Project, oids: Sequence[str]) -> dict[str, int]:
    """Return the bytes of the blobs among some objects."""
    if not oids:
        return {}
    form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
    asked = "".join(f"{oid}\n" for oid in oids).encode()
    rows = (line.split(" ") for line in git("cat-file", form, "--buffer", project=project, stdin=asked).lines)
    return {row[0]: int(row[2]) for row in rows if row[1:2] == ["blob"]}


def _unfiltered(project: Project, paths: Sequence[str]) -> Iterator[Unusual]:
    """Yield the user's filters that would have applied; Git LFS is handled already."""
    asked = ("config", "-z", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process)$")
    cells = git(*asked, project=project, check=False).text.split("\0")
    filters = {cell.partition(".")[2].rpartition(".")[0] for cell in cells if cell} - {"lfs"}
    if not filters:
        return
    stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
    told = git("check-attr", "-z", "--stdin", "filter", project=project, stdin=stdin, check=False)
    rows = told.out.decode("utf-8", "surrogateescape").split("\0")
    for name in sorted(filters):
        of = [path for path, value in zip(rows[::3], rows[2::3], strict=False) if value == name]
        if of:
            more = f" and {len(of) - 1} more" if of[1:] else ""
            what = f"{clean(of[0], limit=200)}{more} did not go through your filter {clean(name, limit=100)}"
            yield Unusual(what, "" if more else of[0])


def _heaps(paths: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield directories with a heap of the files below them: the deepest that contains all of it."""
    installed = set(_installed(paths))
    below: Counter[str] = Counter()
    for path in paths:
        parts = path.split("/")
        places = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        packages = next((place for place in places if place in installed), None)
        below.update(places if packages is None else [packages])
    yield from ((place, below[place]) for place in sorted(installed) if below[place] >= PACKAGES)
    heaps = {place: count for place, count in below.items() if count >= HEAP and place not in installed}
    for place, count in heaps.items():
        parent = place.rpartition("/")[0]
        deeper = any(other.startswith(f"{place}/") and heaps[other] == count for other in heaps)
        if not deeper and heaps.get(parent, count) == count:
            yield place, count


def _installed(paths: Sequence[str]) -> Iterator[str]:
    """Yield the directories in which npm or Python's venv puts packages."""
    for path in paths:
        *above, name = path.split("/")
        if "node_modules" in above:
            yield "/".join(above[: above.index("node_modules") + 1])
        elif above and name == "pyvenv.cfg":
            yield "/".join(above)


# -- dropping them --------------------------------------------------------------


def without(project: Project, start: str, tip: str, paths: Sequence[str]) -> str:
    """Rewrite the commits from ``start`` to ``tip`` without their changes to ``paths``; return the new tip.

    Commits that then change nothing are left out; the others keep message, author and dates.  The new commits
    are held (:mod:`realm.store.holding`); ``tip`` itself is returned if no commit changes any of the paths.
    """
    made = Objects(project.object_format)
    listed = git("rev-list", "--reverse", "--end-of-options", f"{start}..{tip}", project=project).lines
    with CatFile(project) as objects:

        def read(oid: str) -> list[Entry]:
            data = made.data(oid)
            if data is None:
                found = objects.get(oid, _TREE_LIMIT)
                data = found.data if found is not None else b""
            return read_tree(data, project.object_format)

        def commit(oid: str) -> bytes:
            found = objects.get(oid, COMMIT_LIMIT)
            return found.data if found is not None else b""

        base = parse_commit(start, commit(start)).tree
        parent, last = start, base
        for oid in listed:
            data = commit(oid)
            tree = parse_commit(oid, data).tree
            for path in paths:
                parts = path.encode("utf-8", "surrogateescape").split(b"/")
                tree = _restored(made, read, tree, base, parts) or made.tree([])
            if tree != last:
                parent, last = made.rewritten(data, tree, parent), tree
    if parent == tip:
        return tip
    if parent == start:
        return start
    with quarantine(project) as held:
        made.write(held.path / "objects" / "pack")
        signed = signing.sign(project, held, start, parent)
        held.give(signed.tip, [start])
    return signed.tip


def _restored(
    made: Objects, read: Callable[[str], list[Entry]], tree: str, base: str | None, parts: Sequence[bytes]
) -> str | None:
    """Return ``tree`` with a path restored from ``base``, ``None`` when nothing is left."""
    now = {entry.name: entry for entry in read(tree)}
    before = {entry.name: entry for entry in read(base)} if base is not None else {}
    name, rest = parts[0], parts[1:]
    old, new = before.get(name), now.get(name)
    if rest and new is not None and new.mode == DIRECTORY:
        inside = old.oid if old is not None and old.mode == DIRECTORY else None
        below = _restored(made, read, new.oid, inside, rest)
        old = new._replace(oid=below) if below else None
    elif rest:
        return tree
    if old == new:
        return tree
    now.pop(name, None)
    if old is not None:
        now[name] = old
    return made.tree(now.values()) if now else None
