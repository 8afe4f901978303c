"""An approval is for one repository, wherever that is moved to, and for no other."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from realm.session import approvals
from realm.store.repo import discover
from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


def approved(repo: Repo) -> Repo:
    repo.write(".worktreeinclude", ".env\n")
    approvals.approve_patterns(discover(repo.path))
    return repo


def is_approved(place: Path) -> bool:
    return approvals.patterns_approved(discover(place))


def test_a_project_that_was_moved_keeps_it(repo: Repo, tmp_path: Path) -> None:
    approved(repo).path.rename(tmp_path / "moved")
    assert is_approved(tmp_path / "moved")


def test_a_copy_has_to_be_approved_itself(repo: Repo, tmp_path: Path) -> None:
    copy = shutil.copytree(approved(repo).path, tmp_path / "copy")
    assert not is_approved(copy)


def test_another_repository_with_the_same_content_has_to_be_approved(repo: Repo, tmp_path: Path) -> None:
    shutil.rmtree(approved(repo).path)
    other = Repo.init(tmp_path / "other")
    other.write(".worktreeinclude", ".env\n")
    assert not is_approved(other.path)


def test_one_that_lost_what_git_made_with_it_keeps_it_where_it_is(repo: Repo) -> None:
    (approved(repo).path / ".git/description").unlink()
    assert is_approved(repo.path)
