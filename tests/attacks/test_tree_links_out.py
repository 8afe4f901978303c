"""A symbolic link leads out of the project, or into git's own directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.store.names import link_problem
from tests.support.store import Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

BAD = (
    "/etc/passwd",
    "/",
    "../..",
    "../../etc/passwd",
    "./../../x",
    "a/../../../x",
    "a/b/../c",
    ".git",
    ".git/config",
    "./.git/hooks/pre-commit",
    "../.GIT/config",
    "..\\..\\x",
    "x\x1b]0;owned\x07",
    "x" * 5000,
)
GOOD = ("..", "b", "./b", "b/c", "../b", "../src/b", "..data", "a...b", "missing")


@pytest.mark.parametrize("target", BAD)
def test_bad_target(target: str) -> None:
    assert link_problem(b"link", target.encode(), 1)


@pytest.mark.parametrize("target", GOOD)
def test_good_target(target: str) -> None:
    assert link_problem(b"link", target.encode(), 1) == ""


def test_chain_of_links_cannot_climb() -> None:
    """``up`` leads to the top; through it, ``..`` would leave although its text stays inside."""
    assert link_problem(b"up", b"../..", 2) == ""
    assert link_problem(b"out", b"a/b/up/../secret", 0)


def test_link_is_left_out_and_the_rest_kept(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    links = [("120000", f"l{at:02}".encode(), forge.blob(target.encode())) for at, target in enumerate(BAD)]
    good = ("120000", b"src-link", forge.blob(b"./payload"))
    tree = forge.tree(*links, ("100644", b"payload", forge.blob()), good)
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.files("refs/realm/fix") == ["payload", "src-link"]
    assert len(done.dropped) == len(BAD)
    assert "l00: a link to an absolute path" in done.dropped
    assert_sound(repo)


def test_file_that_becomes_a_bad_link_stays_as_it_was(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("120000", b"README.md", forge.blob(b"/etc/passwd")), ("100644", b"z", forge.blob()))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.show("refs/realm/fix:README.md") == "# project"
    assert done.dropped == ["README.md: a link to an absolute path"]


def test_link_that_was_there_before_stays(repo: Repo, tmp_path: Path) -> None:
    (repo.path / "opt").symlink_to("/opt")
    repo.commit("The user's own link")
    forge = Forge(project_of(repo))
    own = repo.git("rev-parse", "HEAD:opt")
    tree = forge.tree(("120000", b"opt", own), ("120000", b"opt2", own))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.files("refs/realm/fix") == ["opt"]
    assert done.dropped == ["opt2: a link to an absolute path"]


def test_an_absolute_link_of_the_users_may_move_and_takes_no_files_place(repo: Repo, tmp_path: Path) -> None:
    (repo.path / "zone").symlink_to("/usr/share/zoneinfo")
    repo.write("file", "text\n")
    repo.commit("Zone")
    forge = Forge(project_of(repo))
    zone, other = (forge.blob(target) for target in (b"/usr/share/zoneinfo", b"/etc/passwd"))
    tree = forge.tree(("120000", b"file", zone), ("120000", b"moved", zone), ("120000", b"new", other))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.files("refs/realm/fix") == ["file", "moved"]
    assert repo.show("refs/realm/fix:file") == "text"
    assert sorted(done.dropped) == ["file: a link to an absolute path", "new: a link to an absolute path"]
    assert_sound(repo)
