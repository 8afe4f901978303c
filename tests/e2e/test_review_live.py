"""Looking at a session while its agent works: turns that ended are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_conversation import leave, say

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_turns_are_shown_while_the_agent_goes_on(claude: User) -> None:
    with claude.terminal("new", "fix") as terminal:
        say(terminal, "write one.txt with first", "Wrote one.txt")
        terminal.wait_until(lambda: len(log(claude)) == 1, "the first turn in the log", timeout=30)
        assert "+first" in claude.realm("diff", "fix").out
        assert "> write one.txt with first" in claude.realm("show", "fix").out
        say(terminal, "write two.txt with second", "Wrote two.txt")
        terminal.wait_until(lambda: len(log(claude)) == 2, "the second turn in the log", timeout=30)
        assert "+first" not in claude.realm("diff", "fix", "--turn", "2").out
        claude.realm("apply", "fix@1")
        assert (claude.repo.path / "one.txt").read_text() == "first\n"
        claude.realm("fork", "fix@1", "other")
        merged = claude.realm("merge", "fix", code=None)
        assert merged.code != 0
        (claude.repo.path / "one.txt").unlink()
        assert (
            claude.realm("merge", "fix").err
            == "hint: its agent still runs: realm stop fix, then realm remove fix removes the session\n"
        )
        say(terminal, "explain the second one", "Done.")
        terminal.wait_until(lambda: len(log(claude)) == 3, "the third turn in the log", timeout=30)
        assert leave(terminal) == 0
    explained, *changed = log(claude)
    assert (explained["prompt"], explained["files"]) == ("explain the second one", 0)
    assert [turn["prompt"] for turn in changed] == ["write two.txt with second", "write one.txt with first"]
    assert changed[1]["ended"] < changed[0]["ended"] <= explained["ended"]
    assert claude.repo.files("refs/realm/other") == ["README.md", "one.txt"]


def log(user: User) -> list[dict[str, Any]]:
    return list(json.loads(user.realm("log", "fix", "--json", code=None).out or "[]"))
