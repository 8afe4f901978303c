"""A few small trees stand for billions of files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.store.quarantine import Limits
from tests.support.store import Forge, object_count, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_tree_bomb_is_refused(repo: Repo, tmp_path: Path) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"f", forge.blob()))
    for _ in range(10):
        tree = forge.tree(*(("40000", b"%d" % at, tree) for at in range(10)))
    started = time.monotonic()
    with pytest.raises(RejectedError, match=r"too many to look at: more than 200000 \(realm\.limit\.entries"):
        take(forge.intake(tmp_path / "pack", forge.commit(tree)), Limits(entries=200_000))
    assert time.monotonic() - started < 30
    assert object_count(repo) == before


def test_by_the_limits_that_everybody_has(repo: Repo, tmp_path: Path) -> None:
    """770 bytes that stand for a hundred million paths are counted, not walked."""
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"f", forge.blob()))
    for _ in range(8):
        tree = forge.tree(*(("40000", b"%d" % at, tree) for at in range(10)))
    intake = forge.intake(tmp_path / "pack", forge.commit(tree))
    assert intake.pack is not None
    assert intake.pack.stat().st_size < 1000
    started = time.monotonic()
    with pytest.raises(RejectedError, match=r"realm\.limit\.entries"):
        take(intake)
    assert time.monotonic() - started < 20


def test_files_of_the_project_as_often_as_one_likes(repo: Repo, tmp_path: Path) -> None:
    """Objects of the project are not counted beforehand: here the time limit ends the check."""
    for at in range(100):
        repo.write(f"many/{at}", "x\n")
    repo.commit("Many")
    forge = Forge(project_of(repo))
    tree = repo.git("rev-parse", "HEAD:many")
    for _ in range(6):
        tree = forge.tree(*(("40000", b"%d" % at, tree) for at in range(10)))
    with pytest.raises(RejectedError, match=r"within 1 seconds.*realm\.limit\.seconds"):
        take(forge.intake(tmp_path / "pack", forge.commit(tree)), Limits(wall=1.0))


def test_a_tree_in_which_each_holds_all_smaller_ones(repo: Repo, tmp_path: Path) -> None:
    """Counting looks at each tree once, however often it is met."""
    forge = Forge(project_of(repo))
    trees = [forge.tree(("100644", b"f", forge.blob()))]
    for _ in range(450):
        trees.append(forge.tree(*(("40000", b"%04d" % at, tree) for at, tree in enumerate(trees))))
    started = time.monotonic()
    with pytest.raises(RejectedError, match=r"realm\.limit\.entries"):
        take(forge.intake(tmp_path / "pack", forge.commit(trees[-1])))
    assert time.monotonic() - started < 30
