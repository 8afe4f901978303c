"""Trying a session's work: in a separate container, or on this machine on request."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.waiting import first_line

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def tried(user: User) -> User:
    """Return somebody with a session of two turns that made ``made.txt``; ``.env`` was copied in."""
    user.repo.write(".gitignore", ".env\n")
    user.repo.commit("Ignore")
    user.repo.write(".env", "SECRET=1\n")
    user.scripted("fix", "echo one > made.txt", "--include", ".env")
    user.scripted("fix", "echo two > made.txt", verb="resume")
    return user


def things(user: User) -> list[str]:
    kinds = ("container", "volume")
    return [
        name
        for kind in kinds
        for name in engines.labelled(kind, f"realm.project={user.repo.path}", "realm.role=try")
    ]


def test_a_command_runs_on_what_was_made_and_leaves_nothing(tried: User) -> None:
    before = tried.repo.refs()
    script = (
        "cat made.txt .env; env | grep -c ANTHROPIC; echo more > more.txt; git log -1 --format=%s; exit 7"
    )
    done = tried.realm("try", "fix", "--", "sh", "-c", script, code=7)
    assert done.out == "two\nSECRET=1\n0\nWork of run 2\n"
    assert tried.realm("try", "fix@1", "cat", "made.txt").out == "one\n"
    assert tried.realm("try", "fix", "--", "cat", stdin="from a pipe\n").out == "from a pipe\n"
    assert tried.repo.refs() == before
    assert things(tried) == []
    assert tried.repo.git("status", "--porcelain") == ""


def test_without_a_command_it_is_a_shell_on_a_terminal(tried: User) -> None:
    with tried.terminal("try", "fix") as terminal:
        terminal.wait_for(r"[$#] *$", timeout=60)
        terminal.send("cat made.txt; exit 3")
        terminal.press("Enter")
        assert terminal.wait() == 3
        assert "two" in terminal.history()
    assert things(tried) == []


def test_what_a_killed_one_leaves_goes_with_the_next(tried: User) -> None:
    with tried.start("try", "fix", "--", "sh", "-c", "echo up; sleep 600") as process:
        assert first_line(process) == "up\n"
        process.send_signal(signal.SIGKILL)
    assert things(tried) != []
    tried.realm("try", "fix", "true")
    assert things(tried) == []


def test_two_at_once_leave_each_other_alone(tried: User) -> None:
    process = tried.start("try", "fix", "--", "sh", "-c", "echo up; read -r line; echo $line")
    assert first_line(process) == "up\n"
    tried.realm("try", "fix", "true")
    assert process.communicate("still here\n")[0] == "still here\n"
    assert process.returncode == 0


def test_an_interrupt_ends_it(tried: User) -> None:
    with tried.start("try", "fix", "--", "sh", "-c", "echo up; exec sleep 600") as process:
        assert first_line(process) == "up\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 15
    assert things(tried) == []


def test_on_this_machine_it_is_a_work_tree_that_goes(tried: User) -> None:
    script = "pwd; ls -A; cat made.txt; git status --porcelain; exit 4"
    done = tried.realm("try", "fix@1", "--host", "--", "sh", "-c", script, code=4)
    place, *rest = done.out.splitlines()
    assert rest == [".git", ".gitignore", "README.md", "made.txt", "one"]
    assert not os.path.exists(place)  # noqa: PTH110
    assert tried.repo.git("worktree", "list").count("\n") == 0
    with_env = tried.realm("try", "fix", "--host", "--include", ".env", "cat", ".env")
    assert with_env.out == "SECRET=1\n"
    failed = tried.realm("try", "fix", "--host", "no-such-program", code=125)
    assert failed.err.startswith("error: no-such-program ")
