"""An engine that goes away, or a connection to it, while an agent works: told truly, and nothing is lost.

The engine itself goes on: what ends is a passage to it, the only one that realm was told of.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from realm.session.lock import holder
from tests.support import engines
from tests.support.hostile import check_words, run_as
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.driver import Terminal
    from tests.support.user import User

pytestmark = pytest.mark.engine

TALK = """
echo early >early; echo ready
while read line; do echo "heard $line"; echo "$line" >>heard; [ "$line" = bye ] && break; done
"""
SETTLED = 4
"""Seconds in which a stream that broke is made again, with some to spare."""

NOTICED = 0.5
"""Seconds after which realm notices that a stream broke; keys typed before may be lost."""


@pytest.fixture
def passage(user: User, tmp_path: Path) -> Iterator[engines.Passage]:
    with engines.Passage(tmp_path / "s") as made:
        user.extra["DOCKER_HOST"] = made.address
        yield made
        user.extra.pop("DOCKER_HOST", None)


def kept(user: User, script: str = TALK) -> int:
    """Begin a session called ``x`` without a terminal; return its holder_process's process."""
    with user.terminal("new", "x", "--detach", "--agent", "sh", "-c", script) as terminal:
        assert terminal.wait() == 0
    return holder_process(user)


def holder_process(user: User) -> int:
    found = holder(session_id(user))
    assert found is not None
    assert not found.attached
    return found.pid


def session_id(user: User) -> str:
    return str(user.listed()[0]["id"])


def state(user: User) -> str:
    (row,) = user.listed()
    return str(row["state"])


def sandbox(user: User) -> str:
    (found,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    return found


def in_sandbox(user: User, *words: str) -> None:
    engines.docker("exec", sandbox(user), *words)


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def talk(terminal: Terminal, line: str) -> None:
    terminal.send(line)
    terminal.press("Enter")


def is_at_its_end(user: User, terminal: Terminal) -> None:
    """Say goodbye to :data:`TALK`, and see that all that it heard is saved."""
    talk(terminal, "bye")
    assert terminal.wait() == 0
    assert user.repo.files("refs/realm/x") == ["README.md", "early", "heard"]


def test_a_keeper_that_loses_its_engine_leaves_the_work_for_the_next_command(
    user: User, passage: engines.Passage
) -> None:
    pid = kept(user)
    passage.cut()
    eventually(lambda: has_ended(pid), 20)
    assert state(user) == "salvage"
    for verb in ("attach", "stop", "resume"):
        check_words(run_as(user, (), verb, "x"), 1 if verb == "stop" else 125, "is not running")
    assert state(user) == "salvage"
    user.extra.pop("DOCKER_HOST")
    assert state(user) == "salvage"
    user.realm("stop", "x")
    assert user.repo.files("refs/realm/x") == ["README.md", "early"]
    assert state(user) == "exited"
    assert list(user.leftovers()) == []


def test_an_agent_that_goes_on_without_an_engine_to_talk_to_is_attached_again(
    user: User, passage: engines.Passage
) -> None:
    pid = kept(user)
    passage.cut()
    eventually(lambda: has_ended(pid), 20)
    user.extra.pop("DOCKER_HOST")
    with user.terminal("attach", "x") as terminal:
        terminal.wait_until(lambda: "still running: attached" in terminal.history(), "the attachment")
        is_at_its_end(user, terminal)
    assert list(user.leftovers()) == []


def test_an_agent_that_ended_without_an_engine_to_talk_to_has_its_work_saved(
    user: User, passage: engines.Passage
) -> None:
    pid = kept(user, "echo early >early; until [ -e /tmp/go ]; do sleep 0.1; done; echo late >late")
    passage.cut()
    eventually(lambda: has_ended(pid), 20)
    in_sandbox(user, "touch", "/tmp/go")
    ended = sandbox(user)
    eventually(lambda: engines.docker("inspect", "-f", "{{.State.Status}}", ended) == "exited")
    user.extra.pop("DOCKER_HOST")
    assert state(user) == "salvage"
    told = run_as(user, (), "attach", "x")
    check_words(told, 125, "session x is not running")
    assert "recovered the unsaved work of run 1 of x" in told.err
    assert state(user) == "exited"
    assert user.realm("resume", "x", "--no-input", "-c", "true").code == 0
    assert user.repo.files("refs/realm/x") == ["README.md", "early", "late"]
    assert list(user.leftovers()) == []


def test_a_keeper_whose_connection_breaks_makes_another(user: User, passage: engines.Passage) -> None:
    pid = kept(user)
    for _ in range(2):
        time.sleep(SETTLED)
        passage.drop()
    time.sleep(SETTLED)
    assert state(user) == "running"
    assert holder_process(user) == pid
    with user.terminal("attach", "x") as terminal:
        talk(terminal, "one")
        terminal.wait_for("heard one")
        is_at_its_end(user, terminal)


def test_a_terminal_whose_connection_breaks_goes_on(user: User, passage: engines.Passage) -> None:
    with user.terminal("new", "x", "--agent", "sh", "-c", TALK) as terminal:
        terminal.wait_for("ready")
        time.sleep(SETTLED)
        passage.drop()
        time.sleep(NOTICED)
        talk(terminal, "one")
        terminal.wait_for("heard one")
        is_at_its_end(user, terminal)
