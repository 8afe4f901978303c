"""Forks and rewinds with the real Claude Code: its requests to the API show what it remembers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine


def ask(user: User, api: MessagesApi, verb: str, name: str, prompt: str) -> list[str]:
    """Give a prompt and return all that the agent was ever asked, as the API sees it."""
    user.realm(verb, name, "--", "-p", prompt)
    return [text for text in api.asked[-1].prompts() if text.startswith("write ")]


def test_an_agent_goes_on_from_the_turn_that_it_was_taken_to(claude: User, api: MessagesApi) -> None:
    first, second, third, fourth, fifth = (f"write {n}.txt with {n}" for n in (1, 2, 3, 4, 5))
    ask(claude, api, "new", "fix", first)
    assert ask(claude, api, "resume", "fix", second) == [first, second]

    claude.realm("fork", "fix@1", "other")
    assert ask(claude, api, "resume", "other", third) == [first, third]
    assert claude.repo.files("refs/realm/other") == ["1.txt", "3.txt", "README.md"]
    assert claude.repo.files("refs/realm/fix") == ["1.txt", "2.txt", "README.md"]

    claude.realm("rewind", "fix@1")
    assert claude.repo.files("refs/realm/fix") == ["1.txt", "README.md"]
    assert ask(claude, api, "resume", "fix", fourth) == [first, fourth]
    assert ask(claude, api, "resume", "fix", fifth) == [first, fourth, fifth]
    shown = json.loads(claude.realm("log", "fix", "--reverse", "--json").out)
    assert [turn["prompt"] for turn in shown] == [first, fourth, fifth]
    assert all(0 < turn["seconds"] < 60 for turn in shown)
    last = json.loads(claude.realm("show", "fix", "--json").out)
    assert (last["answer"], last["exit_code"]) == ("Wrote 5.txt.", 0)
    assert last["tokens_out"] > 0

    claude.realm("restore", "fix", "--replace")
    assert ask(claude, api, "resume", "fix", third) == [first, second, third]

    assert ask(claude, api, "resume", "fix@2", fifth) == [first, second, fifth]
    assert claude.repo.files("refs/realm/fix") == ["1.txt", "2.txt", "5.txt", "README.md"]
