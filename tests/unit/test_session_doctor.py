"""The trial of ``realm doctor --run``, as far as it needs no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.session import doctor
from tests.support.store import seen

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.repos import Repo


def test_trial_touches_no_other_repository(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's variables name their own repository: the trial commits to its own all the same."""
    before = seen(repo)
    with monkeypatch.context() as patched:
        patched.setenv("GIT_DIR", str(repo.path / ".git"))
        patched.setenv("GIT_WORK_TREE", str(repo.path))
        patched.setenv("GIT_INDEX_FILE", str(repo.path / ".git/index"))
        doctor._make_repository(tmp_path / "trial")
    assert seen(repo) == before
    assert (tmp_path / "trial/.git").is_dir()
