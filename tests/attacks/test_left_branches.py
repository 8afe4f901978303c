"""Branches and stashes that an agent leaves are checked like its work: their ancestors and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError
from tests.contract.test_store_left import COMMIT, TOP, came, kept
from tests.support.sandbox import HostSandbox
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_a_commit_that_was_not_in_the_sandbox_cannot_be_built_on(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    repo.git("checkout", "-q", "-b", "secret")
    repo.write("secret", "s\n")
    secret = repo.commit("Secret")
    repo.git("checkout", "-q", "main")
    sandbox = HostSandbox(tmp_path / "one", repo)
    sandbox.holds(known=(secret,))  # so that it is in no pack
    report = sandbox.run(
        f"git update-ref refs/heads/plain {secret}; "
        f"git update-ref refs/heads/on $(git commit-tree -p {secret} -m on HEAD^{{tree}}); "
        f"git update-ref refs/heads/tree $(git commit-tree -p HEAD -m tree {secret}^{{tree}}); "
        "git update-ref refs/heads/good $(git commit-tree -p HEAD -m good HEAD^{tree})"
    )
    assert len(report.others.left) == 4
    found = came(project, sandbox, report)
    assert list(kept(repo)) == ["heads/good"]
    assert len(found.notes) == 3
    seen = came(project, sandbox, report, visible=(secret,))
    assert sorted(kept(repo)) == ["heads/good", "heads/on", "heads/plain", "heads/tree"]
    assert not any("left out" in note for note in seen.notes)


def test_hostile_files_are_left_out_of_branches_too(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(
        COMMIT + "git checkout -q -b bad; ln -s /etc/passwd link; commit one; git add link; "
        "git commit -qm link; "
        "echo 1 >>one; ln -s /etc/shadow other; git stash -q -u; git checkout -q work"
    )
    found = came(project, sandbox, report)
    assert repo.files(f"{TOP}heads/bad") == ["README.md", "one"]
    assert repo.git("ls-tree", "-r", "--name-only", f"{TOP}stash/1^3") == ""
    assert any("link" in note for note in found.notes)


def test_a_ref_that_the_user_made_symbolic_is_not_written_through(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    repo.git("symbolic-ref", f"{TOP}heads/alt", "refs/heads/main")
    head = repo.head()
    sandbox = HostSandbox(tmp_path / "one", repo)
    report = sandbox.run(COMMIT + "git checkout -q -b alt; commit one; git checkout -q work")
    with pytest.raises(RealmError, match="symbolic"):
        came(project, sandbox, report)
    assert repo.head("refs/heads/main") == head
