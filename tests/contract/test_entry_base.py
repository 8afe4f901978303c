"""A base volume is a checked-out tree that later sandboxes start from."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture
def sandbox(repo: Repo, tmp_path: Path) -> HostSandbox:
    repo.write("keep", "1\n")
    repo.write("gone", "1\n")
    repo.commit("Two files")
    made = HostSandbox(tmp_path / "sandbox", repo)
    made.layout = made.layout._replace(branch="")
    assert made.entry("base").returncode == 0
    shutil.rmtree(made.state / "layout")
    made.layout = made.layout._replace(branch="work")
    return made


def test_sandbox_on_a_base_of_its_own_commit_is_clean(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        'test -z "$(git status --porcelain)" && test "$(git symbolic-ref HEAD)" = refs/heads/work'
    )
    assert report.points[-1].snapshot == sandbox.tip


def test_sandbox_on_a_base_of_another_commit_has_its_own_files(sandbox: HostSandbox) -> None:
    (sandbox.repo.path / "gone").unlink()
    sandbox.repo.write("keep", "2\n")
    sandbox.repo.write("new", "1\n")
    sandbox.tip = sandbox.repo.commit("Later")
    report = sandbox.run('cat keep; ls; test -z "$(git status --porcelain)"')
    assert report.points[-1].snapshot == sandbox.tip
    assert sorted(path.name for path in sandbox.workspace.iterdir()) == [".git", "README.md", "keep", "new"]


def test_sandbox_on_a_base_whose_commit_is_gone_has_its_own_files(sandbox: HostSandbox) -> None:
    (sandbox.workspace / ".git" / "realm-base").write_text("f" * 40 + "\n")
    sandbox.repo.write("keep", "2\n")
    sandbox.tip = sandbox.repo.commit("Later")
    assert sandbox.run('test "$(cat keep)" = 2').points[-1].snapshot == sandbox.tip


def test_index_of_a_base_is_warm(sandbox: HostSandbox) -> None:
    """Git reads no file whose entry is older than the index."""
    before = (sandbox.workspace / ".git" / "index").stat().st_mtime
    assert before > (sandbox.workspace / "keep").stat().st_mtime + 0.001
    sandbox.run("git diff-files --exit-code")


def test_refs_and_settings_are_not_in_a_base(sandbox: HostSandbox) -> None:
    assert sorted(path.name for path in (sandbox.workspace / ".git").iterdir()) == ["index", "realm-base"]
