"""The project's object stores: where they are and whether objects can be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.git import git, reason
from realm.store.sparse import filtering
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from realm.model import Project
    from realm.store.sparse import Sparse

_ROUNDS = 3
"""Fetches for one base: a clone without trees gets the trees first, then the files."""

_DEPTH = 6
"""Depth to which alternates of alternates are followed, as in git."""


def alternates(store: Path) -> list[Path]:
    """Return the object directories that ``store``'s ``info/alternates`` names, existing or not.

    The format is git's: a path on each line, relative to ``store``; ``#`` starts a comment, and unusual paths
    have C quotes.
    """
    try:
        lines = (store / "info" / "alternates").read_bytes().splitlines()
    except OSError:
        return []
    paths = [_unquote(line) for line in lines if line and not line.startswith(b"#")]
    return [store / os.fsdecode(path) for path in paths]


def lend(store: Path, stores: Sequence[Path]) -> None:
    """Let the object directory ``store`` borrow from others, whose paths are quoted if necessary."""
    (store / "info").mkdir(parents=True, exist_ok=True)
    (store / "info" / "alternates").write_bytes(b"".join(_quoted(path) + b"\n" for path in stores))


def _quoted(path: Path) -> bytes:
    raw = os.fsencode(path)
    if b"\n" not in raw:
        return raw
    escaped = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"'


def _unquote(line: bytes) -> bytes:
    if not (line.startswith(b'"') and line.endswith(b'"') and len(line) > 1):
        return line
    text = line[1:-1].decode("latin-1")
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1", "replace")


def object_stores(own: Path) -> list[Path]:
    """Return ``own`` and every alternate that exists, transitively, without repeats."""
    return [store for store in _walk(own) if store == own or store.is_dir()]


def _walk(own: Path) -> list[Path]:
    found, level = [own], [own]
    for _ in range(_DEPTH):
        following = [path.resolve() for store in level for path in alternates(store)]
        level = [path for path in dict.fromkeys(following) if path not in found and path != own.resolve()]
        found += level
    return found


def is_partial(project: Project) -> bool:
    """Tell whether objects may be missing on purpose, as there is a partial clone's pack."""
    return any(path.suffix == ".promisor" for store in project.object_stores for path in _packs(store))


def _packs(store: Path) -> Iterator[Path]:
    try:
        yield from (store / "pack").iterdir()
    except OSError:
        return


def packed(project: Project) -> int:
    """Return the bytes of all packs of the project."""
    paths = [path for store in project.object_stores for path in _packs(store) if path.suffix == ".pack"]
    return sum(path.stat().st_size for path in paths)


def ensure_readable(project: Project, tip: str, base: str = "", outline: Sparse | None = None) -> None:
    """Check that every object of the commit ``tip``'s tree can be read.

    In a partial clone missing objects are fetched with the user's git; with an ``outline`` of the work tree,
    only those of files inside it or changed since ``base``.  Raises :class:`RealmError` that names what
    cannot be read.  One git process, some 4 ms at 1,000 files.
    """
    _check_permissions(project)
    asked = ("rev-list", "--objects", "--no-walk", "--quiet", "--end-of-options", tip)
    partial = is_partial(project)
    if not partial and git(*asked, project=project, check=False).code == 0:
        return
    with filtering(project, outline if partial and base else None) as (filters, env):
        wanted = [["--no-walk", "--end-of-options", tip]]
        if filters:
            wanted = [
                ["--no-walk", *filters, "--end-of-options", base],
                ["--end-of-options", tip, f"^{base}"],
            ]
        gone = missing_objects(project, wanted, env)
        rounds = _ROUNDS if partial else 0
        while gone and rounds:
            _fetch(project, gone)
            gone, rounds = missing_objects(project, wanted, env), rounds - 1
    if gone:
        what = f"{tip[:12]} lacks {plural(len(gone), 'object')}, the first is {gone[0]}"
        raise unreadable(project, what)


def unreadable(project: Project, what: str) -> RealmError:
    """Return the error for unreadable objects: a borrowed store that is gone, else ``what``."""
    gone = [store for store in _walk(project.object_stores[0]) if not store.is_dir()]
    if gone:
        what = f"the repository borrows objects from {clean(str(gone[0]))}, which is not there"
    return RealmError(what, "git fsck")


def _check_permissions(project: Project) -> None:
    for store in project.object_stores:
        paths = [store, *(path for path in _packs(store) if path.suffix in (".pack", ".idx"))]
        for path in paths:
            if not os.access(path, os.R_OK):
                who = f"sudo chown -R \"$(id -un)\" '{clean(str(store))}'"
                raise RealmError(f"{clean(str(path))} cannot be read by this user", who)


def missing_objects(
    project: Project, wanted: Sequence[Sequence[str]], env: Mapping[str, str] | None = None
) -> list[str]:
    """Return the ids of missing objects among those that ``wanted``, arguments of ``git rev-list``, reach.

    Nothing is fetched.
    """
    gone = []
    for words in wanted:
        asked = ("rev-list", "--objects", "--missing=print", *words)
        result = git(*asked, project=project, env={"GIT_NO_LAZY_FETCH": "1", **(env or {})}, check=False)
        if result.code != 0:
            what = f"the files of {words[-1].lstrip('^')[:12]} cannot be read: {reason(result.err)}"
            raise unreadable(project, what)
        gone += [line[1:].decode() for line in result.out.splitlines() if line.startswith(b"?")]
    return gone


def _fetch(project: Project, oids: list[str]) -> None:
    """Fetch ``oids`` from the remote that promised them, as git does by itself."""
    remote = _promisor(project)
    result = git(
        *("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-auto-maintenance"),
        *("--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none", "--stdin"),
        *("--end-of-options", remote),
        project=project,
        stdin="".join(f"{oid}\n" for oid in oids).encode(),
        check=False,
    )
    if result.code == 0:
        return
    raise RealmError(
        f"{len(oids)} files of this partial clone are not here, and {clean(remote)} did not send them: "
        f"{reason(result.err)}",
        "git fetch --refetch --filter=blob:limit=1g, or connect to the network",
    )


def _promisor(project: Project) -> str:
    found = git("config", "--get", "extensions.partialClone", project=project, check=False)
    if found.code == 0 and found.text:
        return found.text
    listed = git("config", "--get-regexp", r"^remote\..*\.promisor$", project=project, check=False).text
    key = listed.split(" ")[0]
    return key.removeprefix("remote.").removesuffix(".promisor") or "origin"
