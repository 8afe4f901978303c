"""Making git objects and storing many of them with one git process.

dulwich gives the objects their form; git itself stores them, so
that permissions of shared repositories, ``core.fsync`` and the like apply.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from dulwich.object_format import get_object_format
from dulwich.objects import Blob, Commit, ObjectID, Tree, object_header, parse_tree, serialize_tree

from realm.errors import GitError
from realm.git import command as git_command
from realm.git import environment as git_environment
from realm.git import failure, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from realm.model import Identity, Project

DIRECTORY = 0o040000
FILE = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120000
GITLINK = 0o160000

_LOOSE_LIMIT = 100
"""Up to this many objects are stored loose, more as a pack: git's own rule for what it fetches."""


class Entry(NamedTuple):
    """One line of a tree."""

    name: bytes
    mode: int
    oid: str


class Moment(NamedTuple):
    """A commit's date: seconds since the epoch and the offset from UTC in seconds."""

    when: int
    offset: int = 0


def read_tree(data: bytes, object_format: str) -> list[Entry]:
    """Return the entries of a tree object's content; :class:`GitError` when it is malformed."""
    width = 32 if object_format == "sha256" else 20
    try:
        return [Entry(name, mode, oid.decode()) for name, mode, oid in parse_tree(data, width)]
    except Exception as problem:
        raise GitError("a tree object is malformed", "git fsck") from problem


def _sort_key(entry: Entry) -> bytes:
    return entry.name + b"/" if entry.mode == DIRECTORY else entry.name


def _person(identity: Identity) -> bytes:
    drop = str.maketrans("", "", "<>\n\r\0")
    name = identity.name.translate(drop).strip() or "realm"
    email = identity.email.translate(drop).strip()
    return f"{name} <{email}>".encode("utf-8", "replace")


class Objects:
    """Objects that are made but not stored yet; :meth:`store` stores them."""

    def __init__(self, object_format: str) -> None:
        self._format = get_object_format(object_format)
        self._made: dict[str, tuple[int, bytes]] = {}

    def _add(self, kind: int, data: bytes) -> str:
        name = self._format.new_hash()
        name.update(object_header(kind, len(data)))
        name.update(data)
        oid = name.hexdigest()
        self._made[oid] = (kind, data)
        return oid

    def data(self, oid: str) -> bytes | None:
        """Return the content of an object that is made and not stored, ``None`` when it is none."""
        found = self._made.get(oid)
        return found[1] if found else None

    def blob(self, data: bytes) -> str:
        """Add a file's content and return its id."""
        return self._add(Blob.type_num, data)

    def tree(self, entries: Iterable[Entry]) -> str:
        """Add a directory and return its id; ``entries`` may come in any order."""
        rows = [(e.name, e.mode, ObjectID(e.oid.encode())) for e in sorted(entries, key=_sort_key)]
        return self._add(Tree.type_num, b"".join(serialize_tree(rows)))

    def commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        author: tuple[Identity, Moment],
        committer: tuple[Identity, Moment],
    ) -> str:
        """Add a commit and return its id; ``message`` gets one line end."""
        made = Commit()
        made.tree = ObjectID(tree.encode())
        made.parents = [ObjectID(parent.encode()) for parent in parents]
        made.author, made.committer = _person(author[0]), _person(committer[0])
        made.author_time, made.author_timezone = author[1].when, author[1].offset
        made.commit_time, made.commit_timezone = committer[1].when, committer[1].offset
        made.message = message.rstrip("\n").encode("utf-8", "replace") + b"\n"
        return self._add(Commit.type_num, made.as_raw_string())

    def store(self, project: Project) -> None:
        """Store everything in ``project``; :class:`GitError` when git cannot (full disk, read-only)."""
        self.store_with(git_command(project=project), git_environment(), project.root)

    def store_with(self, prefix: list[str], env: Mapping[str, str], cwd: Path) -> None:
        """Store everything in the repository that ``prefix`` (``git …``) and ``env`` name."""
        if not self._made:
            return
        few = len(self._made) <= _LOOSE_LIMIT
        verb = ["unpack-objects", "-q"] if few else ["index-pack", "--stdin"]
        done = run([*prefix, *verb], cwd=cwd, env=env, stdin=self.pack(), check=False)
        if done.code != 0:
            problem = failure(verb[0], done.err)
            raise GitError(
                f"the repository cannot be written: {problem.message}",
                problem.hint or 'ls -ld "$(git rev-parse --git-path objects)"',
            )
        self._made.clear()

    def pack(self) -> bytes:
        """Return the objects as a pack (gitformat-pack, version 2, no deltas)."""
        parts = [b"PACK" + struct.pack(">II", 2, len(self._made))]
        for kind, data in self._made.values():
            parts.append(_pack_header(kind, len(data)) + zlib.compress(data, 1))
        body = b"".join(parts)
        checksum = self._format.new_hash()
        checksum.update(body)
        return body + checksum.digest()


def _pack_header(kind: int, size: int) -> bytes:
    """Return an entry's type and size: 4 bits of size beside the type, then 7 a byte, lowest first."""
    first, size = kind << 4 | size & 15, size >> 4
    found = bytearray()
    while size:
        found.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    found.append(first)
    return bytes(found)
