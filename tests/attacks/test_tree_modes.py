"""Entries of a tree have modes that git never writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError
from tests.support.store import Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.mark.parametrize(
    ("mode", "stored"),
    [
        ("100666", "100644"),
        ("104755", "100755"),
        ("100777", "100755"),
        ("100600", "100644"),
        ("100664", "100644"),
    ],
)
def test_odd_permissions_become_gits_own(repo: Repo, tmp_path: Path, mode: str, stored: str) -> None:
    forge = Forge(project_of(repo))
    take(forge.intake(tmp_path / "pack", forge.file("run", mode)))
    assert repo.git("ls-tree", "refs/realm/fix").split()[0] == stored
    assert_sound(repo)


@pytest.mark.parametrize("mode", ["060000", "20666", "10666", "140755", "0", "170000", "777777", "100644000"])
def test_devices_and_nonsense_never_enter(repo: Repo, tmp_path: Path, mode: str) -> None:
    forge = Forge(project_of(repo))
    try:
        take(forge.intake(tmp_path / "pack", forge.file("run", mode)))
    except RealmError:
        assert not repo.refs("refs/realm")
        return
    assert repo.files("refs/realm/fix") == []
    assert_sound(repo)


def test_a_gitlink_to_nothing_is_left_out(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("160000", b"vendor", "5" * 40))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.files("refs/realm/fix") == []
    assert done.dropped == ["vendor: a submodule at 555555555555, a commit that is not here"]
    assert_sound(repo)
