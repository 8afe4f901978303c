"""The entry script's snapshot of what a killed sandbox left, on the host's own disk."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import HostBox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("made", ["", ".git/objects/info", ".git/refs/heads"])
def test_killed_before_it_marked_anything(repo: Repo, tmp_path: Path, shell: str, made: str) -> None:
    box = HostBox(tmp_path / "box", repo, shell)
    if made:
        (box.workspace / made).mkdir(parents=True)
        (box.state / "git/objects").mkdir()
    else:
        box.workspace.rmdir()
    assert box.entry("snapshot").returncode == 0
    report = box.report()
    assert report.complete
    assert [(point.head, point.snapshot) for point in report.points] == [(box.tip, box.tip)]
    assert report.errors == ()


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_a_conversation_that_came_in_part_is_not_taken(repo: Repo, tmp_path: Path, shell: str) -> None:
    box = HostBox(tmp_path / "box", repo, shell)
    talk = box.state / "claude/projects/p/1.jsonl"
    talk.parent.mkdir(parents=True)
    talk.write_text("half")
    (box.state / "git/unready").write_text("yes\n")
    assert box.entry("snapshot").returncode == 0
    assert box.report().transcript is None
    (box.state / "git/unready").write_text("")
    (box.state / "out/report").unlink()
    assert box.entry("snapshot").returncode == 0
    assert box.report().transcript is not None


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("move", ["git branch -m mine", "git checkout -q --detach; git commit -qam More"])
def test_work_whose_state_is_lost_is_still_work(repo: Repo, tmp_path: Path, shell: str, move: str) -> None:
    """An agent on a branch of its own, over a base volume, and the state volume removed by hand."""
    box = HostBox(tmp_path / "box", repo, shell)
    assert box.entry("base").returncode == 0
    subprocess.run(["rm", "-r", str(box.state / "layout")], check=True)
    box.run(f"echo work >work; git add work; {move}")
    for path in ("git", "out"):
        subprocess.run(["rm", "-r", str(box.state / path)], check=True)
        (box.state / path).mkdir()
    assert box.entry("snapshot").returncode == 0
    assert box.tree(box.report()) == ["README.md", "work"]
