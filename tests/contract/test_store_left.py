"""Branches, stashes and the like come home from a sandbox, and go back into the next one."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from realm.store import branches, left, refs
from tests.support.sandbox import HostSandbox
from tests.support.store import ME, STARTED, assert_sound, intake, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project
    from realm.sandbox.report import Report
    from realm.store.ingest import Ingested
    from tests.support.repos import Repo

COMMIT = "commit() { echo $1 >$1; git add $1; git commit -qm $1; }; "
ALT = f"{COMMIT}git checkout -q -b alt; commit one; git checkout -q work; "
TOP = "refs/realm-branches/fix/"


def came(project: Project, sandbox: HostSandbox, report: Report, visible: tuple[str, ...] = ()) -> left.Found:
    """Take in a report as the host does: the work, then what else there is."""
    done: Ingested = take(intake(project, sandbox.tip, report.points, report.pack))
    wanted = left.Wanted(
        project, "fix", 1, 1, sandbox.tip, done.tip, *report.others, STARTED, ME, done.twins,
    )  # fmt: skip
    found = left.take(wanted._replace(visible=lambda: visible))
    refs.transact(project, found.updates, "test")
    return found


def kept(repo: Repo) -> dict[str, str]:
    return {name.removeprefix(TOP): oid for name, oid in repo.refs().items() if name.startswith(TOP)}


def again(sandbox: HostSandbox, project: Project, path: Path) -> HostSandbox:
    """Return the sandbox of the next run, laid out as the host does."""
    tip = sandbox.repo.head("refs/realm/fix")
    made = HostSandbox(path, sandbox.repo)
    made.tip = tip
    there = branches.listed(project, "fix")
    inside = branches.inside(project, there, ["refs/heads/work"])
    made.holds(refs=inside.refs, kept=inside.refs, stashes=tuple(inside.stashes), known=tuple(there.values()))
    return made


def test_everything_comes_home_and_goes_back(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(
        COMMIT + "commit mine; git checkout -q -b alt; commit one; git checkout -q --detach; commit lost; "
        "git checkout -q work; git worktree add -q .claude/worktrees/a -b a; "
        "echo 2 >.claude/worktrees/a/two; "
        "echo 1 >>README.md; git stash -q; echo 3 >three; git stash -q -u; git tag v1 alt; echo rest >rest"
    )
    found = came(project, sandbox, report)
    assert found.notes == []
    assert {at.partition("/")[0] for at in kept(repo)} == {"heads", "stash", "detached", "tags"}
    assert [(row.kind, row.name, row.commits) for row in found.kept if row.kind in ("heads", "tags")] == [
        ("heads", "a", 1), ("heads", "alt", 1), ("tags", "v1", 1),
    ]  # fmt: skip
    mine = repo.git("log", "--format=%H", "--grep=^mine", "refs/realm/fix").strip()
    assert repo.head(f"{TOP}heads/alt^") == mine
    assert repo.git("log", "-1", "--format=%an|%b", f"{TOP}heads/alt").startswith(
        "Ada Tester|Realm-Session: fix"
    )
    assert repo.files(f"{TOP}heads/a") == ["README.md", "mine", "two"]
    assert repo.files("refs/realm/fix") == ["README.md", "mine", "rest"]
    assert repo.files(f"{TOP}stash/2^3") == ["three"]
    assert repo.show(f"{TOP}stash/1:README.md").endswith("1")
    assert_sound(repo)
    repo.git("gc", "-q", "--prune=now")
    before = kept(repo)

    second = again(sandbox, project, tmp_path / "two")
    report = second.run(
        "git log --format=%s -1 alt && git show a:two && git show v1:one && git stash list && "
        "git stash pop && test -e three && git log --oneline refs/kept/detached/* && git branch -D a && "
        "git checkout -q alt && "
        "echo 4 >four && git add four && git commit -qm four && git checkout -q work"
    )
    found = came(project, second, report)
    assert found.notes == []
    after = kept(repo)
    assert set(before) - set(after) == {"heads/a", "stash/2"}
    assert {at for at in after if after[at] != before[at]} == {"heads/alt"}
    assert repo.head(f"{TOP}heads/alt^") == before["heads/alt"]
    trash = refs.list_trash(project, "fix")
    assert [sorted(row.branches) for row in trash] == [["heads/a", "stash/2"]]
    assert refs.latest_trash(project, "fix") is None
    assert_sound(repo)


def test_unchanged_ones_cost_no_objects(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    came(
        project,
        sandbox,
        sandbox.run(ALT),
    )
    second = again(sandbox, project, tmp_path / "two")
    report = second.run("true")
    assert (report.others.pack, len(report.others.left), report.others.is_all) == (None, 1, True)
    before = kept(repo)
    found = came(project, second, report)
    assert (list(found.updates), kept(repo)) == ([], before)


def test_names_that_a_file_system_would_mix_up(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(
        COMMIT + "commit one; for name in alt/x Alt ALT x.y 'käse' a%2fb 'a]' -- "
        f'{"very" * 40}/{"long" * 40} _ ; do git update-ref "refs/heads/$name" HEAD; done; '
        "git update-ref refs/heads/Alt/x HEAD || git pack-refs --all"
    )
    found = came(project, sandbox, report)
    names = sorted(kept(repo))
    assert len({name.casefold() for name in names}) == len(names) == len(report.others.left)
    assert found.notes == []
    back = branches.inside(project, branches.listed(project, "fix"), ())
    assert {left.name for left in report.others.left} - set(back.refs) == {
        f"refs/heads/{'very' * 40}/{'long' * 40}"
    }


@pytest.mark.parametrize(
    "name",
    [
        "alt",
        "alt/x",
        "Alt",
        "a.lock",
        "x.lock/y",
        ".a",
        "a..b",
        "a.",
        "@{",
        "ä" * 150,
        "a%2fb",
        "a/b",
        "%",
        "-",
    ],
)
def test_escaped_names_are_proper_and_tell_what_they_were(name: str) -> None:
    part = branches.escape(name)
    assert subprocess.run(["git", "check-ref-format", f"{TOP}heads/{part}"], check=False).returncode == 0
    assert part == part.lower()
    assert len(part) <= 200
    proper = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False).returncode == 0
    assert branches.unescape(part) == (name if proper and len(name) < 100 else None)


def test_what_git_refuses_costs_commits_and_not_files(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(
        COMMIT + "commit mine; git checkout -q -b odd; commit one; "
        "git cat-file commit HEAD | sed 's/^author .*/author x <x> 99999999999999999999 +0000/' >../odd; "
        "git update-ref refs/heads/odd $(git hash-object -t commit -w --literally ../odd); "
        "git checkout -q -f work"
    )
    found = came(project, sandbox, report)
    assert repo.files(f"{TOP}heads/odd") == ["README.md", "mine", "one"]
    assert any("its commits not" in note or "files were kept" in note for note in found.notes)
    assert repo.files("refs/realm/fix") == ["README.md", "mine"]
    assert_sound(repo)


def test_a_project_collected_all_the_while(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(ALT + "echo 1 >a; git stash -u -q")
    loop = subprocess.Popen(
        ["sh", "-c", "while :; do git gc -q --prune=now; done"], cwd=repo.path, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(3):
            came(project, sandbox, report)
            time.sleep(0.1)
    finally:
        loop.kill()
        loop.wait()
    assert sorted(kept(repo)) == ["heads/alt", "stash/1"]
    assert_sound(repo)


def test_packs_that_are_none(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(ALT + "echo 1 >a")
    assert report.others.pack is not None
    shutil.copyfile("/bin/sh", report.others.pack)
    found = came(project, sandbox, report)
    assert (kept(repo), repo.files("refs/realm/fix")) == ({}, ["README.md", "a"])
    assert any("refused" in note for note in found.notes)


def test_a_branch_that_is_made_anew_is_in_the_trash(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    came(project, sandbox, sandbox.run(ALT))
    before = kept(repo)["heads/alt"]
    second = again(sandbox, project, tmp_path / "two")
    report = second.run(f"{COMMIT}git checkout -q -B alt; commit other; git checkout -q work")
    found = came(project, second, report)
    assert ["the branch alt was replaced" in note for note in found.notes] == [True]
    assert kept(repo)["heads/alt"] != before
    assert [dict(row.branches) for row in refs.list_trash(project, "fix")] == [{"heads/alt": before}]
