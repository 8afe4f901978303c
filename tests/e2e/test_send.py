"""Prompts and answers from elsewhere for the real Claude Code."""

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


def turns(user: User, name: str) -> list[str]:
    log = user.repo.git("log", "--reverse", "--format=%s", f"main..refs/realm/{name}")
    return log.splitlines()


def test_prompts_reach_an_agent_in_the_background_one_after_the_other(claude: User, api: MessagesApi) -> None:
    with claude.terminal("new", "far", "--detach") as terminal:
        assert terminal.wait() == 0
    # It may not have drawn its prompt yet: then this one waits.
    claude.realm("send", "far", "write one.txt with first")
    eventually(lambda: row(claude, "far")["activity"] == "done", 60)
    # Its screen may show its empty field a moment later than it said that it was done.
    second = claude.realm("send", "far", "-", stdin="wait 5\nwrite two.txt with \x1b[201~second\n").err
    assert second in {"far has the prompt\n", "far is busy: it gets this when it is back at its prompt\n"}
    eventually(lambda: row(claude, "far")["activity"] == "working", 60)
    third = "write three.txt with \u0646\u200c\u0645"
    waits = claude.realm("send", "far", f"{third}\n\nwrite four.txt with 4\nas\nlong\nas\nthis").err
    assert waits == "far is busy: it gets this when it is back at its prompt\n"
    more = claude.realm("send", "far", "ask Which? | Red | Blue").err
    assert more == "far is busy: it gets this when it is back at its prompt, after 1 other\n"
    eventually(lambda: row(claude, "far")["activity"] == "asks", 60)
    refused = claude.realm("send", "far", "anything", code=1).err
    assert "far was sent nothing: it asks: Which?" in refused
    assert "realm send far --answer N (1 Red, 2 Blue)" in refused
    assert "the answers of Which? are 1 to 2" in claude.realm("send", "far", "--answer", "3", code=1).err
    assert claude.realm("send", "far", "--answer", "2").err == "far was answered: Blue\n"
    eventually(lambda: row(claude, "far")["activity"] == "done", 60)
    assert "it asks nothing" in claude.realm("send", "far", "--answer", "1", code=1).err
    # Two questions at once, the second of which takes several answers.
    claude.realm("send", "far", "ask Which base? | Red | Blue && + Which pages? | Home | Cart | Help")
    eventually(lambda: row(claude, "far")["question"] == "Which base? (1 of 2)", 60)
    refused = claude.realm("send", "far", "--answer", "1", code=1).err
    assert "it asks 2 questions, and that is 1 answer" in refused
    assert (
        "realm send far --answer N --answer N,N (Which base? 1 Red, 2 Blue; Which pages? 1 Home," in refused
    )
    answered = claude.realm("send", "far", "--answer", "2", "--answer", "1,3").err
    assert answered == "far was answered: Blue, Home, Help\n"
    eventually(lambda: row(claude, "far")["activity"] == "done", 60)
    given = json.dumps(api.asked[-1].body["messages"][-1])
    assert ("Blue" in given, "Home, Help" in given, "Cart" in given) == (True, True, False)
    said = claude.realm("logs", "far").out
    assert "  * Which? was answered: Blue\n" in said
    assert "  * Which pages? was answered: Home, Help\n" in said
    claude.realm("stop", "far")
    assert turns(claude, "far") == ["write one.txt with first", "wait 5", third]
    assert claude.repo.show("refs/realm/far:two.txt") == "[201~second"


def give(claude: User, name: str, text: str) -> None:
    """Give a prompt as soon as the draft that was cleared just now is gone from the screen."""
    said: list[str] = []

    def is_taken() -> bool:
        said.append(claude.realm("send", name, text, code=None).err)
        return "somebody has begun to write" not in said[-1]

    eventually(is_taken, 20)
    assert said[-1] == f"{name} has the prompt\n"


def test_a_draft_is_not_joined_and_an_interrupted_turn_is_over(claude: User) -> None:
    with claude.terminal("new", "near") as terminal:
        terminal.wait_for("bypass permissions on", timeout=120)
        terminal.send("half a tho")
        terminal.wait_for("half a tho")
        assert "somebody has begun to write" in claude.realm("send", "near", "more", code=1).err
        terminal.press("C-u")
        give(claude, "near", "wait 30")
        eventually(lambda: row(claude, "near")["activity"] == "working")
        terminal.wait_for("esc to interrupt")
        terminal.press("Escape")
        eventually(lambda: row(claude, "near")["activity"] == "done", 20)
        terminal.press("C-u")
        terminal.wait_for("\u276f")
        give(claude, "near", "say Fine.")
        terminal.wait_for("Fine.")


def test_who_takes_no_prompts_says_so(user: User, claude: User) -> None:
    user.realm("new", "--detach", "--agent", "sh", "plain", "-c", "sleep 60")
    assert (
        "plain was sent nothing: it takes prompts from its terminal only"
        in user.realm("send", "plain", "x", code=1).err
    )
    user.realm("stop", "plain")
    assert "session plain is not running" in user.realm("send", "plain", "x", code=1).err
    assert "there is no text to send" in claude.realm("send", "plain", " ", code=2).err
