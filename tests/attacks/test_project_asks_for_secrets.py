"""A project's own list of files to copy in counts only after the user approved that very content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def cloned(user: User) -> User:
    """A project that came with a list, and in which the user keeps secrets."""
    user.repo.write(".gitignore", ".env*\n")
    user.repo.write(".worktreeinclude", ".env\n")
    user.repo.commit("Ask for secrets")
    user.repo.write(".env", "TOKEN=1\n")
    user.repo.write(".env.prod", "TOKEN=2\n")
    return user


def test_a_list_that_came_with_the_project_copies_nothing(cloned: User) -> None:
    done = cloned.scripted("look", "ls -A")
    assert ".env" not in done.out.split()
    assert ".env stayed out of the container" in done.err
    assert "realm include --approve" in done.err
    again = cloned.realm("resume", "look", "-c", "ls -A")
    assert ".env" not in again.out.split()


def test_approval_is_of_the_content(cloned: User) -> None:
    cloned.realm("include", "--approve")
    done = cloned.scripted("look", "cat .env")
    assert done.out == "TOKEN=1\n"
    assert "copied into the container: .env" in done.err
    # The agent's own commit, merged by the user, asks for more.
    cloned.repo.write(".worktreeinclude", ".env*\n")
    cloned.repo.commit("Merge what the agent did")
    again = cloned.realm("resume", "look", "-c", "ls -A")
    assert not {".env", ".env.prod"} & set(again.out.split())


def test_what_is_asked_for_is_listed(cloned: User) -> None:
    cloned.repo.git("config", "realm.include", ".env.prod")
    wanted = [
        {"path": ".env", "source": ".worktreeinclude", "approved": False},
        {"path": ".env.prod", "source": "realm.include", "approved": True},
    ]
    assert json.loads(cloned.realm("include", "--json").out) == wanted
    shown = cloned.realm("include", "--approve")
    assert "approve" not in shown.err
    assert ".env\t.worktreeinclude\tcopied" in shown.out


def test_on_a_terminal_the_user_is_asked(cloned: User) -> None:
    with cloned.terminal("new", "--agent", "sh", "look", "-c", "ls -A; sleep 1") as terminal:
        terminal.wait_for(r"asks for copies of \.env in the container\. Allow it\? \[y/N\]")
        terminal.send("y\n")
        terminal.wait_for(r"copied into the container: \.env")
        terminal.wait_for(r"^\.env")
    assert json.loads(cloned.realm("include", "--json").out)[0]["approved"]
