"""What an agent shows, looked at from elsewhere: while it works, afterwards, when its holder was killed."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.cast import check
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

SHOW = r"printf '\033[?1049h\033[2J\033[H\033[31mworking\033[0m'; until [ -e go ]; do sleep 0.1; done; "
END = r"printf '\033[?1049l\033]52;c;ZXZpbA==\007over\r\n'; sleep 0.5"


TURN = (
    "echo '{\"prompt\": \"%d\"}' | sh /etc/claude-code/turn start; printf 'answer %d\\r\\n'; "
    "echo '{}' | sh /etc/claude-code/turn stop; sleep 2; "
)
WAIT = "until [ -e go ]; do sleep 0.1; done; "
FLOOD = "yes \"$(seq -s ' ' 40)\" | head -c 60000000; "


def go(user: User) -> None:
    """Let the agent continue."""
    engines.touch(user.leftovers()[0])


def files(user: User, name: str) -> set[str]:
    return set(user.repo.git("ls-tree", "--name-only", f"refs/realm-meta/{name}:runs/0001").split())


def test_from_another_terminal_and_from_the_record(user: User) -> None:
    with user.terminal("new", "shown", "--agent", "sh", "-c", SHOW + END) as terminal:
        terminal.wait_for("working", timeout=60)
        eventually(lambda: user.realm("screen", "shown").out == "working\n")
        assert "\x1b[31mworking" in user.realm("screen", "shown", "--ansi").out
        assert "working" in user.realm("replay", "shown").out
        go(user)
        assert terminal.wait() == 0
    assert user.realm("screen", "shown").out == "working\n"
    assert "<svg" in user.realm("screen", "shown", "--svg", "-").out
    assert files(user, "shown") == {"audit.json", "run.json", "screen.ans", "screen.txt", "session.cast"}
    played = user.realm("replay", "shown").out
    assert re.search(r"working.*over", played, re.DOTALL)
    assert "ZXZpbA" not in played
    events = check(user.realm("replay", "shown", "--cast", "-").out.encode())
    assert events[0][1] == "r"
    kept = user.repo.show("refs/realm-meta/shown:runs/0001/session.cast")
    assert json.loads(kept.splitlines()[0])["title"] == "shown, run 1"
    assert "ZXZpbA" not in kept


def test_a_recording_goes_on_from_holder_to_holder(user: User) -> None:
    user.realm("new", "moved", "--detach", "--agent", "sh", "-c", SHOW + END)
    eventually(lambda: user.realm("screen", "moved", code=None).out == "working\n")
    container = user.leftovers()[0]
    engines.docker("pause", container)
    with user.start("logs", "-f", "moved") as following, user.start("wait", "moved") as waiting:
        assert following.stderr is not None
        assert waiting.stderr is not None
        said = following.stderr.readline()
        assert waiting.stderr.readline() == said.removeprefix("warning: ")
        command = said.removeprefix("warning: moved is paused: ").split()
        assert user.realm("screen", "moved").err == said
        (row,) = user.listed("--waiting")
        assert (row["activity"], row["paused"]) == ("paused", " ".join(command))
        assert command[:2] == ["docker", "unpause"]
        engines.docker("unpause", command[2])
        eventually(lambda: user.listed()[0]["activity"] == "working")
        following.terminate()
        waiting.terminate()
    with user.terminal("attach", "moved") as terminal:
        terminal.wait_for("working", timeout=60)
        go(user)
        assert terminal.wait() == 0
    assert re.search(r"working.*over", user.realm("replay", "moved").out, re.DOTALL)


def test_what_a_killed_holder_recorded_comes_into_the_record(user: User) -> None:
    from realm.session.lock import holder

    user.realm("new", "killed", "--detach", "--agent", "sh", "-c", SHOW + END)
    eventually(lambda: user.realm("screen", "killed", code=None).out == "working\n")
    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    user.python(f"import os; os.kill({found.pid}, {int(signal.SIGKILL)})")
    eventually(lambda: holder(str(user.listed()[0]["id"])) is None)
    assert user.realm("screen", "killed").out == "working\n"
    user.realm("stop", "killed")
    assert user.realm("screen", "killed").out == "working\n"
    assert "session.cast" in files(user, "killed")
    assert "working" in user.realm("replay", "killed").out


def test_without_a_recording(user: User) -> None:
    user.extra["REALM_RECORD"] = "off"
    user.realm("new", "plain", "--detach", "--agent", "sh", "-c", SHOW + END)
    eventually(lambda: user.realm("screen", "plain", code=None).out == "working\n")
    assert "has no recording" in user.realm("replay", "plain", code=1).err
    go(user)
    eventually(lambda: not user.leftovers())
    assert files(user, "plain") == {"audit.json", "run.json", "screen.ans", "screen.txt"}


def turns(user: User, name: str) -> list[str]:
    """Return the record's files of each turn."""
    paths = user.repo.git("ls-tree", "-r", "--name-only", f"refs/realm-meta/{name}:runs/0001").split()
    kept = [path for path in paths if path.startswith("turns/") and path.endswith(".txt")]
    return [user.repo.show(f"refs/realm-meta/{name}:runs/0001/{path}") for path in kept]


def test_each_turn_is_in_the_record_through_every_hand_and_without_a_recording(user: User) -> None:
    script = TURN % (1, 1) + WAIT + TURN % (2, 2) + "echo over"
    with user.terminal("new", "turned", "--no-record", "--agent", "sh", "-c", script) as terminal:
        terminal.wait_for("answer 1", timeout=60)
        time.sleep(2)
        terminal.press("C-p", "C-q")
        assert terminal.wait() == 0
    go(user)
    eventually(lambda: not user.leftovers())
    assert turns(user, "turned") == ["answer 1", "answer 1\nanswer 2"]
    assert user.realm("screen", "turned", "--turn", "1").out == "answer 1\n"
    assert user.realm("screen", "turned").out == "answer 1\nanswer 2\nover\n"
    assert "session.cast" not in files(user, "turned")


def test_the_turns_that_a_killed_holder_saw_are_in_the_record_and_no_others(user: User) -> None:
    from realm.session.lock import holder

    script = TURN % (1, 1) + WAIT + TURN % (2, 2) + "sleep 600"
    user.realm("new", "cut", "--detach", "--agent", "sh", "-c", script)
    eventually(lambda: user.realm("screen", "cut", code=None).out == "answer 1\n")
    time.sleep(2)
    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    user.python(f"import os; os.kill({found.pid}, {int(signal.SIGKILL)})")
    eventually(lambda: holder(str(user.listed()[0]["id"])) is None)
    go(user)
    time.sleep(3)
    user.realm("stop", "cut")
    assert turns(user, "cut") == ["answer 1"]
    assert user.realm("screen", "cut", "--turn", "1").out == "answer 1\n"


def test_a_flood_is_told_in_the_record(user: User) -> None:
    user.realm("new", "flood", "--detach", "--agent", "sh", "-c", FLOOD + "printf '\\033[5;5Hend'; sleep 0.2")
    eventually(lambda: not user.leftovers())
    run = json.loads(user.repo.show("refs/realm-meta/flood:runs/0001/run.json"))
    assert run["dropped"] > 10_000_000
    assert run["incomplete"] == []
    assert "end" in user.realm("screen", "flood").out


def test_a_replay_on_a_terminal(user: User) -> None:
    with user.terminal("new", "played", "--agent", "sh", "-c", "echo one; sleep 1; echo two") as terminal:
        assert terminal.wait() == 0
    with user.terminal("replay", "played", "--speed", "4") as terminal:
        terminal.wait_for("two", timeout=60)
        assert terminal.wait() == 0
    with user.terminal("replay", "played", "--speed", "0.1") as terminal:
        terminal.wait_for("one", timeout=60)
        terminal.press("C-c")
        assert terminal.wait() == 130


def test_no_secret_stands_in_what_was_shown(user: User) -> None:
    secret = "s3cr3t-of-the-user-0123456789"
    user.extra["REALM_DOCKER_ARGS"] = f"-e API_KEY={secret}"
    parts = '"${API_KEY%0123456789}" 0123456789'
    show = rf"printf '\033[2J\033[Hkey %s\033[1m%s\033[0m end\r\n' {parts}; sleep 0.5"
    with user.terminal("new", "hush", "--agent", "sh", "-c", show) as terminal:
        terminal.wait_for("key s3cr3t", timeout=60)
        assert terminal.wait() == 0
    stars = "*" * len(secret)
    assert user.realm("screen", "hush").out == f"key {stars} end\n"
    user.extra["REALM_DOCKER_ARGS"] = ""
    for name in ("screen.txt", "session.cast"):
        kept = user.repo.show(f"refs/realm-meta/hush:runs/0001/{name}")
        assert "*" * 10 in kept
        assert "s3cr3t" not in kept
        assert "0123456789" not in kept
    assert f"key {stars} end" in user.realm("logs", "hush").out
