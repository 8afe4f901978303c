"""What a sandbox may not see of the repository cannot be read in it, by name or by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import git

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def _blob(user: User, content: str) -> str:
    path = user.repo.path.parent / "content"
    path.write_text(content)
    return user.repo.git("hash-object", str(path))


@pytest.fixture
def hidden(user: User) -> dict[str, str]:
    """Objects of all kinds that no sandbox on main may see, by their origin."""
    repo = user.repo
    repo.write("f", "stashed\n")
    repo.git("add", "f")
    repo.git("stash", "-q")
    stash = repo.head("stash")
    repo.git("checkout", "-q", "-b", "private")
    repo.write("f", "of another branch\n")
    branch = repo.commit("Private")
    repo.git("tag", "-a", "-m", "Mine", "mine")
    repo.git("checkout", "-q", "main")
    user.scripted("other", "echo of another session >f; exit 0")
    repo.write("f", "only staged\n")
    repo.git("add", "f")
    staged = _blob(user, "only staged\n")
    repo.git("reset", "-q", "--hard")
    return {
        "a stash": stash,
        "a stashed file": _blob(user, "stashed\n"),
        "another branch": branch,
        "a file of another branch": repo.head(f"{branch}:f"),
        "a tag of another branch": repo.head("mine"),
        "another session": repo.head("refs/realm/other"),
        "another session's file": repo.head("refs/realm/other:f"),
        "another session's record": repo.head("refs/realm-meta/other"),
        "what was only staged": staged,
    }


@pytest.mark.parametrize("how", ["plain", "overlay"])
def test_no_other_object_can_be_read(user: User, hidden: dict[str, str], how: str) -> None:
    user.repo.git("config", "realm.workspace", how)
    ids = " ".join(hidden.values())
    seen = " ".join(user.repo.git("rev-list", "--objects", "main").split("\n")[0].split()[:1])
    script = (
        f"for id in {ids}; do git cat-file -t $id 2>/dev/null && echo READ $id; done;"
        f"git cat-file -t {seen}; git for-each-ref --format='%(refname)'; ls -A /base 2>/dev/null; true"
    )
    done = user.scripted("look", script)
    assert "READ" not in done.out
    lines = done.out.split()
    assert lines[0] == "commit"
    assert {line for line in lines if line.startswith("refs/")} == {"refs/heads/look", "refs/heads/main"}


def test_nothing_is_left_of_a_branch_that_was_looked_at_before(user: User, hidden: dict[str, str]) -> None:
    """The next sandbox on main does not get the volume that was made for a private branch."""
    repo = user.repo
    repo.git("checkout", "-q", "private")
    user.scripted("on-private", "git cat-file -e HEAD:f")
    repo.git("checkout", "-q", "main")
    script = f"git cat-file -e {hidden['a file of another branch']} 2>/dev/null && echo READ; true"
    assert "READ" not in user.scripted("on-main", script).out


def test_branches_that_are_named_can_be_read(user: User, hidden: dict[str, str]) -> None:
    user.repo.git("config", "--add", "realm.historyRefs", "private")
    done = user.scripted("look", "git log -1 --format=%s private; git cat-file -t mine")
    assert done.out.split() == ["Private", "tag"]
    assert hidden["another branch"] == git(user.repo.path, "rev-parse", "private")
