"""Directories are nested a hundred thousand deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.store import Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_deep_directory_is_left_out(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"f", forge.blob()))
    for _ in range(100_000):
        tree = forge.tree(("40000", b"d", tree))
    top = forge.tree(("40000", b"deep", tree), ("100644", b"ok", forge.blob(b"ok\n")))
    done = take(forge.intake(tmp_path / "pack", forge.commit(top)))
    assert repo.files("refs/realm/fix") == ["ok"]
    assert len(done.dropped) == 1
    assert done.dropped[0].endswith(": a path too long")
    assert_sound(repo)


def test_honest_depth_stays(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"f", forge.blob()))
    for _ in range(100):
        tree = forge.tree(("40000", b"d", tree))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert done.dropped == []
    assert repo.files("refs/realm/fix") == ["d/" * 100 + "f"]
