"""Calls to a user who looks away, with the real Claude Code and programs of other kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.seated import FOCUS_IN, FOCUS_OUT, events, seat, settle, tell
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.terminal import Seat
    from tests.support.user import User

pytestmark = pytest.mark.engine

NOTICE = b"\x1b]9;realm: away %b\x07"
IDLE = "\x1b]0;away: ✳".encode()
TURN = b"\x07" + NOTICE % b"finished a turn"


@pytest.fixture
def told(user: User, tmp_path: Path) -> Path:
    """Return the file in which the user's command notes each call's time and reason."""
    return tell(user, tmp_path)


def say(terminal: Seat, prompt: bytes) -> bytes:
    """Type a prompt and wait for the end of the turn, by the title; return what was shown since."""
    terminal.type(prompt)
    settle(terminal, 1)
    terminal.output = b""
    terminal.type(b"\r")
    terminal.read_until(IDLE, 60)
    settle(terminal, 2)
    return terminal.output


def test_claude_codes_turns_call_the_user_who_looks_elsewhere(claude: User, told: Path) -> None:
    with seat(claude, "new", "away") as terminal:
        terminal.read_until(IDLE, 120)
        settle(terminal, 2)
        assert b"\x1b[?1004h" in terminal.output
        assert b"\x1b]9;realm" not in say(terminal, b"write one.txt with first")
        assert events(told) == []

        terminal.type(FOCUS_OUT)
        assert say(terminal, b"write two.txt with second").count(TURN) == 1
        assert events(told) == ["turn away"]

        terminal.type(FOCUS_IN)
        shown = say(terminal, b"write three.txt with third")
        assert b"\x1b]9;realm" not in shown
        assert b"7325" not in shown
        terminal.type(b"/exit")
        settle(terminal, 1)
        terminal.type(b"\r")
        assert terminal.finish(60) == 0
        assert b"realm resume away" in terminal.output
        assert b"claude --dangerously-skip-permissions" not in terminal.output
    assert events(told) == ["turn away"]
    assert claude.repo.show("refs/realm/away:three.txt") == "third"


def test_claude_codes_turn_calls_the_user_who_left_at_once(claude: User, told: Path) -> None:
    with seat(claude, "new", "away", "--detach", "run sleep 1; date +%s.%N >stamp") as terminal:
        assert terminal.finish(120) == 0
    eventually(lambda: events(told) == ["turn away"], 60)
    claude.realm("stop", "away")
    eventually(lambda: events(told) == ["turn away", "ended away"], 20)
    called = float(told.read_text().split()[0])
    assert 0 <= called - float(claude.repo.show("refs/realm/away:stamp")) < 2


def test_claude_codes_question_calls_the_user_who_left_at_once(claude: User, told: Path) -> None:
    prompt = "run date +%s.%N >stamp\nask Which? | Red | Blue"
    with seat(claude, "new", "away", "--detach", prompt) as terminal:
        assert terminal.finish(120) == 0
    eventually(lambda: events(told) == ["waiting away"], 60)
    called = float(told.read_text().split()[0])
    asked = float(claude.realm("exec", "away", "cat", "stamp").out)
    assert 0 <= called - asked < 5  # its bell rings after 6
    claude.realm("stop", "away")


WAITS = r"""
printf '\033[?1004hready'; read -r _
printf '\033[?2026h\a\033[3'; sleep 1; printf '1mred\033[m'; sleep 1; printf 'synchronized\033[?2026l'
read -r _; printf '\033[?1004l'
"""


def test_another_agents_bell_calls_and_the_word_waits_for_a_place(user: User, told: Path) -> None:
    with seat(user, "new", "away", "--agent", "sh", "-c", WAITS) as terminal:
        terminal.read_until(b"ready", 60)
        terminal.type(FOCUS_OUT + b"\r")
        word = NOTICE % b"is waiting for you"
        shown = terminal.read_until(word)
        assert b"\a\x1b[31mred\x1b[msynchronized\x1b[?2026l" + word in shown
        assert events(told) == ["waiting away"]
        terminal.type(b"\r")
        assert terminal.finish(60) == 0
        assert terminal.output.endswith(b"\x07" + NOTICE % b"has ended")
    assert events(told) == ["waiting away", "ended away"]


@pytest.mark.parametrize(("setting", "count"), [("always", 1), ("off", 0), ("unfocused", 0)])
def test_the_terminal_of_a_user_who_looks(user: User, told: Path, setting: str, count: int) -> None:
    user.extra["REALM_BELL"] = setting
    with seat(user, "new", "away", "--agent", "true") as terminal:
        assert terminal.finish(60) == 0
    assert terminal.output.count(b"\x07" + NOTICE % b"has ended") == count
    assert events(told) == []


def test_a_wrong_setting_is_said_before_anything_begins(user: User) -> None:
    user.extra["REALM_BELL"] = "loud"
    done = user.realm("new", "away", "--agent", "true", code=125)
    assert "REALM_BELL is 'loud'" in done.err
    assert user.leftovers() == []
