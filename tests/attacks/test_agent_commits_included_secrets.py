"""Ignored files that were copied in: committing them is warned of, and asking for more does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def secretive(user: User) -> User:
    user.repo.write(".gitignore", ".env*\n")
    user.repo.commit("Ignore")
    user.repo.write(".env.test", "TEST\n")
    user.repo.write(".env.prod", "PROD\n")
    return user


def test_a_forced_commit_is_warned_of(secretive: User) -> None:
    done = secretive.scripted("inc", "git add -f .env.test; git commit -qm Oops", "--include", ".env.test")
    assert "the agent committed .env.test" in done.err
    assert "before a push" in done.err


def test_so_is_one_that_was_taken_back(secretive: User) -> None:
    script = "git add -f .env.test; git commit -qm Oops; git rm -q --cached .env.test; git commit -qm Back"
    done = secretive.scripted("inc", script, "--include", ".env.test")
    assert "the agent committed .env.test" in done.err


def test_an_untouched_one_is_not(secretive: User) -> None:
    done = secretive.scripted("inc", "cat .env.test; echo x >x", "--include", ".env.test")
    assert "committed" not in done.err


def test_an_agents_own_list_of_includes_counts_only_in_the_users_work_tree(secretive: User) -> None:
    secretive.scripted("ask", "echo .env.prod >.worktreeinclude; git add -A; git commit -qm More")
    assert ".worktreeinclude" in secretive.repo.files("refs/realm/ask")
    done = secretive.realm("resume", "ask", "-c", "ls -A")
    assert ".env.prod" not in done.out.split()
