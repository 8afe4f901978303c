"""The agent's history holds an object that git refuses: its files come home, the object does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.paths import realm_home
from tests.support.store import Forge, assert_sound, intake, object_count, project_of, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.repos import Repo


def bad_date(forge: Forge) -> str:
    return forge.commit(forge.tree(("100644", b"old", forge.blob())), author=b"Eve <eve@example.com> never")


def padded_mode(forge: Forge) -> str:
    return forge.commit(forge.tree(("040000", b"d", forge.tree(("100644", b"f", forge.blob())))))


def git_directory(forge: Forge) -> str:
    return forge.commit(forge.tree(("40000", b".git", forge.tree(("100755", b"hook", forge.blob(b"evil"))))))


def hostile_submodule(forge: Forge) -> str:
    text = b'[submodule "x"]\n\tpath = x\n\turl = -upload-pack=evil\n'
    return forge.commit(forge.tree(("100644", b".gitmodules", forge.blob(text))))


HISTORIES = (bad_date, padded_mode, git_directory, hostile_submodule)


@pytest.mark.parametrize("make", HISTORIES)
def test_files_come_home_without_the_history(
    repo: Repo, tmp_path: Path, make: Callable[[Forge], str]
) -> None:
    forge = Forge(project_of(repo))
    bad = make(forge)
    snapshot = forge.commit(forge.tree(("100644", b"kept", forge.blob(b"work\n"))), bad)
    done = take(forge.intake(tmp_path / "pack", snapshot, head=bad))
    assert repo.files("refs/realm/fix") == ["kept"]
    assert repo.git("rev-list", "--parents", "-1", "refs/realm/fix").split()[1:] == [repo.head()]
    assert [note for note in done.notes if "its commits not" in note]
    assert all(note.isprintable() for note in done.notes)
    assert bad not in repo.git("cat-file", "--batch-all-objects", "--batch-check")
    assert_sound(repo)
    assert list((realm_home() / "tmp").glob("*")) == []


def test_each_turn_stays_a_commit_of_its_own(repo: Repo, tmp_path: Path) -> None:
    from realm.model import Checkpoint

    forge = Forge(project_of(repo))
    bad = bad_date(forge)
    one = forge.commit(forge.tree(("100644", b"one", forge.blob())), bad)
    two = forge.commit(forge.tree(("100644", b"one", forge.blob()), ("100644", b"two", forge.blob())), bad)
    points = [Checkpoint(bad, one, 1, 1_700_000_100.0), Checkpoint(bad, two, 2, 1_700_000_200.0)]
    done = take(intake(forge.project, forge.tip, points, forge.pack(tmp_path / "pack")))
    assert sorted(done.turns) == [1, 2]
    assert repo.files("refs/realm/fix~1") == ["one"]
    assert repo.files("refs/realm/fix") == ["one", "two"]


def test_a_bad_state_in_between_costs_only_itself(repo: Repo, tmp_path: Path) -> None:
    from realm.model import Checkpoint

    forge = Forge(project_of(repo))
    bad = git_directory(forge)
    good = forge.commit(forge.tree(("100644", b"two", forge.blob())))
    points = [Checkpoint(forge.tip, bad, 1, 1_700_000_100.0), Checkpoint(forge.tip, good, 2, 1_700_000_200.0)]
    done = take(intake(forge.project, forge.tip, points, forge.pack(tmp_path / "pack")))
    assert sorted(done.turns) == [2]
    assert repo.files("refs/realm/fix") == ["two"]
    assert_sound(repo)


@pytest.mark.parametrize("make", HISTORIES[1:])
def test_files_that_are_refused_themselves_stay_outside(
    repo: Repo, tmp_path: Path, make: Callable[[Forge], str]
) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    with pytest.raises(RejectedError, match="pack was refused: fsck error"):
        take(forge.intake(tmp_path / "pack", make(forge)))
    assert object_count(repo) == before
    assert not repo.refs("refs/realm")
    assert list((realm_home() / "tmp").iterdir()) == []


def test_a_rebase_loses_no_commit_to_this(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    bad = bad_date(forge)
    wanted = forge.intake(tmp_path / "pack", bad, head=bad)._replace(replay=True)
    with pytest.raises(RejectedError):
        take(wanted)
    assert not repo.refs("refs/realm")


ATTRIBUTES = b"* text=" + b"x" * 3000 + b"\n"
"""A line that is longer than git reads (2,048 bytes)."""


@pytest.mark.parametrize("is_committed", [True, False])
def test_attributes_that_git_refuses_are_left_out_and_the_rest_comes_home(
    repo: Repo, tmp_path: Path, is_committed: bool
) -> None:
    forge = Forge(project_of(repo))
    below = forge.tree(("100644", b".gitattributes", forge.blob(ATTRIBUTES)), ("100644", b"f", forge.blob()))
    snapshot = forge.commit(forge.tree(("100644", b"kept", forge.blob(b"work\n")), ("40000", b"lib", below)))
    done = take(forge.intake(tmp_path / "pack", snapshot, head=snapshot if is_committed else None))
    assert repo.files("refs/realm/fix") == ["kept", "lib/f"]
    (dropped,) = done.dropped
    assert dropped.startswith("lib/.gitattributes: git refuses it (gitattributesLineLength: ")
    assert done.left == {b"lib/.gitattributes": ATTRIBUTES}
    assert bool([note for note in done.notes if "its commits not" in note]) == is_committed
    assert_sound(repo)


def test_where_the_project_had_it_it_stays_as_it_was(repo: Repo, tmp_path: Path) -> None:
    repo.write(".gitattributes", "* text=auto\n")
    repo.commit("Add attributes")
    forge = Forge(project_of(repo))
    snapshot = forge.commit(
        forge.tree(("100644", b".gitattributes", forge.blob(ATTRIBUTES)), ("100644", b"kept", forge.blob()))
    )
    done = take(forge.intake(tmp_path / "pack", snapshot))
    assert repo.show("refs/realm/fix:.gitattributes") == "* text=auto"
    assert "kept" in repo.files("refs/realm/fix")
    assert len(done.dropped) == 1


def test_what_git_finds_only_after_something_else_is_left_out_too(repo: Repo, tmp_path: Path) -> None:
    """A bad date ends git's look at a pack before it sees the files."""
    forge = Forge(project_of(repo))
    bad = bad_date(forge)
    tree = forge.tree(
        ("100644", b".gitattributes", forge.blob(ATTRIBUTES)), ("100644", b"kept", forge.blob())
    )
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree, bad), head=bad))
    assert repo.files("refs/realm/fix") == ["kept"]
    assert len(done.dropped) == 1
    assert [note for note in done.notes if "its commits not" in note]
