"""Whatever an agent does to its workspace, the entry script still saves the files."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SHELLS, HostBox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def box(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostBox:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    return HostBox(tmp_path / "box", repo, request.param)


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf .git",
        "git add -A && rm -rf .git/objects/*",
        "git add -A && git commit -qm x && rm -rf .git",
        "echo junk > .git/index",
        "echo junk > .git/config",
        "echo junk > .git/HEAD",
        "rm -rf .git && git init -q && git add -A && git commit -qm unrelated",
        "rm -rf .git && echo 'gitdir: /nowhere' > .git",
        "touch .git/index.lock .git/HEAD.lock",
        "git checkout -q --detach",
        "git checkout -q -b other",
        "git checkout -q --orphan empty",
        "git checkout -q --orphan empty && git add -A && git commit -qm orphan",
        "git config core.hooksPath hooks && mkdir hooks && printf '#!/bin/sh\\nexit 1\\n' > hooks/pre-commit && chmod +x hooks/pre-commit && rm -r hooks",  # noqa: E501
        "git sparse-checkout set --cone nothing && git sparse-checkout reapply --sparse-index",
        "git update-index --index-version 4",
        "git config core.fsmonitor /bin/false && git config core.untrackedCache true && git status > /dev/null",  # noqa: E501
        "git config core.excludesFile /dev/stdin",
        "git config core.worktree /nowhere",
        "git config core.bare true",
        "mkfifo pipe",
        "export GIT_DIR=/nowhere",
        "git pack-refs --all",
        "chmod -x .",
    ],
)
def test_work_survives(box: HostBox, script: str) -> None:
    report = box.run(f"echo precious > work.txt; {script}; exit 0")
    assert report.complete
    taken = box.taken(report)
    assert taken.show(f"{report.points[-1].snapshot}:work.txt") == "precious"


@pytest.mark.parametrize("link", ["", "link"])
@pytest.mark.parametrize(
    "place",
    [
        ".git/HEAD",
        ".git/index",
        ".git/config",
        ".git/packed-refs",
        ".git/refs/heads/work",
        ".git/info/exclude",
        ".git/objects/info/alternates",
        ".gitignore",
        ".gitattributes",
        ".gitmodules",
        "sub/.gitignore",
        "sub/.git",
        "../../realm/git/config",
        "../../realm/git/HEAD",
        "../../realm/git/index",
        "../../realm/git/last",
        "../../realm/git/objects/info/alternates",
        "../../realm/out/report",
        "../../realm/out/end.point",
        "../../realm/out/pack",
        "../../realm/out/transcript.tmp",
        "../../realm/out/turns/0001.point",
        "../../realm/claude/projects/-workspace-project/x.jsonl",
    ],
)
def test_fifo_in_the_place_of_a_file_stops_nothing(box: HostBox, place: str, link: str) -> None:
    make = f"mkfifo ../fifo; ln -s $PWD/../fifo {place}" if link else f"mkfifo {place}"
    clear = f"mkdir -p sub ../../realm/claude/projects/-workspace-project; rm -rf {place}"
    report = box.run(f"echo precious > work.txt; {clear}; {make}; exit 0")
    assert report.complete
    assert box.taken(report).show(f"{report.points[-1].snapshot}:work.txt") == "precious"


@pytest.mark.parametrize(
    "lost",
    [
        "git",
        "git/objects",
        "git/objects/info",
        "git/objects/pack",
        "git/refs",
        "git/info",
        "git/HEAD",
        "git/config",
        "git/index",
        "git/ready",
        "git/*",
        "out",
        "out/turns",
        "[!l]*",
    ],
)
def test_work_survives_the_loss_of_what_was_made_for_snapshots(box: HostBox, lost: str) -> None:
    report = box.run(f"echo precious > work.txt; rm -rf {box.state}/{lost}; exit 0")
    assert report.complete
    taken = box.taken(report)
    assert taken.show(f"{report.points[-1].snapshot}:work.txt") == "precious"
    assert taken.show(f"{report.points[-1].snapshot}:README.md")


def test_files_survive_a_merge_of_a_shallow_fetch(box: HostBox) -> None:
    other = "git init -q ../other && git -C ../other"
    commit = "-c user.name=x -c user.email=x@y commit -q --allow-empty -m"
    report = box.run(
        f"{other} {commit} one; git -C ../other {commit} two; echo precious > work.txt; git add .; "
        "git commit -qm mine; git fetch -q --depth 1 file://$PWD/../other HEAD; "
        "git merge -q --allow-unrelated-histories -m merged FETCH_HEAD; echo later > later.txt; exit 0"
    )
    assert report.complete
    assert any("history is not all there" in error for error in report.errors)
    last = report.points[-1]
    taken = box.taken(report)
    assert taken.show(f"{last.snapshot}:work.txt") == "precious"
    assert taken.show(f"{last.snapshot}:later.txt") == "later"
    assert taken.git("rev-parse", f"{last.snapshot}^") == last.head == box.tip


def test_head_that_is_no_commit_is_said(box: HostBox) -> None:
    report = box.run("rm -rf .git")
    assert report.points[-1].head == box.tip
    assert any("HEAD is no commit" in text for text in report.errors)


def test_deleted_repository_records_no_change_of_other_files(box: HostBox) -> None:
    report = box.run("rm -rf .git; echo 1 > new")
    assert box.tree(report) == ["README.md", "new"]


def test_names_of_any_bytes_are_kept(box: HostBox) -> None:
    names = [
        b"new\nline",
        b"tab\t",
        b'quo"te',
        b"back\\slash",
        b"\xff\xfe",
        b" lead",
        b"-dash",
        b"star*?[",
        b"%s%d",
    ]
    code = (
        "import os,sys\nfor n in "
        + repr(names)
        + ": open(os.path.join(os.fsencode(sys.argv[1]), n), 'wb').write(n)"
    )
    done = box.entry("run", sys.executable, "-c", code, str(box.workspace))
    assert done.returncode == 0, done.stderr
    tree = [os.fsencode(name) for name in box.tree(box.report())]
    assert tree == sorted([b"README.md", *names])


def test_embedded_repository_becomes_plain_files_at_the_end(box: HostBox) -> None:
    report = box.run("git init -q sub && cd sub && echo 1 > f && git add f && git commit -qm inner")
    assert box.tree(report) == ["README.md", "sub/f"]
    assert report.nested == ("sub",)


def test_embedded_repository_that_the_agent_committed_becomes_plain_files(box: HostBox) -> None:
    report = box.run(
        "git init -q sub && (cd sub && echo 1 > f && git add f && git commit -qm inner) && git add sub 2>/dev/null && git commit -qm link"  # noqa: E501
    )
    assert box.tree(report) == ["README.md", "sub/f"]


def test_embedded_repository_without_a_commit_becomes_plain_files(box: HostBox) -> None:
    report = box.run("git init -q 'a b' && echo 1 > 'a b/f' && echo 2 > beside")
    assert box.tree(report) == ["README.md", "a b/f", "beside"]


def test_repositories_within_repositories_become_plain_files(box: HostBox) -> None:
    make = "git init -q . && echo 1 > f && git add f && git commit -qm inner"
    report = box.run(f"mkdir -p 'x\ty/z' && cd 'x\ty' && {make} && cd z && {make}")
    assert box.tree(report) == ["README.md", "x\ty/f", "x\ty/z/f"]


def test_submodule_of_the_tip_stays_one(box: HostBox) -> None:
    box.repo.git("update-index", "--add", "--cacheinfo", f"160000,{box.tip},module")
    box.repo.write(".gitmodules", '[submodule "module"]\n\tpath = module\n\turl = ../module\n')
    box.repo.git("add", ".gitmodules")
    box.tip = box.repo.commit("Add a submodule", add=False)
    report = box.run("test -d module && echo 1 > new")
    tree = box.taken(report).git("ls-tree", report.points[-1].snapshot, "module")
    assert tree == f"160000 commit {box.tip and box.repo.head('HEAD:module')}\tmodule"


def test_file_that_became_a_pipe_is_said_and_the_rest_saved(box: HostBox) -> None:
    report = box.run("rm README.md; mkfifo README.md; echo 1 > new")
    assert "new" in box.tree(report)
    assert any("README.md" in text for text in report.errors)


def test_many_files(box: HostBox) -> None:
    report = box.run("i=0; while [ $i -lt 3000 ]; do echo $i > f$i; i=$((i+1)); done")
    assert len(box.tree(report)) == 3001


def test_report_that_is_done_is_not_done_again(box: HostBox) -> None:
    before = box.run("echo 1 > a", code=0)
    assert box.entry("snapshot").returncode == 0
    after = box.report()
    assert (after.exit_code, after.points) == (before.exit_code, before.points)


def test_snapshot_alone_saves_what_a_killed_box_left(box: HostBox) -> None:
    box.run("echo 1 > a")
    for name in ("report", "end.point", "pack"):
        (box.state / "out" / name).unlink()
    (box.workspace / ".git" / "index.lock").touch()
    assert box.entry("snapshot").returncode == 0
    report = box.report()
    assert (report.complete, report.exit_code, box.tree(report)) == (True, None, ["README.md", "a"])


def test_a_dead_boxs_empty_workspace_is_damage_and_no_deletion(box: HostBox) -> None:
    box.run("echo 1 > a")
    for name in ("report", "end.point", "pack"):
        (box.state / "out" / name).unlink()
    shutil.rmtree(box.workspace)
    box.workspace.mkdir()
    assert box.entry("snapshot").returncode == 0
    report = box.report()
    assert report.complete
    assert [(point.head, point.snapshot) for point in report.points] == [(box.tip, box.tip)]
    assert any("found empty" in error for error in report.errors)


def test_snapshot_of_a_box_that_was_never_prepared_gives_the_tip(box: HostBox) -> None:
    assert box.entry("snapshot").returncode == 0
    report = box.report()
    assert report.complete


def test_snapshot_that_fails_is_not_done(box: HostBox) -> None:
    """The host takes the snapshot of a box whose report is not done, and keeps it when that fails too."""
    box.run("echo 1 > a")
    (box.state / "out" / "report").unlink()
    box.environment["REALM_TIP"] = "f" * 40
    shutil.rmtree(box.workspace / ".git")
    assert box.entry("snapshot").returncode == 0
    report = box.report()
    assert (report.complete, report.points) == (False, ())
    assert "the workspace could not be saved" in report.errors
