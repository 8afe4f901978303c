"""Looking at every file that a sandbox changed, and leaving out what is not safe.

Only what differs from the tree that the run started on is looked at: what was
there before is the user's own, and stays where its successor is left out.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from realm.errors import GitError, RejectedError
from realm.store.objects import DIRECTORY, EXECUTABLE, FILE, GITLINK, SYMLINK, Entry, read_tree
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realm.store.batch import CatFile
    from realm.store.objects import Objects
    from realm.store.quarantine import Limits

_NAME_LIMIT = 255
_TARGET_LIMIT = 4095

# Characters that HFS+ ignores in names, so that ".g\u200cit" is ".git" there.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# Control characters: C0 and DEL as bytes, C1 and those that reorder text in UTF-8.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
# Files that git reads for itself and must never follow a link to.
_GITS_OWN = frozenset({".gitattributes", ".gitignore", ".gitmodules", ".mailmap"})

_SHOWN = 100
"""Paths named one by one in a list of what was left out."""


class Findings:
    """What was left out or is worth a word, each said once, in order."""

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
        """Return the lines; above a hundred, the rest is a number."""
        return [*self._found, *([f"and {self._more} more"] if self._more else [])]


class Verifier:
    """Turns trees of a sandbox into trees that may enter the project.

    ``objects`` reads the quarantine, ``sizes`` are the types and sizes of the
    objects that came out of the sandbox, new trees are made in ``made``.
    """

    def __init__(
        self,
        objects: CatFile,
        sizes: Mapping[str, tuple[str, int]],
        made: Objects,
        limits: Limits,
        object_format: str,
    ) -> None:
        self._objects = objects
        self._sizes = sizes
        self._made = made
        self._limits = limits
        self._format = object_format
        self._repositories: set[str] = set()
        self._done: dict[tuple[str, str | None, bytes], str | None] = {}
        self._entries = 0
        self.dropped = Findings()
        self.notes = Findings()

    def tree(self, oid: str, base: str) -> str:
        """Return the id of the tree ``oid`` without what may not enter a project whose tree is ``base``.

        Raises :class:`RejectedError` for a tree that is not one.
        """
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
            same = kept == entries
            cleaned = (oid if same else self._made.tree(kept)) if kept else None
            if cleaned and is_repository(entry.name for entry in kept):
                self._repositories.add(cleaned)
            self._done[key] = cleaned
        return self._done[key]

    def read(self, oid: str) -> list[Entry]:
        """Return a tree's entries, also of one that was made here; :class:`RejectedError` when it is none."""
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
        if self._entries > self._limits.entries:
            raise RejectedError("the container's files are too many to look at")
        if len({entry.name for entry in entries}) != len(entries):
            raise RejectedError(f"the container's files cannot be read: the tree {oid} names a file twice")
        return entries

    def _entry(self, entry: Entry, old: Entry | None, path: bytes, depth: int) -> Entry | None:
        if entry == old:
            return entry
        full = path + entry.name
        problem = name_problem(entry.name)
        if len(full) > self._limits.path or depth >= self._limits.depth:
            problem = problem or "a path too long"
        if problem:
            return self._drop(full, problem, old)
        if entry.mode == DIRECTORY:
            base = old.oid if old and old.mode == DIRECTORY else None
            below = self._tree(entry.oid, base, full + b"/", depth + 1)
            if below in self._repositories:
                return self._drop(full, "a bare git repository, whose settings git would obey", old)
            return entry._replace(oid=below) if below else None
        return self._file(entry, old, full, depth)

    def _file(self, entry: Entry, old: Entry | None, full: bytes, depth: int) -> Entry | None:
        if entry.mode == GITLINK:
            self.notes.add(f"{_shown(full)} is a repository of its own: only the id of its commit was kept")
            return entry
        kind, size = self._sizes.get(entry.oid, ("blob", 0))
        if kind != "blob":
            raise RejectedError(f"the container's files cannot be read: {_shown(full)} is a {kind}")
        problem = self._file_problem(entry, size, depth)
        if problem:
            return self._drop(full, problem, old)
        if entry.mode == SYMLINK:
            return entry
        return entry._replace(mode=EXECUTABLE if entry.mode & 0o100 else FILE)

    def _file_problem(self, entry: Entry, size: int, depth: int) -> str:
        if entry.mode == SYMLINK:
            return self._link(entry, depth)
        if not stat.S_ISREG(entry.mode):
            return f"an odd kind of file ({entry.mode:o})"
        if size > self._limits.file:
            return f"{size >> 20} MiB, above the limit of {self._limits.file >> 20}"
        return ""

    def _link(self, entry: Entry, depth: int) -> str:
        try:
            found = self._objects.get(entry.oid, self._limits.commit)
        except GitError as problem:
            raise RejectedError(f"the container's files cannot be read: {problem.message}") from problem
        if found is None or found.kind != "blob":
            raise RejectedError(f"the container's files cannot be read: the link {entry.oid} is missing")
        return link_problem(entry.name, found.data, depth)

    def _drop(self, full: bytes, problem: str, old: Entry | None) -> Entry | None:
        """Leave an entry out, and what was there before as it was."""
        self.dropped.add(f"{_shown(full)}: {problem}")
        return old


def _shown(path: bytes) -> str:
    return clean(path.replace(b"\\", b"\\\\"), limit=200)


def folded(name: bytes) -> str:
    """Return the name as the most lenient file system would compare it."""
    text = _IGNORED.sub("", name.decode("utf-8", "replace")).casefold()
    return text.partition(":")[0].rstrip(". ")


def name_problem(name: bytes) -> str:
    """Return why a file may not have this name; empty when it may."""
    if name in (b"", b".", b"..") or b"/" in name:
        return "not a file's name"
    if folded(name) in (".git", "git~1"):
        return "a name that some file system takes for .git"
    if b"\\" in name:
        return "a backslash in the name"
    if _CONTROL.search(name):
        return "a control character in the name"
    if len(name) > _NAME_LIMIT:
        return "a name too long for a file system"
    return ""


def is_repository(names: Iterable[bytes]) -> bool:
    """Tell whether git takes a directory with files of these names for a bare repository, and obeys it."""
    found = {folded(name) for name in names}
    return "head" in found and ("commondir" in found or {"objects", "refs"} <= found)


def is_gits_own(name: bytes) -> bool:
    """Tell whether git itself reads files of this name, short names of Windows included."""
    text = folded(name)
    return (
        text in _GITS_OWN
        or re.fullmatch(r"(gitatt|gitign|gitmod|mailma|gi[0-9a-f]{4}|ma[0-9a-f]{4})~[0-9]+", text) is not None
    )


def link_problem(name: bytes, target: bytes, depth: int) -> str:
    """Return why a symbolic link may not be taken in; empty when it may.

    ``depth`` is the number of directories above the link.  ``..`` may only
    stand at a target's start, since behind a name it would start from wherever
    that name links to.
    """
    if is_gits_own(name):
        return "a link in place of a file that git reads"
    if not target or len(target) > _TARGET_LIMIT or b"\\" in target or _CONTROL.search(target):
        return "a link with an odd target"
    if target.startswith(b"/"):
        return "a link to an absolute path"
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = next((at for at, part in enumerate(parts) if part != b".."), len(parts))
    if ups > depth or b".." in parts[ups:]:
        return "a link that leads out of the project"
    if any(folded(part) in (".git", "git~1") for part in parts):
        return "a link into git's own directory"
    return ""
