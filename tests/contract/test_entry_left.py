"""What an agent leaves beside HEAD is reported: branches, tags, stashes, detached commits, work trees."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import ENTRY, SHELLS, HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.report import Report
    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    repo.write("src/main.py", "print('hello')\n")
    repo.commit("Add a program")
    return HostSandbox(tmp_path / "sandbox", repo, request.param)


COMMIT = "commit() { echo $1 >$1; git add $1; git commit -qm $1; }; "


def names(report: Report) -> list[str]:
    return [left.name for left in report.others.left]


def inside(sandbox: HostSandbox, report: Report) -> Repo:
    """Return a repository with the host's objects and both packs."""
    made = sandbox.taken(report)
    if report.others.pack is not None:
        sandbox_pack = made.path / "left.pack"
        shutil.copyfile(report.others.pack, sandbox_pack)
        with sandbox_pack.open("rb") as pack:
            subprocess.run(
                ["git", "index-pack", "--strict", "--fix-thin", "--stdin"],
                cwd=made.path, stdin=pack, check=True, capture_output=True,
            )  # fmt: skip
    return made


def test_nothing_left_is_all(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo 1 >a")
    assert (report.others.left, report.others.is_all, report.others.pack, report.errors) == (
        (),
        True,
        None,
        (),
    )


def test_branches_and_tags(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        COMMIT + "git checkout -q -b alt; commit one; git tag -a -m v v1; git checkout -q work; commit two; "
        "git branch same; git branch -q old HEAD~1"
    )
    assert names(report) == ["refs/heads/alt", "refs/heads/old", "refs/heads/same", "refs/tags/v1"]
    made = inside(sandbox, report)
    assert [made.git("log", "-1", "--format=%s", left.oid) for left in report.others.left] == [
        "one", "Add a program", "two", "one",
    ]  # fmt: skip
    assert (report.others.is_all, report.errors) == (True, ())


def test_refs_of_other_kinds_are_named(sandbox: HostSandbox) -> None:
    report = sandbox.run("git notes add -m x; git update-ref refs/remotes/up/main HEAD; git branch alt")
    assert names(report) == ["refs/heads/alt"]
    assert report.errors == (
        "refs that are no branches, tags or stashes were not kept: refs/notes/commits and 1 more",
    )


def test_the_sessions_own_branch_where_head_is_elsewhere(sandbox: HostSandbox) -> None:
    report = sandbox.run(COMMIT + "commit one; git checkout -q -b alt HEAD~1; commit two")
    assert names(report) == ["refs/heads/alt", "refs/heads/work"]
    assert inside(sandbox, report).git("log", "-1", "--format=%s", report.others.left[1].oid) == "one"


def test_a_branch_that_is_checked_out_has_what_is_not_committed(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        COMMIT + "git checkout -q -b alt; commit one; echo more >>one; git stash -q; echo 2 >two"
    )
    assert names(report) == ["stash", "refs/heads/alt"]
    assert report.others.left[1].oid == report.points[-1].snapshot
    assert report.others.pack is not None  # of the stash; the rest is in the run's own
    assert inside(sandbox, report).git("log", "-1", "--format=%s", f"{report.points[-1].snapshot}^") == "one"


def test_stashes_the_newest_first(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo 1 >>README.md; git stash -q; echo 2 >new; git stash -q -u")
    assert names(report) == ["stash", "stash"]
    made = inside(sandbox, report)
    assert made.files(f"{report.others.left[0].oid}^3") == ["new"]
    assert made.show(f"{report.others.left[1].oid}:README.md").endswith("1")


def test_commits_that_only_the_reflog_has(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        COMMIT + "git checkout -q --detach; commit one; commit two; git checkout -q work; commit three; "
        "git commit -q --amend -m four"
    )
    assert names(report) == ["detached"]
    assert inside(sandbox, report).git("log", "--format=%s", report.others.left[0].oid, "-2") == "two\none"


def test_linked_work_trees_come_as_their_branches_and_not_into_the_tree(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        COMMIT + "git worktree add -q .claude/worktrees/a -b a && cd .claude/worktrees/a && commit one && "
        "echo 2 >two && cd ../../.. && git worktree add -q --detach 'odd [x]' && echo 3 >'odd [x]/three' && "
        "git worktree add -q ../beside -b b && echo 4 >../beside/four"
    )
    assert sandbox.tree(report) == ["README.md", "src/main.py"]
    assert report.points[-1].snapshot == sandbox.tip
    assert sorted(names(report)) == ["refs/heads/a", "refs/heads/b", "refs/kept/worktree/odd--x]"]
    made = inside(sandbox, report)
    found = {left.name: left.oid for left in report.others.left}
    assert made.files(found["refs/heads/a"]) == ["README.md", "one", "src/main.py", "two"]
    assert made.git("log", "--format=%s", found["refs/heads/a"], "-2") == (
        "Uncommitted changes of the work tree a\none"
    )
    assert made.files(found["refs/kept/worktree/odd--x]"]) == ["README.md", "src/main.py", "three"]
    assert made.files(found["refs/heads/b"]) == ["README.md", "four", "src/main.py"]
    assert (report.others.is_all, report.errors, report.nested) == (True, (), ())


def test_work_trees_stay_whole_at_the_end_of_a_turn(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        f"git worktree add -q wt -b a; echo 1 >one; echo '{{}}' | sh {ENTRY} turn start; "
        f"echo '{{}}' | sh {ENTRY} turn stop; git -C wt status --short"
    )
    assert sandbox.tree(report, 0) == ["README.md", "one", "src/main.py"]
    assert names(report) == ["refs/heads/a"]


def test_no_more_than_a_hundred_and_soon_however_many_there_are(sandbox: HostSandbox) -> None:
    started = time.monotonic()
    report = sandbox.run(
        COMMIT + 'commit one; seq 30000 | sed "s|.*|$(git rev-parse HEAD) refs/heads/b&|" >.git/packed-refs; '
        "git worktree add -q wt -b 'b.$7' && echo 1 >wt/two"
    )
    assert (len(report.others.left), report.others.is_all) == (100, False)
    assert report.errors == ("only 100 of 30001 branches, stashes and detached commits were kept",)
    assert "refs/heads/b.$7" in names(report)
    assert time.monotonic() - started < 15


def test_a_branch_that_is_not_whole_is_left_out_and_others_not(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        COMMIT + "git checkout -q -b bad; commit one; git checkout -q -b good work; commit two; "
        "git checkout -q work; rm -f .git/objects/$(git rev-parse bad:one | sed 's,^..,&/,')"
    )
    assert names(report) == ["refs/heads/good"]
    assert any("refs/heads/bad" in error for error in report.errors)


@pytest.mark.parametrize(
    "mischief",
    [
        "rm -rf .git/refs; mkfifo .git/refs",
        "rm -rf .git/refs; ln -s / .git/refs",
        "ln -s /dev .git/refs/heads/dev",
        "ln -s .. .git/refs/heads/up",
        "mkfifo .git/refs/heads/pipe .git/logs/refs/stash",
        "mkfifo .git/packed-refs.x; mv -f .git/packed-refs.x .git/packed-refs",
        "rm -f .git/logs/HEAD; mkfifo .git/logs/HEAD",
        "rm -f .git/logs/HEAD; ln -s /dev/zero .git/logs/HEAD",
        "mkdir -p .git/worktrees/x; mkfifo .git/worktrees/x/gitdir",
        "mkdir -p .git/worktrees/x; cd .git/worktrees/x; echo / >gitdir; echo ref: refs/heads/work >HEAD",
        "git worktree add -q wt -b wt; rm wt/README.md; mkfifo wt/.gitignore wt/.gitattributes wt/x",
        "git worktree add -q wt -b wt; rm .git/worktrees/wt/index; mkfifo .git/worktrees/wt/index",
        "git worktree add -q wt -b wt; printf '[core]\\n\\tfsmonitor = sleep 100\\n' >>.git/config",
        "truncate -s 3G .git/refs/heads/big",
        "echo nonsense >.git/refs/heads/odd; printf 'x\\n' >.git/refs/heads/'no good'",
        "mkdir -p .git/logs/refs; echo x >.git/refs/stash; echo y >.git/logs/refs/stash",
        "git config core.bare true; git config extensions.worktreeConfig true; echo '[' >>.git/config",
    ],
)
def test_what_an_agent_puts_there_does_not_stop_the_end(sandbox: HostSandbox, mischief: str) -> None:
    report = sandbox.run(f"echo kept >kept; mkdir -p .git/logs/refs; {mischief}")
    assert report.complete
    assert "kept" in sandbox.tree(report)
