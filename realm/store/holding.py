"""Protects packs in the project until a session's ref points to their commits.

A ``.keep`` beside a pack names the process that holds it; :func:`sweep` removes those of killed ones.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import GitError
from realm.git import git
from realm.paths import is_forgotten, scratched
from realm.store.stores import lend

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import IO

    from realm.git import GitResult
    from realm.model import Project

_MARK = r"realm pid=(\d{1,12}) host=(\S+) time=(\d{1,12})\n?"
_NEW = 3600.0
"""Seconds for which a pack without an index may still get one."""
_HELD: dict[str, set[Path]] = {}
"""This process's ``.keep`` files by the commits that they protect."""


def mark() -> str:
    """Return this process's content of a ``.keep``."""
    return f"realm pid={os.getpid()} host={os.uname().nodename} time={int(time.time())}"


def put_in(project: Project, pack: IO[bytes] | bytes, oid: str) -> GitResult:
    """Give the project a pack, protected for the commit ``oid`` until :func:`release`; return git's result.

    A temporary ref would not protect it: ``git gc --prune=now`` reads refs one by one, and can miss both one
    that is being created and one that is being deleted.
    """
    store = project.object_stores[0]
    # Not beside the packs, so that a pack truncated by a full disk is removed with the directory.
    with scratched("realm", store) as place:
        lend(place, [store])
        order, env = ("index-pack", "--stdin", f"--keep={mark()}"), {"GIT_OBJECT_DIRECTORY": str(place)}
        done = git(*order, env=env, project=project, stdin=pack, check=False)
        if done.code == 0:
            move_in(place / "pack", store / "pack", done.text.partition("\t")[2], [oid])
    return done


def move_in(made: Path, packs: Path, name: str, oids: Iterable[str]) -> None:
    """Move a pack with its ``.keep`` to ``packs``; git sees it once its index, the last file, is there.

    It is protected for the commits ``oids`` until :func:`release`.
    """
    import shutil  # imports archive modules, which moving refs does not need

    packs.mkdir(exist_ok=True)
    keep = packs / f"pack-{name}.keep"
    # If another process is putting the same pack there, the pack is that one's while it lives.
    if not keep.exists() or _is_left(keep):
        shutil.move(made / keep.name, keep)
        for oid in oids:
            _HELD.setdefault(oid, set()).add(keep)
    for kind in ("pack", "rev", "idx"):
        path = made / f"pack-{name}.{kind}"
        if path.exists():  # git before 2.41 writes no .rev of itself
            shutil.move(path, packs / path.name)  # which may be on another disk


def hold(project: Project, oids: Iterable[str]) -> None:
    """Hold, while their refs are renamed, the objects of commits that no branch or tag reaches.

    A git that reads the refs one by one can miss both, and a ``git gc --prune=now`` what they point to.
    What cannot be packed, of a damaged session or on a full disk, is not held.
    """
    store = project.object_stores[0]
    listed = ("for-each-ref", "--format=^%(objectname)", "refs/heads", "refs/tags", "refs/remotes")
    # Recordings can be large: what is packed is taken as it is, and nothing is searched for deltas.
    quickly = ("--window=0", "--compression=1", "--delta-base-offset")
    order = ("pack-objects", "-q", "--revs", "--missing=allow-any", "--non-empty", *quickly)
    with suppress(GitError, OSError), scratched("realm", store) as place:
        wanted = "".join(f"{line}\n" for line in (*oids, *git(*listed, project=project).lines)).encode()
        if name := git(*order, str(place / "pack"), project=project, stdin=wanted).text:
            (place / f"pack-{name}.keep").write_text(f"{mark()}\n")
            move_in(place, store / "pack", name, oids)


def release(oids: Iterable[str | None]) -> None:
    """Stop protecting these commits' packs."""
    for oid in oids:
        for keep in _HELD.pop(oid or "", ()):
            keep.unlink(missing_ok=True)


def sweep(project: Project) -> int:
    """Remove the ``.keep`` files of processes that were killed, with packs that have no index yet.

    Of such a pack git knows nothing, and takes it for no garbage of its own.  Returns the files' number.
    """
    removed = 0
    for path in (project.object_stores[0] / "pack").glob("*.keep"):
        with suppress(OSError):
            pack = path.with_suffix(".pack")
            if not _is_left(path):
                continue
            if pack.exists() and not path.with_suffix(".idx").exists():
                # Another process may be putting the same pack there just now.
                if time.time() - pack.stat().st_mtime < _NEW:
                    continue
                for kind in (".pack", ".rev"):
                    path.with_suffix(kind).unlink(missing_ok=True)
            path.unlink()
            removed += 1
    return removed


def _is_left(keep: Path) -> bool:
    """Tell whether a process that was killed left a ``.keep`` file."""
    with suppress(OSError), keep.open("rb") as file:
        found = re.fullmatch(_MARK, file.read(1000).decode("utf-8", "replace"))
        return found is not None and is_forgotten(found[2], int(found[1]), int(found[3]))
    return False
