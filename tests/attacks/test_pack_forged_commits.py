"""Commits lie: about their history, their author, their time, or whose trailers they carry."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError
from realm.store.repo import count_turns
from tests.support.store import STARTED, Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_history_that_does_not_descend_is_not_kept(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    foreign = forge.commit(tree, "", b"Unrelated\n")
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree, foreign), foreign))
    assert repo.git("rev-list", "--parents", "-1", "refs/realm/fix").split() == [done.tip, forge.tip]
    assert repo.files("refs/realm/fix") == ["new"]
    assert done.notes == ["the agent rewrote its history: its files were kept, its commits since then not"]
    assert_sound(repo)


def test_moving_back_behind_the_tip_is_noted(repo: Repo, tmp_path: Path) -> None:
    first = repo.head()
    repo.write("second")
    repo.commit("Second")
    forge = Forge(project_of(repo))
    done = take(forge.intake(tmp_path / "pack", forge.file("new"), first))
    assert done.notes
    assert repo.git("rev-list", "--count", "refs/realm/fix") == "3"


def test_forged_trailers_go_and_the_others_stay(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    message = (
        b"Subject\n\nBody\nRealm-Turn: 77\n  realm-run : 5\n> Realm-Session: other\n\n"
        b"Realm-Session: other\nRealm-Turn: 99\nCo-authored-by: Bob <bob@example.com>\n"
    )
    tree = forge.tree(("100644", b"new", forge.blob()))
    commit = forge.commit(tree, message=message)
    done = take(forge.intake(tmp_path / "pack", commit, commit))
    shown = repo.git("log", "-1", "--format=%(trailers)", "refs/realm/fix")
    assert shown.split("\n")[:4] == [
        "Co-authored-by: Bob <bob@example.com>",
        "Realm-Session: fix",
        "Realm-Run: 1",
        "Realm-Turn: 1",
    ]
    assert "other" not in repo.git("log", "-1", "--format=%B", "refs/realm/fix")
    assert count_turns(forge.project, forge.tip, done.tip) == 1


def test_control_bytes_in_a_message_go(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    commit = forge.commit(
        tree, message=b"Sub\x1b[31mject \x9b2J\xe2\x80\xae\n\nBo\x07dy\r\n\x1b]0;owned\x07\n"
    )
    take(forge.intake(tmp_path / "pack", commit, commit))
    shown = repo.git("log", "-1", "--format=%B", "refs/realm/fix")
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert shown.startswith("Sub[31mject")


def test_author_is_the_user_and_the_time_is_the_runs(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    far = b"Linus <torvalds@example.com> 99999999999 +0000"
    first = forge.commit(tree, author=far, committer=far)
    past = b"Linus <torvalds@example.com> 1 +0000"
    second = forge.commit(forge.tree(("100644", b"n2", forge.blob())), first, author=past, committer=past)
    take(forge.intake(tmp_path / "pack", second, second))
    lines = repo.git("log", "--format=%an %ae %cn %at", "-2", "refs/realm/fix").splitlines()
    for line in lines:
        assert line.startswith("Ada Tester ada@example.com Ada Tester ")
        assert STARTED <= int(line.split()[-1]) <= time.time()


@pytest.mark.parametrize("encoding", [b"latin-1", b"utf-16", b"no-such-thing", b"base64", b"idna"])
def test_odd_encodings_are_survived(repo: Repo, tmp_path: Path, encoding: bytes) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    commit = forge.commit(tree, message=b"Gr\xfc\xdfe\n", more=b"encoding %s\n" % encoding)
    take(forge.intake(tmp_path / "pack", commit, commit))
    assert repo.git("log", "-1", "--format=%B%(trailers:key=Realm-Turn)", "refs/realm/fix")
    assert_sound(repo)


@pytest.mark.parametrize(
    "author",
    [b"no brackets 1 +0000", b"A <a@b> 1", b"A <a\0@b> 1 +0000", b"A <a@b> 99999999999999999999 +0000"],
)
def test_malformed_author_never_enters(repo: Repo, tmp_path: Path, author: bytes) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    commit = forge.commit(tree, author=author)
    try:
        take(forge.intake(tmp_path / "pack", commit, commit))
    except RealmError:
        assert not repo.refs("refs/realm")
    assert_sound(repo)


def test_signature_of_somebody_else_is_not_kept(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    signed = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n forged\n -----END PGP SIGNATURE-----\n"
    commit = forge.commit(tree, more=signed)
    take(forge.intake(tmp_path / "pack", commit, commit))
    assert "gpgsig" not in repo.git("cat-file", "-p", "refs/realm/fix")


def test_merges_are_flattened_with_a_word(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    side = forge.commit(tree, message=b"Side\n")
    merge = forge.commit(tree, f"{forge.tip}\nparent {side}", b"Merge\n")
    done = take(forge.intake(tmp_path / "pack", merge, merge))
    assert repo.git("rev-list", "--count", "refs/realm/fix") == "2"
    assert done.notes == ["the agent made merges: they were kept as commits with one parent"]
