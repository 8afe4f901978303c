"""Several sessions in one command; something beside a running agent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

SLEEPER = 'trap "exit 3" INT; echo ready; while :; do sleep 0.1; done'


def states(user: User) -> dict[str, str]:
    return {str(row["name"]): str(row["activity"]) for row in user.listed()}


def test_five_sessions_cost_a_handful_of_commands(user: User) -> None:
    for name in ("one", "two"):
        user.realm("new", "--detach", "--agent", "sh", name, "-c", f"echo {name} >{name}.mk; sleep 2")
    user.realm("new", "--detach", "--agent", "sh", "bad", "-c", "sleep 1; exit 4")
    user.realm("new", "--detach", "--agent", "sh", "long", "-c", SLEEPER)
    began = time.monotonic()
    told = user.realm("wait", "one", "two", "bad", code=4)
    assert told.out == ""
    assert "\nbad: failed (exit 4), no changes\n" in f"\n{told.err}"
    assert "\n  realm logs bad\n" in told.err
    for name in ("one", "two"):
        assert (
            f"\n{name}: done (1 turn, 1 file, +1 \N{MINUS SIGN}0) on refs/realm/{name}\n" in f"\n{told.err}"
        )
        assert f"warning: {name} changes what is run or obeyed unasked: build files" in told.err
    assert "realm resume" not in told.err
    assert time.monotonic() - began < 60
    assert states(user) == {"one": "done", "two": "done", "bad": "failed", "long": "working"}
    stopped = user.realm("stop", "--all")
    assert "long: stopped" in stopped.err
    assert states(user)["long"] == "stopped"
    assert user.realm("stop", "--all").err == "hint: no agent is running\n"
    wrong = user.realm("stop", "one", "nope", "two", code=1).err
    assert wrong.count("error: ") == 3
    assert "there is no session nope" in wrong
    screens = user.realm("screen", "one", "two", code=None)
    assert screens.code in (0, 1)
    user.realm("remove", "--all", code=1)  # what nobody else has is asked about
    assert user.realm("remove", "--all", "--yes").err.count("brings it back") == 2
    assert user.listed() == []
    assert list(user.leftovers()) == []


def test_names_or_all_and_not_both_or_none(user: User) -> None:
    for verb in ("stop", "remove", "push", "screen", "wait"):
        both = user.realm(verb, "x", "--all", code=None)
        assert "--all already means every session" in both.err
        assert "<name> is missing" in user.realm(verb, code=None).err


def test_a_command_runs_beside_the_agent(user: User) -> None:
    user.realm("new", "--detach", "--agent", "sh", "busy", "-c", SLEEPER)
    done = user.realm("exec", "busy", "sh", "-c", "pwd; cat; echo oops >&2; echo 1 >beside; exit 9",
                      stdin="typed\n", code=9)  # fmt: skip
    assert done.out == "/workspace/project\ntyped\n"
    assert done.err == "oops\n"
    assert user.realm("exec", "busy", "--", "cat", "beside").out == "1\n"
    assert user.realm("exec", "busy", "nonesuch", code=None).code in (126, 127)
    with user.terminal("exec", "busy") as terminal:
        terminal.wait_for(r"project\$")
        terminal.send("stty size; tty; echo $TERM; exit 7")
        terminal.press("Enter")
        terminal.wait_for("/dev/pts/")
        terminal.wait_for("40 120")
        assert terminal.wait() == 7
    user.realm("stop", "busy")
    assert user.repo.show("refs/realm/busy:beside") == "1"
    gone = user.realm("exec", "busy", "true", code=125)
    assert "session busy is not running" in gone.err


def test_a_waiter_is_told_what_is_asked(claude: User) -> None:
    with claude.terminal("new", "ask", "ask Which database? | Postgres | SQLite") as terminal:
        terminal.wait_for("1. Postgres", timeout=120)
        waiting = claude.shell("realm wait ask; echo ended $?; cat")
        waiting.wait_for("^ask asks: Which database\\?$")
        terminal.press("1")
        terminal.wait_for("Done")
        terminal.send("/exit")
        terminal.wait_for("/exit")
        terminal.press("Enter")
        terminal.wait()
        waiting.wait_for("^ended 0$")
        waiting.close()
