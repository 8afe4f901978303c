"""A remote from which a session is fetched is believed no more than a sandbox."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.history import realm
from tests.support.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRAILERS = "\n\nRealm-Session: fix\nRealm-Run: {run}\nRealm-Turn: 1\n"


@pytest.fixture
def evil(repo: Repo, tmp_path: Path) -> Repo:
    """Return the remote ``origin`` of ``repo``, with its commits."""
    path = tmp_path / "evil"
    subprocess.run(["git", "clone", "-q", str(repo.path), str(path)], check=True)
    repo.git("remote", "add", "origin", str(path))
    return Repo(path)


def offer(evil: Repo, subject: str = "Work", run: int = 1) -> None:
    evil.git("add", "-A")
    evil.git("commit", "-q", "-m", subject + TRAILERS.format(run=run))
    evil.git("update-ref", "refs/realm/fix", "HEAD")


def bare(evil: Repo) -> None:
    """Git obeys the configuration of a directory that looks like a bare repository, even in a work tree."""
    for name in ("HEAD", "config", "objects/x", "refs/x"):
        evil.write(f"deep/bare/{name}", "ref: refs/heads/main\n" if name == "HEAD" else "")


def link(evil: Repo) -> None:
    (evil.path / "home").symlink_to("/etc")


def escapes(evil: Repo) -> None:
    evil.write("a\x1b]0;owned\x07", "x\n")


def reordered(evil: Repo) -> None:
    evil.write("exe\N{RIGHT-TO-LEFT OVERRIDE}txt", "x\n")


@pytest.mark.parametrize("plant", [bare, link, escapes, reordered])
def test_files_that_no_sandbox_may_bring(repo: Repo, evil: Repo, plant: Callable[[Repo], None]) -> None:
    plant(evil)
    offer(evil)
    (evil.path / "later").touch()
    for path in ("deep", "home", "a\x1b]0;owned\x07", "exe\N{RIGHT-TO-LEFT OVERRIDE}txt"):
        evil.git("rm", "-rqf", "--ignore-unmatch", path)
    offer(evil)  # the tip is harmless; a check-out of a commit below it is not
    done = realm(repo.path, "fetch", "fix")
    assert (done.code, done.out) == (1, "")
    assert "has files that realm never accepts" in done.err
    assert done.err.replace("\n", "").isprintable()
    assert repo.refs("refs/realm") == {}


def test_a_run_of_any_number(repo: Repo, evil: Repo) -> None:
    """A record is made for each run up to the last."""
    evil.write("a", "a\n")
    offer(evil, run=999_999)
    began = time.monotonic()
    done = realm(repo.path, "fetch", "fix")
    assert time.monotonic() - began < 60
    assert done.code == 1
    assert "999999" in done.err
    assert repo.refs("refs/realm") == {}


def test_words_that_move_the_cursor(repo: Repo, evil: Repo) -> None:
    evil.write("a", "a\n")
    offer(evil, "Clear \x1b[2J\x1b]0;owned\x07\x9b2J \N{RIGHT-TO-LEFT OVERRIDE}evil")
    assert realm(repo.path, "fetch", "fix").code == 0
    for line in (["log", "fix"], ["show", "fix"], ["list"], ["grep", "Clear"], ["diff", "fix", "--stat"]):
        done = realm(repo.path, *line)
        assert done.code == 0, line
        assert (done.out + done.err).replace("\n", "").replace("\t", "").isprintable(), line


def test_files_that_the_project_has_already_are_its_own(repo: Repo, evil: Repo) -> None:
    bare(Repo(repo.path))
    repo.git("add", "-A")
    repo.commit("A fixture")
    evil.git("pull", "-q", "origin", os.path.basename(repo.git("symbolic-ref", "HEAD")))  # noqa: PTH119 - a ref
    evil.write("a", "a\n")
    offer(evil)
    assert realm(repo.path, "fetch", "fix").code == 0


@pytest.mark.parametrize("plant", [bare, link, escapes])
def test_a_branch_beside_a_session_is_looked_at_too(
    repo: Repo, evil: Repo, plant: Callable[[Repo], None]
) -> None:
    evil.write("a", "a\n")
    offer(evil)
    sound = evil.head("refs/realm/fix")
    plant(evil)
    evil.git("add", "-A")
    evil.git("commit", "-q", "-m", "Planted")
    evil.git("update-ref", "refs/realm-branches/fix/heads/evil%0a", "HEAD")
    evil.git("update-ref", "refs/realm-branches/fix/heads/good", sound)
    evil.git("update-ref", "refs/realm-branches/fix/refs/heads/main", sound)
    evil.git("update-ref", "refs/realm-branches/fixed/heads/other", sound)
    done = realm(repo.path, "fetch", "fix")
    assert done.code == 0
    assert "was left out: it has files that realm never accepts" in done.err
    assert done.err.replace("\n", "").isprintable()
    assert repo.refs("refs/realm-branches/") == {"refs/realm-branches/fix/heads/good": sound}
    assert repo.refs("refs/realm-tmp/") == {}
