"""What an agent leaves beside its work comes home, goes back at resume, and goes where its session goes."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_conversation import leave, say
from tests.e2e.test_live import has, holder_of, sandbox_of, shows
from tests.support import engines
from tests.support.repos import Repo
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine

TOP = "refs/realm-branches/side/"
SIDE = (
    "commit() { echo $1 >$1; git add $1; git commit -qm $1; }; commit mine; git checkout -q -b alt; "
    "commit one; git checkout -q side; echo 1 >>README.md; git stash -q; "
    "git worktree add -q .claude/worktrees/wt -b wt; "
    "echo 2 >.claude/worktrees/wt/two; echo rest >rest"
)


def kept(user: User) -> list[str]:
    return sorted(name.removeprefix(TOP) for name in user.repo.refs() if name.startswith(TOP))


def test_from_new_to_restore(user: User) -> None:
    said = user.scripted("side", SIDE).err
    assert "also kept: branch alt (1 commit), branch wt (1 commit), 1 stash\n" in said, said
    assert kept(user) == ["heads/alt", "heads/wt", "stash/1"]
    assert user.repo.files("refs/realm/side") == ["README.md", "mine", "rest"]
    assert user.repo.files(f"{TOP}heads/wt") == ["README.md", "mine", "two"]
    assert user.repo.head(f"{TOP}heads/alt^") == user.repo.head("refs/realm/side^")
    said = user.scripted(
        "side",
        "set -e; git show alt:one; git show wt:two; git stash pop -q; git branch -q -D wt",
        verb="resume",
    ).err
    assert "also kept: branch alt (1 commit)\n" in said, said
    assert kept(user) == ["heads/alt"]
    assert user.repo.show("refs/realm/side:README.md").endswith("1")
    user.realm("remove", "side", "--yes")
    assert kept(user) == []
    user.realm("restore", "side")
    assert kept(user) == ["heads/alt"]
    user.scripted("side", "git show alt:one", verb="resume")


def test_a_branch_that_the_agent_merged(user: User) -> None:
    work = "git checkout -qb alt; echo 1 >one; git add .; git commit -qm one; git checkout -q side"
    said = user.scripted("side", f"{work}; git merge -q --no-ff --no-edit alt").err
    assert "left out" not in said, said
    assert kept(user) == ["heads/alt"]
    assert user.repo.files(f"{TOP}heads/alt") == user.repo.files("refs/realm/side") == ["README.md", "one"]


def test_a_branch_that_is_checked_out_has_what_is_not_committed(user: User) -> None:
    user.scripted("side", "git checkout -qb alt; echo 1 >one; git add .; git commit -qm one; echo 2 >>one")
    assert user.repo.head(f"{TOP}heads/alt") == user.tip("side")
    said = user.scripted("side", "git checkout -q alt; echo 3 >>one", verb="resume").err
    assert "rewrote" not in said, said
    assert user.repo.show("refs/realm/side:one") == "1\n2\n3"


def test_claudes_work_tree(claude: User, api: MessagesApi) -> None:
    """What Claude Code does in a linked work tree is not in the session's tree, and is on its branch."""
    prompt = "write one.txt with first"
    claude.realm("new", "wt", "--", "--worktree", "foo", "-p", prompt)
    (branch,) = claude.repo.refs("refs/realm-branches/wt/heads")
    assert branch.endswith("/worktree-foo")
    assert claude.repo.show(f"{branch}:one.txt") == "first"
    assert claude.repo.files("refs/realm/wt") == ["README.md"]
    claude.realm("resume", "wt", "--", "-p", "write two.txt with second")
    assert claude.repo.show(f"{branch}:two.txt") == "second"  # where the conversation was
    assert api.asked[-1].prompts()[-2:] == [prompt, "write two.txt with second"]
    claude.realm("resume", "wt", "--", "--worktree", "foo", "-p", "write three.txt with third")
    assert claude.repo.files(branch) == ["README.md", "one.txt", "three.txt", "two.txt"]
    assert claude.repo.files("refs/realm/wt") == ["README.md"]
    assert len(api.asked[-1].prompts()) == 3


def test_branches_are_pushed_along(user: User, tmp_path: Path) -> None:
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    user.repo.git("remote", "add", "origin", str(origin.path))
    user.scripted("side", SIDE)
    out = user.realm("push", "side", "--all-branches").out
    assert "pushed side → origin/side-alt (1 commit)\n" in out, out
    assert sorted(origin.refs()) == ["refs/heads/side", "refs/heads/side-alt", "refs/heads/side-wt"]
    assert origin.head("refs/heads/side-alt") == user.repo.head(f"{TOP}heads/alt")
    assert origin.head("refs/heads/side") == user.tip("side")
    assert "has all of side already" in user.realm("push", "side", "--all-branches").out
    work = "git checkout -q -b alt; echo 1 >one; git add one; git commit -qm one; git checkout -q only"
    user.scripted("only", work)
    user.realm("push", "only", "--all-branches")
    assert "refs/heads/only-alt" in origin.refs()
    assert "refs/heads/only" not in origin.refs()


def test_a_branch_from_a_turn_that_is_in_git_already(claude: User) -> None:
    """Its commits stand on the session's own, not on others like them."""
    side = "run git checkout -q -b alt HEAD~1 && echo 1 > side && git add side && git commit -qm Side"
    with claude.terminal("new", "tui") as terminal:
        say(terminal, "commit one.txt", "Done")
        has(claude, "tui", "Add one.txt")
        say(terminal, "commit two.txt", "Done")
        has(claude, "tui", "Add one.txt", "Add two.txt")
        say(terminal, f"{side} && git checkout -q tui", r"Done[^$]*Done[^$]*Done")
        assert leave(terminal) == 0
    assert claude.repo.git("log", "--format=%s", "main..refs/realm/tui").splitlines() == [
        "Add two.txt", "Add one.txt",
    ]  # fmt: skip
    assert claude.repo.head("refs/realm-branches/tui/heads/alt^") == claude.repo.head("refs/realm/tui^")


def test_it_is_in_git_with_its_turn_and_survives_the_container(claude: User) -> None:
    """This includes the screens: none of them waits for the run's end."""
    side = (
        "run git branch own; git switch -qc alt; echo 1 >side; git add .; git commit -qm x; git switch -q tui"
    )
    with claude.terminal("new", "tui") as terminal:
        say(terminal, side, "Done")
        top = "refs/realm-branches/tui/heads"
        eventually(lambda: sorted(claude.repo.refs(top)) == [f"{top}/alt", f"{top}/own"], 10)
        assert claude.listed()[0]["also_kept"] == "branch alt (1 commit)"
        say(terminal, "write one.txt with first", "Wrote one.txt")
        has(claude, "tui", "write one.txt with first")
        shows(claude, "tui", 2, "Wrote one.txt")
        lost = engines.docker("inspect", "--format", "{{.Name}}", sandbox_of(claude)).removeprefix("/")
        os.kill(holder_of(claude, "tui"), signal.SIGKILL)
        terminal.wait()
    engines.docker("rm", "-f", lost)
    engines.docker("volume", "rm", "-f", *engines.labelled("volume", f"realm.sandbox={lost}"))
    assert claude.repo.show(f"{top}/alt:side") == "1"
    assert claude.repo.show("refs/realm/tui:one.txt") == "first"
