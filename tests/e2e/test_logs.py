"""``realm logs`` of the real Claude Code: the conversation, while it is had and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_a_conversation_is_followed_while_it_is_had(claude: User) -> None:
    with claude.terminal("new", "talk", "write one.txt with first") as terminal:
        terminal.wait_for("Wrote one.txt", timeout=120)
        so_far = claude.realm("logs", "talk").out
        assert so_far.startswith("> write one.txt with first\n")
        assert "\n  * Bash " in so_far
        assert "\nWrote one.txt.\n" in so_far
        with claude.shell("realm logs -f talk; echo ended $?; cat") as following:
            following.wait_for("^Wrote one.txt")
            claude.realm("send", "talk", "write two.txt with second")
            following.wait_for("^> write two.txt with second")
            following.wait_for("^Wrote two.txt")
            assert "bypass permissions" not in following.history()
            terminal.send("/exit")
            terminal.wait_for("/exit")
            terminal.press("Enter")
            assert terminal.wait() == 0
            following.wait_for("^ended 0")
            said = following.history().partition("ended 0")[0]
    assert said.count("> write") == 2
    assert claude.realm("logs", "talk").out.split() == said.split()
