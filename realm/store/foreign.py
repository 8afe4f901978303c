"""Checks fetched commits that somebody else made: their files like a sandbox's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.git import git
from realm.store.batch import CatFile
from realm.store.objects import Objects
from realm.store.quarantine import Limits
from realm.store.refs import TEMPORARY
from realm.store.verify import Verifier
from realm.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realm.model import Project


def check(project: Project, tip: str) -> None:
    """Raise :class:`RealmError` if ``tip`` adds a file that realm would not take from a sandbox either.

    What a ref of the project already reaches is the project's own.
    """
    how = ("rev-list", "--reverse", "--topo-order", "--format=%T %P", tip)
    known = ("--not", f"--exclude={TEMPORARY}*", "--all", "--")
    rows = [line.split(" ") for line in git(*how, *known, project=project).lines if line[:7] != "commit "]
    if dropped := findings(project, rows):
        raise RealmError(
            f"it has files that realm never accepts: {listed(dropped)}",
            "if these are your project's own, first git fetch what has them",
        )


def findings(project: Project, rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the files in these commits (ids of tree and parents) that realm would refuse from a sandbox."""
    made = Objects(project.object_format)
    with CatFile(project) as objects:
        verifier = Verifier(objects, {}, made, Limits(), project.object_format)
        for tree, *parents in rows:
            base = objects.get(f"{parents[0]}^{{tree}}", _TREE_LIMIT) if parents and parents[0] else None
            verifier.tree(tree, base.oid if base is not None else made.tree([]))
    return verifier.dropped.lines()


_TREE_LIMIT = 64 * 1024 * 1024
