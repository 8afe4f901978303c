"""Creating git objects.

dulwich serializes and packs them; the project's git takes the pack, so that ``core.sharedRepository``,
``core.fsync`` and the like apply.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from dulwich.object_format import get_object_format
from dulwich.objects import Blob, Commit, ObjectID, Tree, object_header, parse_tree, serialize_tree
from dulwich.pack import UnpackedObject, write_pack_data, write_pack_index

from realm.errors import GitError
from realm.store import holding
from realm.store.quarantine import sweep, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from realm.model import Identity, Project

DIRECTORY = 0o040000
FILE = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120000
GITLINK = 0o160000


class Entry(NamedTuple):
    """One line of a tree."""

    name: bytes
    mode: int
    oid: str


class CommitDate(NamedTuple):
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


def _person(identity: Identity) -> bytes:
    drop = str.maketrans("", "", "<>\n\r\0")
    name = identity.name.translate(drop).strip() or "realm"
    email = identity.email.translate(drop).strip()
    return f"{name} <{email}>".encode("utf-8", "replace")


class Objects:
    """New objects that are not stored yet; :meth:`store` stores them."""

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
        """Return the content of a new object that is not stored, ``None`` for any other."""
        found = self._made.get(oid)
        return found[1] if found else None

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the new objects that are not stored."""
        return frozenset(self._made)

    def blob(self, data: bytes) -> str:
        """Add a file's content and return its id."""
        return self._add(Blob.type_num, data)

    def tree(self, entries: Iterable[Entry]) -> str:
        """Add a directory and return its id; ``entries`` may come in any order."""
        # git sorts a directory as if its name ended in a slash.
        inorder = sorted(entries, key=lambda entry: entry.name + b"/" * (entry.mode == DIRECTORY))
        rows = [(entry.name, entry.mode, ObjectID(entry.oid.encode())) for entry in inorder]
        return self._add(Tree.type_num, b"".join(serialize_tree(rows)))

    def commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        author: tuple[Identity, CommitDate],
        committer: tuple[Identity, CommitDate],
    ) -> str:
        """Add a commit and return its id; ``message`` is ended with one newline."""
        made = Commit()
        made.tree = ObjectID(tree.encode())
        made.parents = [ObjectID(parent.encode()) for parent in parents]
        made.author, made.committer = _person(author[0]), _person(committer[0])
        made.author_time, made.author_timezone = author[1].when, author[1].offset
        made.commit_time, made.commit_timezone = committer[1].when, committer[1].offset
        made.message = message.rstrip("\n").encode("utf-8", "replace") + b"\n"
        return self._add(Commit.type_num, made.as_raw_string())

    def rewritten(self, data: bytes, tree: str, *parents: str) -> str:
        """Add a copy of the commit ``data`` with another tree and parents, unsigned; return its id."""
        head, _, message = data.partition(b"\n\n")
        fields = re.split(rb"\n(?! )", head)  # continuation lines begin with a space
        kept = [field for field in fields if not field.startswith((b"tree ", b"parent ", b"gpgsig"))]
        lines = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in parents), *kept]
        return self._add(Commit.type_num, b"\n".join(lines) + b"\n\n" + message)

    def write(self, directory: Path) -> None:
        """Write everything as a pack with its index into ``directory``, a repository's ``objects/pack``."""
        if not self._made:
            return
        name = directory / f"pack-{os.urandom(20).hex()}"
        with name.with_suffix(".pack").open("xb") as file:
            rows, checksum = self._write(file.write)
        with name.with_suffix(".idx").open("xb") as file:
            write_pack_index(file, rows, checksum, version=2)

    def _write(
        self, write: Callable[[bytes | bytearray | memoryview], int]
    ) -> tuple[list[tuple[bytes, int, int | None]], bytes]:
        """Write everything as a pack; return the rows of its index, and its checksum."""
        records = (
            UnpackedObject(kind, decomp_chunks=[data], sha=bytes.fromhex(oid))
            for oid, (kind, data) in self._made.items()
        )
        entries, checksum = write_pack_data(
            write, records, self._format, num_records=len(self._made), compression_level=1
        )
        self._made.clear()
        return sorted((oid, offset, crc) for oid, (offset, crc) in entries.items()), checksum

    def store(self, project: Project, oid: str) -> None:
        """Give ``project`` everything, protected until a session's ref points to the commit ``oid``.

        Raises :class:`GitError` when the project cannot be written.
        """
        sweep(project)
        pack = io.BytesIO()
        self._write(pack.write)
        try:
            done = holding.put_in(project, pack.getvalue(), oid)
        except OSError as problem:
            raise unwritable(str(problem).encode()) from problem
        if done.code != 0:
            raise unwritable(done.err)
