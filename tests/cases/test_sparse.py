"""Sparse checkouts and partial clones: a sandbox has the same files as the user; none are lost or fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

CONE, OTHER = ("set", "a"), ("set", "--no-cone", "/*", "!/b/", "!/src/")


@pytest.fixture
def mono(user: User) -> Repo:
    """Give the user's project files, of which they work on ``a``."""
    for name in ("a/one", "a/two", "b/one", "b/two"):
        user.repo.write(name, f"{name}\n")
    user.repo.commit("Files")
    return user.repo


def changed(repo: Repo, name: str) -> list[str]:
    listed = repo.git("diff", "--name-status", "--no-renames", "main", f"refs/realm/{name}")
    return listed.replace("\t", " ").splitlines()


@pytest.mark.parametrize(("files", "how"), [(0, CONE), (250, OTHER)])  # 250: on a base volume
def test_what_is_not_checked_out_is_no_deletion(user: User, files: int, how: tuple[str, ...]) -> None:
    if files:
        user.repo.make_files(files)
    for name in ("a/one", "a/two", "b/one", "b/two"):
        user.repo.write(name, f"{name}\n")
    user.repo.commit("Files")
    user.repo.git("sparse-checkout", *how)
    done = user.scripted(
        "edit",
        "ls; git status --short; echo 1 >>a/one; rm a/two; mkdir b new; echo 2 >b/one; echo 3 >new/file",
    )
    assert [line for line in done.out.split() if line != "README.md"] == ["a"]
    expected = ["M a/one", "D a/two", "M b/one", "A new/file"]
    assert changed(user.repo, "edit") == expected
    again = user.scripted("edit", "cat b/one new/file; git status --short; rm .git/index", verb="resume")
    assert again.out == "2\n3\n"
    assert changed(user.repo, "edit") == expected
    tried = user.realm("try", "--host", "edit", "--", "cat", "a/one", "b/one", "new/file", "b/two", code=1)
    assert tried.out == "a/one\n1\n2\n3\n"
    user.realm("apply", "edit")
    assert user.repo.git("status", "--short") == " M a/one\n D a/two\n M b/one\n?? new/"
    user.scripted("wip", "cat b/one new/file; git status --short; echo 4 >a/four", "--wip")
    assert changed(user.repo, "wip") == ["A a/four", *expected]
    user.repo.git("stash", "-uq")
    user.realm("merge", "edit")
    assert {"b/one", "b/two", "new/file"} <= {*user.repo.files()}


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_nothing_is_fetched_that_is_not_needed(
    user: User, mono: Repo, sealed: Path, tmp_path: Path, kind: str
) -> None:
    mono.write("b/one", "of old\n")
    mono.commit("Old")
    mono.write("b/one", "newer\n")
    mono.commit("Newer")
    asked = tmp_path / "asked"
    hook = sealed / "hook"
    hook.write_text(f'#!/bin/sh\necho asked >>{asked}\nexec "$@"\n')
    hook.chmod(0o755)
    mono.git("config", "uploadpack.allowFilter", "true")
    mono.git("config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "-q", f"--filter={kind}", "--sparse", f"file://{mono.path}", "part")
    user.repo = Repo(tmp_path / "part")
    user.repo.git("sparse-checkout", "set", "a")
    git(sealed, "config", "--global", "uploadpack.packObjectsHook", str(hook))
    done = user.scripted(
        "part",
        "ls; git log --oneline | wc -l; echo 1 >>a/one; mkdir b; echo 3 >b/three; git add --sparse .; "
        "git commit -qm Mine; echo 2 >>a/one; git log -p -- b/one || true",
    )
    assert done.out.split() == ["README.md", "a", "4"]
    assert "left-on-the-host" in done.err
    assert changed(user.repo, "part") == ["M a/one", "A b/three"]
    user.realm("verify", "part")
    user.realm("diff", "part", "--stat")
    assert user.listed()[0]["files"] == 2
    user.scripted("part", "cat b/three; echo 4 >a/four", verb="resume")
    user.realm("try", "part", "--", "cat", "a/four")
    user.realm("apply", "part")
    assert not asked.exists()
    user.repo.git("stash", "-uq")
    user.realm("merge", "part")
    assert (user.repo.path / "a/four").read_text() == "4\n"
    assert user.repo.git("fsck", "--no-dangling") == ""
