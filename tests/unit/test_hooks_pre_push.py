"""The opt-in guard keeps records of sessions from being pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.repos import Repo


@pytest.fixture
def guarded(repo: Repo, make_repo: Callable[..., Repo]) -> Repo:
    repo.git("remote", "add", "origin", str(make_repo("origin", bare=True).path))
    repo.git("update-ref", "refs/realm/x", "HEAD")
    repo.git("update-ref", "refs/realm-meta/x", "HEAD")
    hook = repo.path / ".git" / "hooks" / "pre-push"
    hook.write_bytes(paths.shipped("hooks/git")["pre-push"])
    hook.chmod(0o755)
    return repo


def _remote(repo: Repo) -> list[str]:
    return [line.split("\t")[1] for line in repo.git("ls-remote", "origin").splitlines()]


def test_branches_and_sessions_go(guarded: Repo) -> None:
    guarded.git("push", "-q", "origin", "main", "refs/realm/x")
    assert _remote(guarded) == ["HEAD", "refs/heads/main", "refs/realm/x"]


@pytest.mark.parametrize(
    "spec", ["refs/realm-meta/x", "refs/realm-meta/x:refs/heads/x", "refs/realm-meta/*:refs/*"]
)
def test_records_stay(guarded: Repo, spec: str) -> None:
    with pytest.raises(AssertionError, match="transcripts"):
        guarded.git("push", "-q", "origin", "main", spec)
    assert _remote(guarded) == []


def test_records_go_when_the_user_says_so(guarded: Repo) -> None:
    guarded.git("config", "realm.shareMeta", "yes")
    guarded.git("push", "-q", "origin", "refs/realm-meta/x")
    assert _remote(guarded) == ["refs/realm-meta/x"]
