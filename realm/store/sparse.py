"""Sparse checkouts: the project's files that the user has in the work tree, and that sandboxes get."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.git import git
from realm.paths import scratched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from realm.model import Project

WHOLE = ("-c", "core.sparseCheckout=false")
"""Lets git look also at files outside whose index entries say that they are checked out."""


class Sparse(NamedTuple):
    """``patterns`` of git-sparse-checkout(1); ``cone`` is whether they are in cone mode."""

    patterns: bytes
    cone: bool


def find(project: Project, known: Mapping[str, str]) -> Sparse | None:
    """Return the user's sparse checkout, ``None`` if there is none; ``known`` are git's settings."""
    if is_used(project):
        with suppress(OSError):
            cone = known.get("core.sparsecheckoutcone", "").lower() in ("true", "yes", "on", "1")
            return Sparse(_file(project).read_bytes(), cone)
    return None


def is_used(project: Project) -> bool:
    """Tell whether the work tree is sparse; git keeps the patterns even after that has ended."""
    order = ("config", "--type=bool", "core.sparseCheckout")
    return _file(project).exists() and git(*order, project=project, check=False).text == "true"


def _file(project: Project) -> Path:
    return project.git_dir / "info" / "sparse-checkout"


@contextmanager
def filtering(project: Project, sparse: Sparse | None) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield options and variables with which ``git rev-list --objects`` leaves out files outside."""
    if sparse is None:
        yield [], {}
        return
    with scratched("sparse") as directory:
        stores = map(os.fspath, project.object_stores)
        env = {
            "GIT_OBJECT_DIRECTORY": str(directory),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(stores),
        }
        kept = git("hash-object", "-w", "--stdin", project=project, env=env, stdin=sparse.patterns).text
        yield [f"--filter=sparse:oid={kept}"], env


def changed(project: Project, base: str, tip: str) -> list[bytes]:
    """Return the raw names of the files in ``tip`` that differ from ``base``, for a sparse checkout.

    These are checked out even outside of the patterns, so that a session's own files can be seen.
    """
    if base == tip or not is_used(project):
        return []
    order = ("diff-tree", "-r", "-z", "--no-renames", "--diff-filter=d", "--name-only", base, tip)
    return git(*order, project=project).out.split(b"\0")[:-1]


def notice(project: Project, env: Mapping[str, str]) -> None:
    """Mark existing files outside as checked out in the index that ``env`` names, as git does since 2.36."""
    if not is_used(project):
        return
    listed = git(*WHOLE, "ls-files", "-t", "-z", "--full-name", project=project, env=env).out.split(b"\0")
    outside = (row[2:] for row in listed if row.startswith(b"S "))
    uncover(project, env, (name for name in outside if os.path.lexists(project.root / os.fsdecode(name))))


def uncover(project: Project, env: Mapping[str, str], names: Iterable[bytes]) -> None:
    """Mark files (raw names) as checked out in the index that ``env`` names."""
    lines = b"".join(name + b"\0" for name in names)
    if lines:
        order = (*WHOLE, "-c", "core.splitIndex=false", "update-index", "-z", "--no-skip-worktree", "--stdin")
        git(*order, project=project, env=env, stdin=lines)
