from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from realm.config import MEMORY, NOTIFY, Config
from realm.errors import UsageError
from realm.model import Session
from realm.session import notices
from realm.session.notices import SAME_WAIT, Caller
from realm.terminal.relay.events import Event
from realm.terminal.relay.notice import notification

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

RING, BEGUN, ENDED = Event.BELL, Event.BEGUN, Event.ENDED
NOTICE = b"\x1b]9;realm: fix %b\x07"
TURN = b"\x07" + NOTICE % b"finished a turn"
WAITING = NOTICE % b"is waiting for you"
OVER = b"\x07" + NOTICE % b"has ended"


class Away:
    """A user who looks, or not, at a session with a terminal; what called them and the clock."""

    def __init__(self, repo: Repo, monkeypatch: pytest.MonkeyPatch, name: str = "fix") -> None:
        monkeypatch.setenv("TERM", "xterm")
        for variable in ("TMUX", "STY", "VTE_VERSION", "KONSOLE_VERSION"):
            monkeypatch.delenv(variable, raising=False)
        self.now = 1000.0
        self.looks = False
        self.said: list[bytes] = []
        self.ran: list[str] = []
        monkeypatch.setattr(Caller, "_run", lambda _, event: self.ran.append(event))
        session = Session("id", name, str(repo.path), "/workspace/fix", "0" * 40, 0.0)
        self.caller = Caller(Config(repo.path), session, clock=lambda: self.now)
        self.caller.meet(lambda: self.looks, self.said.append)

    def hear(self, sound: Event, after: float = 0) -> None:
        self.now += after
        self.caller.hear(sound)


@pytest.fixture
def away(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Away:
    return Away(repo, monkeypatch)


def test_a_turns_end_calls_at_once(away: Away) -> None:
    away.hear(ENDED)
    assert (away.said, away.ran) == ([TURN], ["turn"])


def test_a_question_calls_at_once_and_the_bell_that_follows_it_does_not(away: Away) -> None:
    away.caller.asks()
    away.hear(RING, after=6)
    assert (away.said, away.ran) == ([b"\x07" + WAITING], ["waiting"])
    away.hear(BEGUN)
    away.hear(RING, after=SAME_WAIT)
    assert away.ran == ["waiting", "waiting"]


def test_who_saw_the_question_and_left_hears_the_bell(away: Away) -> None:
    away.looks = True
    away.caller.asks()
    away.looks = False
    away.hear(RING, after=6)
    assert (away.said, away.ran) == ([WAITING], ["waiting"])


def test_a_ring_calls_without_a_bell_of_ours(away: Away) -> None:
    away.hear(RING)
    assert (away.said, away.ran) == ([WAITING], ["waiting"])


def test_the_end_calls_whenever_it_comes(away: Away) -> None:
    away.hear(ENDED)
    away.caller.ended()
    assert (away.said, away.ran) == ([TURN, OVER], ["turn", "ended"])


def test_a_user_who_looks_is_left_alone(away: Away) -> None:
    away.looks = True
    for sound in (BEGUN, ENDED, RING):
        away.hear(sound, after=100)
    away.caller.ended()
    assert (away.said, away.ran) == ([], [])


def test_the_bell_a_minute_after_a_turn_is_about_that_turn(away: Away) -> None:
    away.hear(ENDED)
    away.hear(RING, after=60)
    assert away.ran == ["turn"]
    away.hear(RING, after=60)
    assert away.ran == ["turn", "waiting"]


def test_a_question_in_the_next_turn_is_news(away: Away) -> None:
    away.hear(ENDED)
    away.hear(BEGUN, after=10)
    away.hear(RING, after=10)
    assert away.ran == ["turn", "waiting"]


def test_the_bell_after_a_turn_that_was_seen_is_no_news_for_one_who_went_away(away: Away) -> None:
    away.looks = True
    away.hear(ENDED)
    away.looks = False
    away.hear(RING, after=60)
    assert away.ran == []


def test_the_bell_after_a_turn_that_was_not_told_is_news(away: Away) -> None:
    away.hear(RING)
    away.hear(BEGUN)
    away.hear(ENDED, after=1)
    assert away.ran == ["waiting"]
    away.hear(RING, after=60)
    assert away.ran == ["waiting", "waiting"]


def test_the_first_hosts_that_are_refused_are_named_with_what_allows_them(away: Away) -> None:
    for number in range(8):
        away.caller.refused(f"host{number}.example")
    said = [NOTICE % b"was refused host%d.example: realm allow host%d.example" % (n, n) for n in range(5)]
    assert (away.said, away.ran) == (said, ["refused"] * 5)
    away.looks = True
    other = Caller(away.caller._config, away.caller._session)
    other.meet(lambda: True, away.said.append)
    other.refused("more.example")
    assert away.said[5:] == [NOTICE % b"was refused more.example: realm allow more.example"]
    assert away.ran == ["refused"] * 5  # who looks at the terminal has seen it there


def test_without_a_terminal_only_the_command_is_run_and_what_was_told_is_remembered(away: Away) -> None:
    away.hear(ENDED)
    away.caller.leave()
    away.hear(RING, after=60)
    away.hear(ENDED)
    assert (away.said, away.ran) == ([TURN], ["turn", "turn"])


def test_who_cries_wolf_is_heard_less_and_less(away: Away) -> None:
    for _ in range(36000):
        away.hear(BEGUN)
        away.hear(ENDED)
        away.hear(RING, after=0.1)
    # 5, 10, 20 and 40 seconds, then once a minute.
    assert len(away.ran) == 5 + (3600 - 75) // 60
    assert set(away.said) <= {TURN, WAITING}


def test_looking_makes_the_next_call_prompt_again(away: Away) -> None:
    for _ in range(5):
        away.hear(ENDED, after=60)
    away.looks = True
    away.hear(ENDED, after=1)
    away.looks = False
    away.hear(ENDED, after=1)
    assert len(away.ran) == 6


def test_always_rings_for_one_who_looks_but_runs_no_command(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALM_BELL", "always")
    away = Away(repo, monkeypatch)
    away.looks = True
    away.hear(ENDED)
    assert (away.said, away.ran) == ([TURN], [])
    for _ in range(44):
        away.hear(ENDED, after=0.25)
    assert len(away.said) == 3


def test_off_leaves_the_command(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_BELL", "off")
    away = Away(repo, monkeypatch)
    away.hear(ENDED)
    assert (away.said, away.ran) == ([], ["turn"])


def test_another_word_is_refused(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_BELL", "loud")
    with pytest.raises(UsageError, match="REALM_BELL is 'loud'"):
        Away(repo, monkeypatch)


def test_a_name_from_a_ref_made_by_hand_says_nothing_to_a_terminal(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(repo, monkeypatch, name="x\x1b]52;c;eA==\x07;ü")
    away.hear(ENDED)
    assert away.said == [b"\x07\x1b]9;realm: x__52_c_eA_____ finished a turn\x07"]


def test_the_command_gets_its_facts_and_nobody_waits_for_it(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv(
        "REALM_NOTIFY", f'echo "$REALM_EVENT $REALM_SESSION $REALM_PROJECT" >>{told}; pwd >>{told}; sleep 1'
    )
    session = Session("id", "fix", str(repo.path), "/workspace/fix", "0" * 40, 0.0)
    caller = Caller(Config(repo.path), session)
    before = time.monotonic()
    caller.hear(ENDED)
    assert time.monotonic() - before < 0.9
    (process,) = caller._running
    assert process.wait(20) == 0
    event, place = told.read_text().splitlines()
    assert event == f"turn fix {repo.path}"
    assert place != str(repo.path)


def test_commands_that_never_end_are_not_piled_up(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_NOTIFY", "exec sleep 60")
    now = 0.0
    session = Session("id", "fix", str(repo.path), "/workspace/fix", "0" * 40, 0.0)
    caller = Caller(Config(repo.path), session, clock=lambda: now)
    for _ in range(10):
        now += 100
        caller.hear(ENDED)
    running = caller._running
    for process in running:
        process.kill()
        process.wait()
    assert len(running) == 4


def test_the_command_comes_from_the_user_alone(repo: Repo) -> None:
    repo.git("config", "realm.notify", "echo planted")
    repo.git("config", "realm.memory", "1g")
    assert Config(repo.path).lookup(NOTIFY).text == ""
    assert Config(repo.path).lookup(MEMORY).text == "1g"
    subprocess.run(["git", "config", "--global", "realm.notify", "echo mine"], check=True)
    assert Config(repo.path).lookup(NOTIFY).text == "echo mine"


def test_standing_in_the_repository_does_not_make_its_command_the_users(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.git("config", "realm.notify", "echo planted")
    monkeypatch.chdir(repo.path)
    for variable in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(variable, str(repo.path / ".git"))
    assert Config().lookup(NOTIFY).text == ""
    assert Config(repo.path).lookup(NOTIFY).text == ""


def test_what_the_user_includes_for_a_repository_is_not_asked(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("[realm]\n\tnotify = echo more\n")
    for key, value in (("includeIf.gitdir:/.path", str(tmp_path / "more")), ("realm.notify", "echo mine")):
        subprocess.run(["git", "config", "--global", key, value], check=True)
    assert Config(repo.path).lookup(NOTIFY).text == "echo mine"
    assert Config(None).lookup(NOTIFY).text == "echo mine"


def test_every_word_may_be_shown_by_a_terminal() -> None:
    for words in notices._WORDS.values():
        assert notification(f"fix {words}", {"TERM": "xterm-256color"})
