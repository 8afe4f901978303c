"""Files that are kept with Git LFS: pointers in git, and the files themselves in ``.git/lfs/objects``.

The format is that of https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from realm.git import git
from realm.store.batch import CatFile
from realm.store.stores import is_partial, missing_objects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realm.model import Project

_POINTER = (
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize \d{1,18}\n"
)
_SIZES = range(100, 1024)
"""The possible sizes of a pointer, in bytes."""
_ATTRIBUTES_LIMIT = 1024 * 1024
_CHUNK = 1024 * 1024


class Pointer(NamedTuple):
    """A pointer in a tree: its ``path``, its file's id, and where that file is (``None``: not here)."""

    path: str
    oid: str
    file: Path | None


def is_used(project: Project) -> bool:
    """Tell whether the project seems to use Git LFS, by two quick checks."""
    if (project.common_dir / "lfs").is_dir():
        return True
    with suppress(OSError), (project.root / ".gitattributes").open("rb") as file:
        return b"filter=lfs" in file.read(_ATTRIBUTES_LIMIT)
    return False


def pointers(project: Project, commit: str) -> list[Pointer]:
    """Return the pointers in a commit's tree; none where the project does not use Git LFS."""
    if not is_used(project):
        return []
    listed = git("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit, project=project).out
    rows = []
    for row in listed.split(b"\0"):
        words, _, path = row.partition(b"\t")
        if words.startswith((b"100644 ", b"100755 ")):
            rows.append((os.fsdecode(path), words.split()[2].decode()))
    return _pointers(project, rows, commit)


def changed(project: Project, before: str, after: str) -> tuple[list[Pointer], list[Pointer]]:
    """Return the pointers that of two commits only ``before`` has at a path, and those that ``after`` has."""
    if before == after or not is_used(project):
        return [], []
    from realm.store import unusual

    found = [one for one in unusual.changes(project, before, after) if one.before != one.after]
    old = [(one.path, one.before) for one in found if one.status != "A"]
    new = [(one.path, one.after) for one in found if stat.S_ISREG(one.mode)]
    return _pointers(project, old, before), _pointers(project, new, after)


def _pointers(project: Project, files: Iterable[tuple[str, str]], commit: str) -> list[Pointer]:
    """Return the pointers among files of ``commit``, paths and objects, as far as these are here."""
    paths: dict[str, list[str]] = {}
    for path, blob in files:
        if "\n" not in path:
            paths.setdefault(blob, []).append(path)
    if paths and is_partial(project):
        for oid in missing_objects(project, [["--no-walk", "--end-of-options", commit]]):
            paths.pop(oid, None)
    asked = "".join(f"{oid}\n" for oid in paths).encode()
    order = ("cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer")
    sizes = (line.split(" ") for line in git(*order, project=project, stdin=asked).lines)
    found = []
    with CatFile(project) as objects:
        for oid in (oid for oid, size in sizes if size.isdigit() and int(size) in _SIZES):
            held = objects.get(oid, _SIZES.stop)
            if held is not None and (match := re.fullmatch(_POINTER, held.data)):
                file = _place(project, match[1].decode())
                there = file if file.is_file() else None
                found += [Pointer(path, match[1].decode(), there) for path in paths[oid]]
    return found


def store(project: Project, files: Iterable[Path]) -> list[str]:
    """Put what a sandbox hands over as ``<SHA-256>.lfs`` where Git LFS looks for it; return their ids.

    A file whose content does not match its name is skipped: :func:`missing` then has its pointer.
    """
    stored = []
    for path in files:
        oid = path.name.partition(".")[0]
        place = _place(project, oid)
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{oid[:8]}-", dir=place.parent)
        try:
            with path.open("rb") as source, os.fdopen(descriptor, "wb") as copy:
                is_it = _copied(source, copy) == oid
            if is_it:
                Path(name).chmod(0o444)
                Path(name).replace(place)
                stored.append(oid)
        finally:
            Path(name).unlink(missing_ok=True)
    return stored


def share(project: Project, other: Project, oid: str) -> bool:
    """Let ``other`` have a file of the project's, too; tell whether it has it."""
    source, place = _place(project, oid), _place(other, oid)
    with suppress(FileExistsError):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(source)
        except FileNotFoundError:
            return False
        except OSError:  # on another disk, say
            store(other, [source])
    return place.is_file()


def _copied(source: IO[bytes], copy: IO[bytes]) -> str:
    """Copy a file and return its SHA-256."""
    digest = hashlib.sha256()
    while data := source.read(_CHUNK):
        digest.update(data)
        copy.write(data)
    return digest.hexdigest()


def missing(project: Project, before: str, after: str) -> list[str]:
    """Return the paths of pointers that ``after`` has and ``before`` has not, whose files are not here."""
    return [pointer.path for pointer in changed(project, before, after)[1] if pointer.file is None]


def _place(project: Project, oid: str) -> Path:
    return _storage(project) / oid[:2] / oid[2:4] / oid


@functools.cache
def _storage(project: Project) -> Path:
    """Return Git LFS's storage directory, which several clones may share (``lfs.storage``)."""
    chosen = git("config", "--type=path", "--get", "lfs.storage", project=project, check=False)
    return project.common_dir / (os.fsdecode(chosen.out).rstrip("\n") or "lfs") / "objects"
