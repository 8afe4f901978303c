"""Turns are committed while the agent continues, whatever process holds the run, and however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from tests.e2e.test_conversation import leave, say, subjects
from tests.e2e.test_recovery import patched
from tests.support import engines
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.driver import Terminal
    from tests.support.user import User

pytestmark = pytest.mark.engine

FIRST, SECOND, THIRD = "write one.txt with first", "write two.txt with second", "write three.txt with third"


def recorded(claude: User, name: str, run: int = 1) -> dict[str, object]:
    found: dict[str, object] = json.loads(claude.repo.show(f"refs/realm-meta/{name}:runs/{run:04d}/run.json"))
    return found


def said(claude: User, name: str, run: int = 1) -> list[str]:
    """Return the prompts in the record's conversation files, including repeated ones."""
    files = claude.repo.git(
        "ls-tree", "-r", "--name-only", f"refs/realm-meta/{name}", f"runs/{run:04d}/talk/"
    )
    text = "".join(claude.repo.show(f"refs/realm-meta/{name}:{file}") + "\n" for file in files.splitlines())
    entries = [json.loads(line) for line in text.splitlines() if line]
    contents = [entry["message"]["content"] for entry in entries if entry.get("type") == "user"]
    return [content for content in contents if isinstance(content, str) and not content.startswith("<")]


def has(claude: User, name: str, *wanted: str) -> None:
    """Wait until a session's commits have the subjects ``wanted``; else fail with their taker's state."""
    try:
        eventually(lambda: subjects(claude.repo, name) == list(wanted))
    except AssertionError as late:
        subprocess.run(["pkill", "-ABRT", "-P", str(holder_of(claude, name))], check=False)
        time.sleep(1)
        log = realm_home() / "runs" / session_id(claude, name) / "holder.log"
        raise AssertionError(log.read_text() if log.exists() else "no log") from late


def shows(claude: User, name: str, turn: int, text: str) -> None:
    """Wait until the record has the screen of a turn's end."""
    path = f"refs/realm-meta/{name}:runs/0001/turns/{turn:04d}.screen.txt"
    eventually(lambda: text in claude.repo.git("cat-file", "-p", path, check=False), 10)


def sandbox_of(claude: User) -> str:
    (found,) = engines.labelled("container", f"realm.project={claude.repo.path}", "realm.role=box")
    return found


@pytest.mark.defaults
def test_each_turn_is_in_git_while_the_next_one_works(claude: User) -> None:
    with claude.terminal("new", "tui") as terminal:
        say(terminal, FIRST, "Wrote one.txt")
        has(claude, "tui", FIRST)
        assert recorded(claude, "tui")["prompts"] == [FIRST]
        shows(claude, "tui", 1, "Wrote one.txt")
        say(terminal, SECOND, "Wrote two.txt")
        has(claude, "tui", FIRST, SECOND)
        assert claude.repo.files("refs/realm/tui") == ["README.md", "one.txt", "two.txt"]
        (row,) = claude.listed()
        assert (row["state"], row["turns"], row["files"]) == ("running", 2, 2)
        say(terminal, "say nothing to do", "nothing to do")
        eventually(lambda: recorded(claude, "tui")["prompts"] == [FIRST, SECOND, "say nothing to do"], 10)
        assert leave(terminal) == 0
    assert subjects(claude.repo, "tui") == [FIRST, SECOND]
    assert said(claude, "tui") == [FIRST, SECOND, "say nothing to do"]
    assert claude.repo.git("rev-list", "--count", "refs/realm-meta/tui") == "1"
    (row,) = claude.listed()
    assert (row["state"], row["turns"], row["files"]) == ("exited", 3, 2)
    assert "taken" not in {key for key, value in recorded(claude, "tui").items() if value}
    session = json.loads(claude.repo.show("refs/realm-meta/tui:session.json"))
    assert not (realm_home() / "runs" / session["id"] / "earlier").exists()
    assert list(claude.leftovers()) == []


def session_id(claude: User, name: str) -> str:
    return str(json.loads(claude.repo.show(f"refs/realm-meta/{name}:session.json"))["id"])


def holder_of(claude: User, name: str = "bg") -> int:
    lock = realm_home() / "runs" / session_id(claude, name) / "lock"
    return int(json.loads(lock.read_bytes())["pid"])


def in_background(claude: User, *prompts: str) -> None:
    """Start a session called ``bg`` in the background, whose agent answers the first prompt."""
    claude.realm("new", "bg", "--detach", "--", prompts[0])
    has(claude, "bg", prompts[0])
    for number, prompt in enumerate(prompts[1:], 2):
        with claude.terminal("attach", "bg") as terminal:
            say(terminal, prompt, "Wrote")
            has(claude, "bg", *prompts[:number])
            terminal.press("C-p", "C-q")
            assert terminal.wait() == 0


@pytest.mark.defaults
def test_whoever_holds_the_run_takes_its_turns_in_and_after_a_kill_the_next_one(claude: User) -> None:
    in_background(claude, FIRST, SECOND)
    with claude.terminal("attach", "bg") as terminal:
        say(terminal, "wait 3", "wait 3")
        terminal.press("C-p", "C-q")
        terminal.wait()
    assert recorded(claude, "bg")["prompts"] == [FIRST, SECOND]
    eventually(lambda: recorded(claude, "bg")["prompts"] == [FIRST, SECOND, "wait 3"], 20)
    os.kill(holder_of(claude), signal.SIGKILL)
    eventually(lambda: claude.listed()[0]["state"] == "salvage")
    assert subjects(claude.repo, "bg") == [FIRST, SECOND]
    assert recorded(claude, "bg")["prompts"] == [FIRST, SECOND, "wait 3"]
    with claude.terminal("attach", "bg") as terminal:
        say(terminal, THIRD, "Wrote three.txt")
        has(claude, "bg", FIRST, SECOND, THIRD)
        assert leave(terminal) == 0
    assert subjects(claude.repo, "bg") == [FIRST, SECOND, THIRD]
    assert said(claude, "bg") == [FIRST, SECOND, "wait 3", THIRD]
    assert list(claude.leftovers()) == []


def test_a_killed_sandbox_has_its_turns_in_git_and_the_rest_is_recovered(claude: User) -> None:
    in_background(claude, FIRST, SECOND)
    with claude.terminal("attach", "bg") as terminal:
        say(terminal, "run echo half > half.txt; sleep 600", r"Doing as asked . \d")
        os.kill(holder_of(claude), signal.SIGKILL)
        engines.docker("kill", sandbox_of(claude))
        terminal.wait()
    assert subjects(claude.repo, "bg") == [FIRST, SECOND]
    told = claude.realm("logs", "bg").out
    assert [line for line in told.splitlines() if line.startswith(">")] == [f"> {FIRST}", f"> {SECOND}"]
    assert "bypass permissions" not in told
    assert "recovered" in claude.realm("resume", "bg", "-p", THIRD).err
    assert subjects(claude.repo, "bg") == [FIRST, SECOND, "run echo half > half.txt; sleep 600", THIRD]
    assert claude.repo.show("refs/realm/bg:half.txt") == "half"
    assert claude.listed()[0]["turns"] == 4


def have_two_conversations(claude: User, terminal: Terminal) -> None:
    """Give a prompt in each, in the session ``tui``."""
    say(terminal, FIRST, "Wrote one.txt")
    terminal.send("/clear")
    terminal.wait_for("/clear")
    terminal.press("Enter")
    terminal.wait_until(lambda: "Wrote one.txt" not in terminal.screen(), "an empty conversation")
    say(terminal, SECOND, "Wrote two.txt")
    has(claude, "tui", FIRST, SECOND)


def test_what_was_said_is_stored_once_over_runs_and_conversations(claude: User) -> None:
    with claude.terminal("new", "tui") as terminal:
        have_two_conversations(claude, terminal)
        assert leave(terminal) == 0
    claude.realm("resume", "tui", "-p", THIRD)
    claude.realm("resume", "tui", "-p", "write four.txt with fourth")
    assert said(claude, "tui", 1) == [FIRST, SECOND]
    assert said(claude, "tui", 2) == [THIRD]
    assert said(claude, "tui", 3) == ["write four.txt with fourth"]
    asked = claude.realm("logs", "tui").out
    assert "fourth" in asked
    assert THIRD not in asked


def test_a_prompt_given_while_one_works_is_recorded_and_nothing_is_twice(claude: User) -> None:
    """Claude Code handles it within the current turn, which ends once, for both."""
    first = "run sleep 3; echo first >one.txt"
    with claude.terminal("new", "tui") as terminal:
        say(terminal, first, r"Doing as asked . \d")
        terminal.send("say thank you")
        terminal.wait_for("say thank you")
        terminal.press("Enter")
        eventually(lambda: "one.txt" in claude.repo.files("refs/realm/tui"), 30)
        assert recorded(claude, "tui")["prompts"] == [first, "say thank you"]
        assert leave(terminal) == 0
    assert claude.repo.files("refs/realm/tui") == ["README.md", "one.txt"]
    assert len(subjects(claude.repo, "tui")) == 1


def test_history_that_a_later_turn_rewrites_is_one_commit_on_top(claude: User) -> None:
    amend = "run echo better >one.txt; git commit -qa --amend -m Better"
    with claude.terminal("new", "tui") as terminal:
        say(terminal, "commit one.txt", "Done")
        has(claude, "tui", "Add one.txt")
        before = claude.tip("tui")
        say(terminal, amend, r"amend[^>]*Done")
        has(claude, "tui", "Add one.txt", amend)
        assert leave(terminal) == 0
    assert claude.repo.head("refs/realm/tui~1") == before
    assert claude.repo.show("refs/realm/tui:one.txt") == "better"
    assert "rewrote its history" in str(recorded(claude, "tui")["notes"])


HOOK = "sh /etc/claude-code/turn"
WITHIN = "; ".join(
    f"echo '{{}}' | {HOOK} start; echo {n} >{n}.txt; echo '{{}}' | {HOOK} stop; sleep 1.5" for n in (1, 2, 3)
)
"""Three turns that the agent simulates within its own first turn."""
KILLED = """
import os, signal
from realm.session import take
from realm.store import quarantine, refs
def dying(real, after=False):
    def call(*arguments, **options):
        number = getattr(call, "count", 0)
        call.count = number + 1
        done = real(*arguments, **options) if after or not number else None
        if number:
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return call
STEP
"""
STEPS = {
    "before it is verified": "quarantine.Quarantine.take_in = dying(quarantine.Quarantine.take_in)",
    "before it is kept": "quarantine.Quarantine.keep = dying(quarantine.Quarantine.keep)",
    "when it is kept": "quarantine.Quarantine.keep = dying(quarantine.Quarantine.keep, after=True)",
    "before the refs move": "take._move = dying(take._move)",
    "when the refs have moved": "take._move = dying(take._move, after=True)",
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_the_second_turn_is_taken_in(claude: User, step: str) -> None:
    """The holder and its child die at once; the next holder has every turn once, in order."""
    patch = KILLED.replace("STEP", STEPS[step])
    assert patched(claude, patch, "new", "bg", "-p", f"run {WITHIN}").returncode == -signal.SIGKILL
    assert claude.listed()[0]["state"] == "salvage"
    assert len(subjects(claude.repo, "bg")) < len(files := ["1.txt", "2.txt", "3.txt"])
    engines.docker("wait", sandbox_of(claude))
    claude.realm("stop", "bg")
    assert claude.repo.files("refs/realm/bg") == [*files, "README.md"]
    log = claude.repo.git("log", "--reverse", "--name-only", "--format=", "main..refs/realm/bg").split()
    assert log == files
    assert list(claude.leftovers()) == []
    assert list((claude.repo.path / ".git/objects/pack").glob("*.keep")) == []
    assert claude.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_an_interrupted_turn_comes_home_by_itself(claude: User) -> None:
    with claude.terminal("new", "tui") as terminal:
        first = "run echo half >half.txt; sleep 600"
        say(terminal, first, r"Doing as asked . \d")
        terminal.press("Escape")
        has(claude, "tui", first)
        shows(claude, "tui", 1, "Interrupted")
        say(terminal, SECOND, "Wrote two.txt")
        has(claude, "tui", first, SECOND)
        assert leave(terminal) == 0
    assert subjects(claude.repo, "tui") == [first, SECOND]
    assert said(claude, "tui") == [first, SECOND]
    assert recorded(claude, "tui")["prompts"] == [first, SECOND]


FORGED = "d=/realm/out/live/0001; mkdir -p $d; echo junk >$d/point; echo 1 >1; git add 1; git commit -qm One"
UNCLEAN = """git cat-file commit HEAD | sed 's/> [0-9]* /> 01 /' >/tmp/c
git reset -q $(git hash-object -t commit -w --literally /tmp/c); echo 3 >3"""


def test_what_is_refused_does_not_end_it(claude: User) -> None:
    """After a malformed hand-over and one that git refuses the run continues, and each is reported once."""
    claude.repo.write("forge.sh", FORGED)
    claude.repo.write("unclean.sh", UNCLEAN)
    claude.repo.commit("Add mischief")
    with claude.terminal("new", "tui") as terminal:
        say(terminal, "run sh forge.sh", "Done")
        has(claude, "tui", "One")
        say(terminal, "write two.txt with second", "Wrote two.txt")
        has(claude, "tui", "One", "write two.txt with second")
        say(terminal, "run sh unclean.sh", "Doing|Done")
        has(claude, "tui", "One", "write two.txt with second", "run sh unclean.sh")
        say(terminal, "write four.txt with fourth", "Wrote four.txt")
        eventually(lambda: subjects(claude.repo, "tui")[-1:] == ["write four.txt with fourth"], 10)
        assert said(claude, "tui")[-1] == "write four.txt with fourth"
        notes = recorded(claude, "tui")["notes"]
        assert leave(terminal) == 0
    assert len(subjects(claude.repo, "tui")) == 4
    assert recorded(claude, "tui")["notes"] == notes
    assert isinstance(notes, list)
    assert [note.split(":")[0] for note in notes] == [
        "what a turn handed over was refused, and came in later",
        "the container's pack was refused",
    ]
    assert len(recorded(claude, "tui")["prompts"]) == 4  # type: ignore[arg-type]
    assert claude.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_what_an_agent_without_hooks_did_is_in_git_when_it_is_quiet(user: User) -> None:
    user.realm("new", "quiet", "--detach", "--agent", "sh", "-c", "echo 1 >a; sleep 40; echo 2 >b; sleep 5")
    eventually(lambda: user.repo.files("refs/realm/quiet") == ["README.md", "a"], 35)
    (row,) = user.listed()
    assert (row["state"], row["turns"], row["files"]) == ("running", 1, 1)
    user.realm("wait", "quiet")
    assert user.repo.files("refs/realm/quiet") == ["README.md", "a", "b"]
    assert set(subjects(user.repo, "quiet")) == {"Work of run 1"}
    assert user.listed()[0]["turns"] == 1
    assert list(user.leftovers()) == []


def test_what_may_be_an_accident_is_kept_and_said_once(user: User) -> None:
    done = user.scripted(
        "heap", "mkdir out; cd out; seq 2500 | xargs touch; head -c 53000000 /dev/zero >'a b'"
    )
    assert "a b has 53 MB: realm drop heap 'out/a b' leaves it out" in done.err
    assert "2501 new files below out: realm drop heap out leaves it out" in done.err
    assert "out/a b" in user.repo.files("refs/realm/heap")
    assert "MB" not in user.scripted("heap", "touch more", verb="resume").err
    user.realm("drop", "heap", "out")
    assert user.repo.files("refs/realm/heap") == ["README.md", "more"]
