"""``realm list`` while the real Claude Code works, asks and has ended; and a list that is watched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine


def row(user: User, name: str) -> dict[str, Any]:
    return next(row for row in user.listed() if row["name"] == name)


def becomes(user: User, name: str, activity: str) -> None:
    eventually(lambda: row(user, name)["activity"] == activity, 60)


def test_who_asks_is_said_and_that_it_was_answered(claude: User) -> None:
    with claude.terminal("new", "ask", "ask Which database? | Postgres | SQLite") as terminal:
        terminal.wait_for("1. Postgres", timeout=120)
        becomes(claude, "ask", "asks")
        asking = row(claude, "ask")
        assert asking["question"] == "Which database?"
        assert asking["prompt"] == "ask Which database? | Postgres | SQLite"
        assert claude.realm("list", "--waiting").out.startswith("ask\t")
        terminal.press("2")
        terminal.wait_for("Done")
        becomes(claude, "ask", "done")
        eventually(lambda: row(claude, "ask")["last_words"] == "Done.", 20)
        assert claude.realm("list", "--waiting").out == ""
        terminal.send("/exit")
        terminal.wait_for("/exit")
        terminal.press("Enter")
        assert terminal.wait() == 0
    ended = row(claude, "ask")
    assert (ended["activity"], ended["exit_code"]) == ("done", 0)
    assert (ended["prompt"], ended["last_words"]) == (asking["prompt"], "Done.")


def test_in_the_background_and_without_a_screen_it_is_told_too(claude: User) -> None:
    prompt = "run until [ -e /tmp/go ]; do sleep 0.1; done"
    claude.realm("new", "calm", "--detach", "--", "-p", f"{prompt}\nsay All done.")
    eventually(lambda: row(claude, "calm")["prompt"] == prompt)
    assert row(claude, "calm")["activity"] == "working"
    claude.realm("exec", "calm", "touch", "/tmp/go")
    becomes(claude, "calm", "done")
    eventually(lambda: row(claude, "calm")["state"] == "exited")
    assert row(claude, "calm")["last_words"] == "All done."


def test_who_waits_for_a_prompt_needs_the_user(claude: User) -> None:
    with claude.terminal("new", "idle") as terminal:
        terminal.wait_for("bypass permissions on", timeout=120)
        assert row(claude, "idle")["activity"] == "ready"
        terminal.send("wait 3")
        terminal.wait_for("wait 3")
        terminal.press("Enter")
        becomes(claude, "idle", "working")
        becomes(claude, "idle", "done")


def test_a_turn_that_an_error_of_the_api_ends_needs_the_user(claude: User, api: MessagesApi) -> None:
    claude.realm("new", "night", "--detach", "write one with 1")
    becomes(claude, "night", "done")
    api.accept = frozenset({"another key"})
    claude.realm("send", "night", "write two with 2")
    becomes(claude, "night", "stuck")
    assert "\tstuck: Invalid API key" in claude.realm("list", "--waiting").out
    waiting = claude.start("wait", "night")
    assert waiting.stderr is not None
    assert waiting.stderr.readline().startswith("night is stuck: ")
    api.accept = frozenset()
    claude.realm("send", "night", "write three with 3")
    becomes(claude, "night", "done")
    claude.realm("stop", "night")
    waiting.communicate(timeout=60)
    log = claude.repo.git("log", "--reverse", "--format=%s", "main..refs/realm/night")
    assert log.splitlines() == ["write one with 1", "write three with 3"]
    assert [turn["turn"] for turn in json.loads(claude.realm("log", "night", "--json").out)] == [3, 2, 1]


def test_a_watched_list_is_drawn_anew_and_leaves_no_trace(user: User) -> None:
    user.scripted("first", "echo 1 >a")
    with user.shell("echo before; realm list --watch; echo after $?", columns=60, rows=12) as terminal:
        terminal.wait_for("NAME +STATE +LAST +CHANGES +TASK")
        terminal.wait_for("first +done")
        assert "before" not in terminal.screen()
        user.scripted("other", "exit 3", code=3)
        terminal.wait_for(r"other +failed \(exit 3\)")
        terminal.send("qq")  # as one presses it again while the list is being made
        terminal.wait_for("after 0")
        shown = terminal.history()
        assert shown.splitlines()[0] == "before"
        assert shown.count("NAME") == 1
    with user.shell(
        "trap : INT; realm list --watch; echo after $?; stty -a | grep -o ' echo '; cat", columns=60
    ) as terminal:
        terminal.wait_for(r"other +failed \(exit 3\)")
        terminal.resize(42, 12)
        terminal.wait_for("other +failed…")
        terminal.press("C-c")
        terminal.wait_for("after 0")
        terminal.wait_for(" echo")
