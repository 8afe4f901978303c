"""The repository builder and the sealed environment do what every other test relies on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.repos import Repo


def test_repo_has_one_commit_by_the_sealed_identity(repo: Repo) -> None:
    assert repo.git("log", "--format=%an <%ae> %at %s") == "Ada Tester <ada@example.com> 1700000000 Start"
    assert repo.files() == ["README.md"]
    assert repo.refs() == {"refs/heads/main": repo.head()}


def test_make_files_commits_the_wanted_number(repo: Repo) -> None:
    repo.make_files(250)
    assert len(repo.files()) == 250
    assert repo.git("status", "--porcelain") == ""


def test_home_is_sealed(sealed: Path) -> None:
    assert Path.home() == sealed
    assert os.environ["REALM_HOME"] == str(sealed / ".realm")
    assert not [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE", "SSH_"))]
