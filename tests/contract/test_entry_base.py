"""A base volume is a checked-out tree that later boxes start from."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import HostBox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture
def box(repo: Repo, tmp_path: Path) -> HostBox:
    repo.write("keep", "1\n")
    repo.write("gone", "1\n")
    repo.commit("Two files")
    made = HostBox(tmp_path / "box", repo)
    made.layout = made.layout._replace(branch="")
    assert made.entry("base").returncode == 0
    shutil.rmtree(made.state / "layout")
    made.layout = made.layout._replace(branch="work")
    return made


def test_box_on_a_base_of_its_own_commit_is_clean(box: HostBox) -> None:
    report = box.run(
        'test -z "$(git status --porcelain)" && test "$(git symbolic-ref HEAD)" = refs/heads/work'
    )
    assert report.points[-1].snapshot == box.tip


def test_box_on_a_base_of_another_commit_has_its_own_files(box: HostBox) -> None:
    (box.repo.path / "gone").unlink()
    box.repo.write("keep", "2\n")
    box.repo.write("new", "1\n")
    box.tip = box.repo.commit("Later")
    report = box.run('cat keep; ls; test -z "$(git status --porcelain)"')
    assert report.points[-1].snapshot == box.tip
    assert sorted(path.name for path in box.workspace.iterdir()) == [".git", "README.md", "keep", "new"]


def test_box_on_a_base_whose_commit_is_gone_has_its_own_files(box: HostBox) -> None:
    (box.workspace / ".git" / "realm-base").write_text("f" * 40 + "\n")
    box.repo.write("keep", "2\n")
    box.tip = box.repo.commit("Later")
    assert box.run('test "$(cat keep)" = 2').points[-1].snapshot == box.tip


def test_index_of_a_base_is_warm(box: HostBox) -> None:
    """Git reads no file whose entry is older than the index."""
    before = (box.workspace / ".git" / "index").stat().st_mtime
    assert before > (box.workspace / "keep").stat().st_mtime + 0.001
    box.run("git diff-files --exit-code")


def test_refs_and_settings_are_not_in_a_base(box: HostBox) -> None:
    assert sorted(path.name for path in (box.workspace / ".git").iterdir()) == ["index", "realm-base"]
