"""Checking every file that a sandbox changed, and leaving out unsafe ones.

Only differences from the tree that the run started on are checked: earlier files are the user's own, and stay
if their new version is left out.
"""

from __future__ import annotations

import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import GitError, RejectedError
from realm.store import names
from realm.store.objects import DIRECTORY, EXECUTABLE, FILE, GITLINK, SYMLINK, Entry, read_tree
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.store.batch import CatFile
    from realm.store.objects import Objects
    from realm.store.quarantine import Limits
    from realm.store.submodules import Links

_SUSPICIOUS = 100_000
"""Checked entries after which all entries are counted first: a few trees can expand to billions."""
_SHOWN = 100
"""Most paths named one by one in a list of what was left out, and files of which the content is kept."""
LEFT_ROOM = 64 * 1024 * 1024
"""The most bytes of such contents, of one intake and of all of a run."""


class Findings:
    """Notes or left-out paths, each once, in order."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self._more = 0

    def add(self, text: str) -> None:
        """Add a line, cleaned."""
        line = clean(text, limit=300)
        if line in self._found:
            return
        if len(self._found) < _SHOWN:
            self._found[line] = None
        else:
            self._more += 1

    def lines(self) -> list[str]:
        """Return the lines; beyond a hundred they are only counted."""
        return [*self._found, *([f"and {self._more} more"] if self._more else [])]


class Verifier:
    """Turns a sandbox's trees into trees that may enter the project.

    ``objects`` reads the quarantine, ``sizes`` are the types and sizes of the sandbox's objects, and new
    trees are added to ``made``.  ``links`` decides on submodules' commits; without it all are accepted.
    ``refused`` maps the ids of files that git refuses to its words about them.
    """

    def __init__(
        self,
        objects: CatFile,
        sizes: Mapping[str, tuple[str, int]],
        made: Objects,
        limits: Limits,
        object_format: str,
        links: Links | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self._links = links
        self._refused = refused or {}
        self._objects = objects
        self._sizes = sizes
        self._made = made
        self._limits = limits
        self._format = object_format
        self._repositories: set[str] = set()
        self._done: dict[tuple[str, str | None, bytes], str | None] = {}
        self._entries, self._is_counted = 0, False
        self._deadline = time.monotonic() + limits.wall
        self._root = ""
        self._bases: set[str] = set()
        self._own: set[bytes] | None = None
        self._moved: tuple[str, set[str]] = ("", set())
        self._left: dict[bytes, str] = {}
        self._room = LEFT_ROOM
        self.dropped = Findings()
        self.notes = Findings()

    def contents(self) -> dict[bytes, bytes]:
        """Return the contents of files that were left out, and the targets of links, by their paths."""
        found = {}
        for path, oid in self._left.items():
            with suppress(GitError):  # it was left out anyway
                held = self._objects.get(oid, LEFT_ROOM)
                if held is not None and held.kind == "blob":
                    found[path] = held.data
        return found

    def tree(self, oid: str, base: str) -> str:
        """Return the id of the tree ``oid`` without entries that are unsafe for a project with tree ``base``.

        Raises :class:`RejectedError` when ``oid`` is not a valid tree.
        """
        self._bases.add(base)
        self._root, self._is_counted = oid, False
        return self._tree(oid, base, b"", 0) or self._made.tree([])

    def _tree(self, oid: str, base: str | None, path: bytes, depth: int) -> str | None:
        """Return the cleaned tree of ``path`` (ending in ``/``), ``None`` when nothing is left."""
        if oid == base:
            return oid
        key = (oid, base, path)
        if key not in self._done:
            old = {entry.name: entry for entry in self._read(base)} if base else {}
            entries = self.read(oid)
            kept = [
                found for entry in entries if (found := self._entry(entry, old.get(entry.name), path, depth))
            ]
            kept = self._apart(kept, old, path)
            same = kept == entries
            cleaned = (oid if same else self._made.tree(kept)) if kept else None
            if cleaned and names.is_repository(entry.name for entry in kept):
                self._repositories.add(cleaned)
            self._done[key] = cleaned
        return self._done[key]

    def _apart(self, kept: list[Entry], old: Mapping[bytes, Entry], path: bytes) -> list[Entry]:
        """Return the entries without new links whose names some file systems take for another entry's.

        A write through such a link would go elsewhere.  Other colliding names are noted.
        """
        if all(entry.name in old for entry in kept):
            return kept
        found: dict[str, Entry] = {}
        gone: set[bytes] = set()
        for entry in sorted(kept, key=lambda entry: entry.name not in old):
            other = found.setdefault(names.seen(entry.name), entry)
            if other is entry or entry.name in old:
                continue
            full = path + entry.name
            if SYMLINK in (entry.mode, other.mode):
                self.dropped.add(f"{_shown(full)}: the same name as {_shown(other.name)} on some systems")
                gone.add(entry.name)
                self._leave(full, entry)
            else:
                self.notes.add(f"{_shown(full)} has the same name as {_shown(other.name)} on some systems")
        return [entry for entry in kept if entry.name not in gone]

    def _has(self, name: bytes) -> bool:
        """Tell whether any of the user's files has this name: such files may change and move."""
        if self._own is None:
            self._own, left = set(), list(self._bases)
            known = set(left)
            while left:
                for entry in self._read(left.pop()):
                    self._own.add(entry.name)
                    if entry.mode == DIRECTORY and entry.oid not in known:
                        known.add(entry.oid)
                        left.append(entry.oid)
        return name in self._own

    def _is_moved(self, link: str) -> bool:
        """Tell whether a link of the user's with this id is gone from its path, so may have moved here."""
        if self._moved[0] == self._root:
            return link in self._moved[1]
        found: set[str] = set()
        left = [(base, self._root) for base in self._bases]
        while left:
            base, now = left.pop()
            if base == now:
                continue
            there = {entry.name: entry for entry in self.read(now)} if now else {}
            for entry in self._read(base):
                other = there.get(entry.name)
                if entry.mode == SYMLINK and other != entry:
                    found.add(entry.oid)
                if entry.mode == DIRECTORY:
                    left.append((entry.oid, other.oid if other and other.mode == DIRECTORY else ""))
        self._moved = (self._root, found)
        return link in found

    def read(self, oid: str) -> list[Entry]:
        """Return a tree's entries, also of one created here; :class:`RejectedError` when it is not a tree."""
        made = self._made.data(oid)
        return read_tree(made, self._format) if made is not None else self._read(oid)

    def _read(self, oid: str) -> list[Entry]:
        try:
            found = self._objects.get(oid, self._limits.tree)
            entries = read_tree(found.data, self._format) if found and found.kind == "tree" else None
        except GitError as problem:
            raise RejectedError(f"the container's files cannot be read: {problem.message}") from problem
        if entries is None:
            raise RejectedError(f"the container's files cannot be read: {oid} is not a tree")
        self._entries += len(entries)
        if self._entries > _SUSPICIOUS and not self._is_counted:
            self._is_counted = True
            self._entries = max(self._entries, self._count(self._root))
        if self._entries > self._limits.entries:
            raise RejectedError(
                f"the container's files are too many to look at: more than {self._limits.entries} "
                "(realm.limit.entries)"
            )
        self._look_at_the_clock()
        if len({entry.name for entry in entries}) != len(entries):
            raise RejectedError(f"the container's files cannot be read: the tree {oid} names a file twice")
        return entries

    def _look_at_the_clock(self) -> None:
        if time.monotonic() > self._deadline:
            raise RejectedError(
                "the container's files were not looked at within "
                f"{self._limits.wall:.0f} seconds (realm.limit.seconds)"
            )

    def _count(self, root: str) -> int:
        """Return the number of entries of the sandbox's own trees below one, counting every path."""
        known: dict[str, int] = {}
        left = [root]
        while left:
            if left[-1] in known:
                left.pop()
                continue
            self._look_at_the_clock()
            found = self._objects.get(left[-1], self._limits.tree)
            entries = read_tree(found.data, self._format) if found and found.kind == "tree" else []
            below = [entry.oid for entry in entries if entry.mode == DIRECTORY and entry.oid in self._sizes]
            lacking = [oid for oid in dict.fromkeys(below) if oid not in known]
            if not lacking:
                known[left.pop()] = len(entries) + sum(known[oid] for oid in below)
            left += lacking
        return known[root]

    def _entry(self, entry: Entry, old: Entry | None, path: bytes, depth: int) -> Entry | None:
        if entry == old:
            return entry
        full = path + entry.name
        problem = names.name_problem(entry.name)
        if problem and not names.is_taken_for_git(entry.name) and self._has(entry.name):
            problem = ""  # the user's own
        if len(full) > self._limits.path or depth >= self._limits.depth:
            problem = problem or "a path too long"
        if problem:
            return self._drop(full, problem, entry, old)
        if old is None and (odd := names.oddity(entry.name)):
            self.notes.add(f"{_shown(full)}: {odd}")
        if entry.mode == DIRECTORY:
            base = old.oid if old and old.mode == DIRECTORY else None
            below = self._tree(entry.oid, base, full + b"/", depth + 1)
            if below in self._repositories:
                return self._drop(full, "a bare git repository, whose settings git would obey", entry, old)
            return entry._replace(oid=below) if below else None
        return self._file(entry, old, full, depth)

    def _file(self, entry: Entry, old: Entry | None, full: bytes, depth: int) -> Entry | None:
        if entry.mode == GITLINK:
            return self._submodule(entry, old, full)
        kind, size = self._sizes.get(entry.oid, ("blob", 0))
        if kind != "blob":
            raise RejectedError(f"the container's files cannot be read: {_shown(full)} is a {kind}")
        problem = self._file_problem(entry, size, depth)
        if problem == names.ABSOLUTE and old is None and self._is_moved(entry.oid):
            problem = ""  # the user's own
        if problem:
            return self._drop(full, problem, entry, old)
        if entry.mode == SYMLINK:
            return entry
        mode = EXECUTABLE if entry.mode & 0o100 else FILE
        return entry if entry.mode == mode else entry._replace(mode=mode)

    def _submodule(self, entry: Entry, old: Entry | None, full: bytes) -> Entry | None:
        if self._links is None:
            self.notes.add(f"{_shown(full)} is a repository of its own: only the id of its commit was kept")
            return entry
        oid, said = self._links.resolve(full, entry.oid)
        if not oid:
            return self._drop(full, said, entry, old)
        if said:
            self.notes.add(f"{_shown(full)} {said}")
        return entry._replace(oid=oid)

    def _file_problem(self, entry: Entry, size: int, depth: int) -> str:
        if entry.mode == SYMLINK:
            return self._link(entry, depth)
        if not stat.S_ISREG(entry.mode):
            return f"an odd kind of file ({entry.mode:o})"
        if entry.oid in self._refused:
            return f"git refuses it ({self._refused[entry.oid]})"
        if size > self._limits.file:
            return f"{size >> 20} MiB, above the limit of {self._limits.file >> 20} (realm.limit.file)"
        return ""

    def _link(self, entry: Entry, depth: int) -> str:
        try:
            found = self._objects.get(entry.oid, self._limits.commit)
        except GitError as problem:
            raise RejectedError(f"the container's files cannot be read: {problem.message}") from problem
        if found is None or found.kind != "blob":
            raise RejectedError(f"the container's files cannot be read: the link {entry.oid} is missing")
        return names.link_problem(entry.name, found.data, depth)

    def _drop(self, full: bytes, problem: str, entry: Entry, old: Entry | None) -> Entry | None:
        """Leave out an entry and keep the previous one."""
        self.dropped.add(f"{_shown(full)}: {problem}")
        self._leave(full, entry)
        return old

    def _leave(self, full: bytes, entry: Entry) -> None:
        kind, size = self._sizes.get(entry.oid, ("", 0))
        if kind == "blob" and size <= self._room and len(self._left) < _SHOWN:
            self._room -= size
            self._left[full] = entry.oid


def _shown(path: bytes) -> str:
    return clean(path.replace(b"\\", b"\\\\"), limit=200)
