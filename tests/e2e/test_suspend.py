"""Ctrl-Z: Claude Code goes to the background and the user gets the shell; other agents are continued."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.driver import Terminal
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

TALK = """
echo ready
while read line; do echo "heard $line"; echo "$line" >>heard; [ "$line" = bye ] && break; done
"""


def state(user: User) -> str:
    (row,) = user.listed()
    return str(row["state"])


def shell(user: User) -> Terminal:
    """Give a shell as people have it, with jobs."""
    terminal = Terminal(["bash", "--norc", "-i"], env=user.env | {"PS1": "SHELL> "}, cwd=user.repo.path)
    terminal.wait_for("SHELL>")
    return terminal


def wait_for_file(user: User) -> None:
    (sandbox,) = user.leftovers()
    eventually(lambda: "late.txt" in engines.docker("exec", sandbox, "ls", "/workspace/project"))


def say(terminal: Terminal, line: str) -> None:
    terminal.send(line)
    terminal.press("Enter")


def test_ctrl_z_gives_the_shell_back_while_claude_code_works_on(claude: User) -> None:
    with shell(claude) as terminal:
        say(terminal, f"{claude.installed.realm} new tui")
        terminal.wait_for("bypass permissions on", timeout=120)
        terminal.send("run sleep 4; echo late >late.txt")
        terminal.wait_for("late >late.txt")
        terminal.press("Enter")
        terminal.wait_for("Bash|Running")
        terminal.press("C-z")
        terminal.wait_for("tui is running in the background")
        terminal.wait_for("Stopped")
        say(terminal, "echo shell is $((40 + 2))")
        terminal.wait_for("shell is 42")
        assert state(claude) == "running"
        say(terminal, "fg")
        terminal.wait_for("bypass permissions on", timeout=30)
        wait_for_file(claude)
        terminal.press("C-z")
        eventually(lambda: "fg   realm stop tui" in terminal.history())
        claude.realm("stop", "tui")
        say(terminal, "fg")
        terminal.wait_for("tui has ended")
    assert claude.repo.show("refs/realm/tui:late.txt") == "late"
    assert list(claude.leftovers()) == []


def test_another_agent_gets_ctrl_z_and_is_continued(user: User) -> None:
    with user.terminal("new", "x", "--agent", "sh", "-c", TALK) as terminal:
        terminal.wait_for("ready")
        terminal.press("C-z")
        say(terminal, "one")
        terminal.wait_for("heard one")
        say(terminal, "bye")
        assert terminal.wait() == 0
    assert user.repo.show("refs/realm/x:heard") == "one\nbye"


def test_attach_wakes_an_agent_that_stopped_itself(user: User) -> None:
    user.realm("new", "x", "--detach", "--agent", "sh", "-c", "echo ready; kill -STOP $$; echo woke >file")
    eventually(lambda: "ready" in user.realm("logs", "x", code=None).out)
    with user.terminal("attach", "x") as terminal:
        assert terminal.wait() == 0
    assert user.repo.show("refs/realm/x:file") == "woke"


@pytest.mark.parametrize("itself", ["kill -STOP $$", "stty -echo raw; kill -STOP $$; stty sane"])
def test_a_key_wakes_an_agent_that_stopped_itself_while_it_is_shown(user: User, itself: str) -> None:
    with user.terminal(
        "new", "x", "--agent", "sh", "-c", f"echo ready; {itself}; echo woke >file"
    ) as terminal:
        terminal.wait_for("ready")
        terminal.press("x")
        assert terminal.wait(20) == 0
    assert user.repo.show("refs/realm/x:file") == "woke"


def test_an_agent_that_stopped_itself_hears_that_it_is_to_end(user: User) -> None:
    script = "trap 'echo last >file; exit 0' INT; echo ready; kill -STOP $$; while :; do sleep 0.1; done"
    user.realm("new", "x", "--detach", "--agent", "sh", "-c", script)
    eventually(lambda: "ready" in user.realm("logs", "x", code=None).out)
    user.realm("stop", "x")
    assert user.repo.show("refs/realm/x:file") == "last"


@pytest.mark.parametrize("where", ["with a terminal", "without one"])
def test_an_agent_that_stopped_itself_in_the_background_goes_on(user: User, where: str) -> None:
    script = "echo ready; kill -STOP $$; echo woke >file"
    words = ("new", "x", "--detach", "--agent", "sh", "-c", script)
    if where == "with a terminal":
        with user.terminal(*words) as terminal:
            assert terminal.wait() == 0
    else:
        user.realm(*words)
    eventually(lambda: state(user) == "exited", 30)
    assert user.repo.show("refs/realm/x:file") == "woke"


def test_a_job_that_the_user_stopped_stays_stopped(user: User) -> None:
    with user.terminal("new", "x", "--agent", "bash", "--", "--norc", "-i") as terminal:
        terminal.wait_for(r"[$#]\s*$")
        say(terminal, "sleep 1234")
        time.sleep(0.5)
        terminal.press("C-z")
        terminal.wait_for("Stopped")
        time.sleep(3)
        say(terminal, "jobs; grep State /proc/$(jobs -p)/status >stat")
        terminal.wait_for(r"Stopped\s+sleep 1234")
        say(terminal, "kill -9 %1; sleep 0.2")
        terminal.wait_for("Killed")
        say(terminal, "exit")
        terminal.wait()
    assert "T (stopped)" in user.repo.show("refs/realm/x:stat")


def test_an_agent_in_the_background_without_a_terminal_has_an_end_of_input(claude: User) -> None:
    claude.realm("new", "x", "--detach", "--", "-p")
    eventually(lambda: state(claude) == "exited", 60)


def test_an_agent_in_the_background_without_a_prompt_is_said_to_wait(claude: User) -> None:
    assert "it has no prompt" in claude.realm("new", "x", "", "--detach").err
    claude.realm("stop", "x")


def lines(terminal: Terminal) -> list[str]:
    return [line for line in terminal.history().splitlines() if line]


def test_what_the_user_has_on_the_screen_stays_when_a_run_is_left_and_shown_again(user: User) -> None:
    with shell(user) as terminal:
        say(terminal, "seq 3")
        say(terminal, f"{user.installed.realm} new x --agent sh -c 'echo one; printf two; read line'")
        terminal.wait_for("^two", timeout=60)
        terminal.press("C-p", "C-q")
        terminal.wait_for(r"realm stop x\s+SHELL>")
        before = lines(terminal)
        assert before[-5:] == ["one", "two", "x is running in the background", *before[-2:]]
        say(terminal, f"{user.installed.realm} attach x")
        terminal.wait_until(lambda: terminal.screen() == "one\ntwo", "the agent's screen alone")
        terminal.press("Enter")
        terminal.wait_for("x: no changes")
        # All of it in order, and nothing written over.
        after = lines(terminal)
        assert after[: len(before) - 1] == before[:-1]
        assert after[len(before) :][:3] == ["one", "two", "x: no changes   realm resume x   realm remove x"]
