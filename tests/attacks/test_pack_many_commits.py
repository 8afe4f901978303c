"""The agent makes more commits than are kept one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.store.quarantine import Limits
from tests.support.store import Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def chain(forge: Forge, count: int) -> str:
    commit = forge.tip
    for at in range(count):
        commit = forge.commit(forge.tree(("100644", b"f%d" % at, forge.blob())), commit, b"Step %d\n" % at)
    return commit


def test_as_many_as_allowed_are_kept(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    head = chain(forge, 200)
    done = take(forge.intake(tmp_path / "pack", head, head), Limits(commits=200))
    assert repo.git("rev-list", "--count", "refs/realm/fix") == "201"
    assert len(done.turns[1]) == 200
    assert done.notes == []
    assert_sound(repo)


def test_one_more_keeps_the_files_only(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    head = chain(forge, 201)
    done = take(forge.intake(tmp_path / "pack", head, head), Limits(commits=200))
    assert repo.git("rev-list", "--count", "refs/realm/fix") == "2"
    assert repo.files("refs/realm/fix") == ["f200"]
    assert done.notes == [
        "the agent made more than 200 commits (realm.limit.commits): only its files were kept"
    ]
