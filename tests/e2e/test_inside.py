"""Claude Code's own commands and subagents within a run are recorded unchanged, completely, and only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_conversation import leave, say, subjects
from tests.e2e.test_live import FIRST, SECOND, THIRD, has, have_two_conversations, recorded, said
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_a_subagent_and_a_task_in_the_background(claude: User) -> None:
    """Neither is a prompt of the user's; their changes belong to the turn that started them."""
    helped, later = "delegate write part.txt with helped", "background sleep 8; echo late >late.txt"
    with claude.terminal("new", "tui") as terminal:
        say(terminal, helped, "Done")
        has(claude, "tui", helped)
        assert claude.repo.show("refs/realm/tui:part.txt") == "helped"
        say(terminal, later, "Done")
        eventually(lambda: recorded(claude, "tui")["prompts"] == [helped, later], 5)
        assert subjects(claude.repo, "tui") == [helped]
        has(claude, "tui", helped, later)
        assert claude.repo.show("refs/realm/tui:late.txt") == "late"
        say(terminal, FIRST, "Wrote one.txt")
        has(claude, "tui", helped, later, FIRST)
        assert leave(terminal) == 0
    assert recorded(claude, "tui")["prompts"] == [helped, later, FIRST]
    assert claude.listed()[0]["turns"] == 3
    assert "task-notification" not in claude.realm("logs", "tui").out
    assert subjects(claude.repo, "tui") == [helped, later, FIRST]


def test_an_earlier_conversation_is_gone_on_with(claude: User, api: MessagesApi) -> None:
    with claude.terminal("new", "tui") as terminal:
        have_two_conversations(claude, terminal)
        terminal.send("/resume")
        terminal.wait_for("/resume")
        terminal.press("Enter")
        terminal.wait_for(FIRST)
        terminal.press("Enter")
        terminal.wait_for("Wrote one.txt")
        say(terminal, THIRD, "Wrote three.txt")
        has(claude, "tui", FIRST, SECOND, THIRD)
        assert leave(terminal) == 0
    assert recorded(claude, "tui")["prompts"] == [FIRST, SECOND, THIRD]
    assert said(claude, "tui") == [FIRST, SECOND, THIRD]
    for turn, word in enumerate(("one", "two", "three"), 1):
        assert f"Wrote {word}.txt." in claude.realm("logs", f"tui@{turn}").out
        assert f"Wrote {word}.txt." in claude.realm("show", f"tui@{turn}").out
    claude.realm("fork", "tui@2", "other")
    fourth = "write four.txt with fourth"
    claude.realm("resume", "other", "-p", fourth)
    assert asked(api) == [SECOND, fourth]
    claude.realm("resume", "tui", "-p", fourth)
    assert asked(api) == [FIRST, THIRD, fourth]
    assert said(claude, "tui", 2) == [fourth]


def asked(api: MessagesApi) -> list[str]:
    """Return all that the agent was ever asked, as the API sees it."""
    return [prompt for prompt in api.asked[-1].prompts() if prompt.startswith("write ")]
