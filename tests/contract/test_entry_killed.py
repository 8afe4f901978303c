"""The entry script's snapshot of a killed sandbox's work, on the host's own disk."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("made", ["", ".git/objects/info", ".git/refs/heads"])
def test_killed_before_it_marked_anything(repo: Repo, tmp_path: Path, shell: str, made: str) -> None:
    sandbox = HostSandbox(tmp_path / "sandbox", repo, shell)
    if made:
        (sandbox.workspace / made).mkdir(parents=True)
        (sandbox.state / "git/objects").mkdir()
    else:
        sandbox.workspace.rmdir()
    assert sandbox.entry("snapshot").returncode == 0
    report = sandbox.report()
    assert report.complete
    assert [(point.head, point.snapshot) for point in report.points] == [(sandbox.tip, sandbox.tip)]
    assert report.errors == ()


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_a_conversation_that_came_in_part_is_not_taken(repo: Repo, tmp_path: Path, shell: str) -> None:
    sandbox = HostSandbox(tmp_path / "sandbox", repo, shell)
    talk = sandbox.state / "claude/projects/p/part.jsonl"
    talk.parent.mkdir(parents=True)
    talk.write_text("half")
    (sandbox.state / "git/unready").write_text("yes\n")
    assert sandbox.entry("snapshot").returncode == 0
    assert sandbox.report().transcript is None
    (sandbox.state / "git/unready").write_text("")
    (sandbox.state / "out/report").unlink()
    assert sandbox.entry("snapshot").returncode == 0
    assert sandbox.report().transcript is not None


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("move", ["git branch -m mine", "git checkout -q --detach; git commit -qam More"])
def test_work_whose_state_is_lost_is_still_work(repo: Repo, tmp_path: Path, shell: str, move: str) -> None:
    """An agent on a branch of its own, over a base volume, and the state volume removed by hand."""
    sandbox = HostSandbox(tmp_path / "sandbox", repo, shell)
    assert sandbox.entry("base").returncode == 0
    subprocess.run(["rm", "-r", str(sandbox.state / "layout")], check=True)
    sandbox.run(f"echo work >work; git add work; {move}")
    for path in ("git", "out"):
        subprocess.run(["rm", "-r", str(sandbox.state / path)], check=True)
        (sandbox.state / path).mkdir()
    assert sandbox.entry("snapshot").returncode == 0
    assert sandbox.tree(sandbox.report()) == ["README.md", "work"]
