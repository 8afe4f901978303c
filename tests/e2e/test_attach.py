"""Leaving an agent and coming back to it: detach, closed windows, attach, stop."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.lock import Holder
    from tests.support.driver import Terminal
    from tests.support.user import User

pytestmark = pytest.mark.engine

TALK = """
echo ready
while read line; do echo "heard $line"; echo "$line" >>heard; [ "$line" = bye ] && break; done
"""
"""An agent that repeats what it is told until it is told bye."""


def state(user: User, name: str) -> str:
    return next(str(row["state"]) for row in user.listed() if row["name"] == name)


def talk(user: User, name: str, *options: str) -> Terminal:
    terminal = user.terminal("new", name, "--agent", "sh", *options, "-c", TALK)
    terminal.wait_for("ready", timeout=60)
    return terminal


def hear(terminal: Terminal, word: str) -> None:
    terminal.send(word)
    terminal.press("Enter")
    terminal.wait_for(f"heard {word}")


def detach(terminal: Terminal) -> int:
    terminal.press("C-p")
    terminal.press("C-q")
    return terminal.wait()


def test_the_detach_keys_leave_the_agent_running_and_attach_comes_back(user: User) -> None:
    with talk(user, "away") as terminal:
        hear(terminal, "one")
        assert detach(terminal) == 0
        assert "realm attach away" in terminal.history()
    assert state(user, "away") == "running"
    with user.terminal("attach", "away") as terminal:
        terminal.wait_for("heard one")
        hear(terminal, "two")
        terminal.send("bye")
        terminal.press("Enter")
        assert terminal.wait() == 0
    assert user.repo.show("refs/realm/away:heard") == "one\ntwo\nbye"
    assert state(user, "away") == "exited"
    assert list(user.leftovers()) == []


def test_a_key_that_begins_the_detach_keys_reaches_the_agent(user: User) -> None:
    script = "stty raw -echo; echo ready; dd bs=1 count=2 2>/dev/null | od -An -tx1 >keys"
    with user.terminal("new", "keys", "--agent", "sh", "-c", script) as terminal:
        terminal.wait_for("ready", timeout=60)
        terminal.press("C-p")
        terminal.press("a")
        assert terminal.wait() == 0
    assert user.repo.show("refs/realm/keys:keys").split() == ["10", "61"]


def test_the_detach_keys_are_a_setting(user: User) -> None:
    user.repo.git("config", "realm.detachKeys", "ctrl-x")
    with talk(user, "other-keys") as terminal:
        terminal.press("C-x")
        assert terminal.wait() == 0
    user.realm("stop", "other-keys")


def test_closing_the_window_leaves_the_agent_running(user: User) -> None:
    terminal = talk(user, "closed")
    hear(terminal, "before")
    terminal.close()
    time.sleep(1)
    assert state(user, "closed") == "running"
    with user.terminal("attach", "closed") as terminal:
        terminal.wait_for("heard before")
        hear(terminal, "after")
        terminal.send("bye")
        terminal.press("Enter")
        assert terminal.wait() == 0
    assert user.repo.show("refs/realm/closed:heard") == "before\nafter\nbye"


def test_one_terminal_at_a_time_unless_it_is_taken(user: User) -> None:
    with talk(user, "shared") as first:
        refused = user.realm("attach", "shared", code=125)
        assert "attached in another terminal" in refused.err
        assert "--take" in refused.err
        with user.terminal("attach", "shared", "--take") as second:
            assert first.wait() == 0
            assert "attached elsewhere" in first.history()
            hear(second, "mine")
            second.send("bye")
            second.press("Enter")
            assert second.wait() == 0
    assert user.repo.show("refs/realm/shared:heard") == "mine\nbye"


def test_the_modes_of_a_program_come_back_with_it_and_go_with_it(user: User) -> None:
    script = r"printf '\033[?1049h\033[?1000h\033[?25lfull screen'; sleep 600"
    flags = ("alternate_on", "mouse_any_flag", "cursor_flag")
    with user.shell(f"realm new modes --agent sh -c {shlex.quote(script)}; sleep 600") as terminal:
        terminal.wait_for("full screen", timeout=60)
        terminal.press("C-p", "C-q")
        terminal.wait_for("is running in the background")
        assert [terminal.flag(flag) for flag in flags] == ["0", "0", "1"]
    with user.shell("realm attach modes; sleep 600") as terminal:
        terminal.wait_for("full screen")
        eventually(lambda: [terminal.flag(flag) for flag in flags] == ["1", "1", "0"])
        user.realm("stop", "modes")
        eventually(lambda: [terminal.flag(flag) for flag in flags] == ["0", "0", "1"])


def test_detached_from_the_start(user: User) -> None:
    done = user.realm("new", "quiet", "--detach", "--agent", "sh", "-c", "echo done >file; sleep 1; exit 4")
    assert "realm attach quiet" in done.err
    eventually(lambda: state(user, "quiet") == "exited")
    assert user.repo.show("refs/realm/quiet:file") == "done"
    assert list(user.leftovers()) == []


def test_realms_options_are_known_behind_the_prompt(claude: User) -> None:
    done = claude.realm("new", "late", "-p", "write a.txt with one", "--detach", "--no-record")
    assert "realm attach late" in done.err
    eventually(lambda: state(claude, "late") == "exited")
    assert claude.repo.show("refs/realm/late:a.txt") == "one"
    again = claude.realm("resume", "late", "-p", "write b.txt with two", "--detach")
    assert "realm attach late" in again.err
    eventually(lambda: state(claude, "late") == "exited")
    assert claude.repo.show("refs/realm/late:b.txt") == "two"
    unknown = claude.realm("resume", "nope", "go", "--detach", code=125)
    assert "there is no session nope" in unknown.err


def test_an_agent_that_was_left_holds_nothing_of_whoever_started_it(user: User, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    agent = ["--agent", "sh", "-c", TALK]
    command = ["flock", str(lock), str(user.installed.realm), "new", "held", "--detach", *agent]
    subprocess.run(command, cwd=user.repo.path, env=user.env, stdin=subprocess.DEVNULL, check=True)
    subprocess.run(["flock", "--nonblock", str(lock), "true"], check=True)
    assert state(user, "held") == "running"
    with user.terminal("attach", "held") as terminal:
        hear(terminal, "one")
        assert detach(terminal) == 0
    with user.terminal("attach", "held") as terminal:
        hear(terminal, "bye")
        assert terminal.wait() == 0
    assert user.repo.show("refs/realm/held:heard") == "one\nbye"


def test_stop_ends_the_agent_and_saves_its_work(user: User) -> None:
    user.realm("new", "long", "--detach", "--agent", "sh", "-c", "echo kept >file; sleep 600")
    eventually(lambda: state(user, "long") == "running")
    time.sleep(1)
    done = user.realm("stop", "long")
    assert "stopped" in done.err
    assert user.repo.show("refs/realm/long:file") == "kept"
    assert state(user, "long") == "exited"
    assert list(user.leftovers()) == []


def test_stop_says_what_was_left_out_and_that_nothing_was_made(user: User) -> None:
    user.realm("new", "odd", "--detach", "--agent", "sh", "-c", "ln -s /etc/passwd out; echo x >x; sleep 600")
    user.realm("new", "idle", "--detach", "--agent", "sh", "-c", "sleep 600")
    time.sleep(1)
    done = user.realm("stop", "odd")
    assert "warning: left out: out: " in done.err
    assert "(1 turn, 1 file, +1" in done.err
    assert (
        user.realm("stop", "idle").err
        == "idle: stopped, no changes   realm resume idle   realm remove idle\n  network: open\n"
    )


def test_stop_kills_an_agent_that_does_not_listen(user: User) -> None:
    script = "trap '' INT TERM HUP; echo kept >file; while :; do sleep 1; done"
    user.realm("new", "deaf", "--detach", "--agent", "sh", "-c", script)
    time.sleep(2)
    user.realm("stop", "deaf")
    assert user.repo.show("refs/realm/deaf:file") == "kept"


def test_stop_and_attach_of_what_does_not_run_say_so(user: User) -> None:
    user.scripted("over", "true")
    for verb, code in (("stop", 1), ("attach", 125)):
        done = user.realm(verb, "over", code=code)
        assert "running" in done.err
        assert "realm resume over" in done.err


def test_a_killed_keeper_leaves_a_sandbox_that_can_be_attached_or_stopped(user: User) -> None:
    user.realm("new", "orphan", "--detach", "--agent", "sh", "-c", "echo kept >file; sleep 600")
    holder = _holder(user)
    time.sleep(1)
    user.python(f"import os; os.kill({holder.pid}, {int(signal.SIGKILL)})")
    eventually(lambda: state(user, "orphan") == "salvage")
    user.realm("stop", "orphan")
    assert user.repo.show("refs/realm/orphan:file") == "kept"
    assert list(user.leftovers()) == []


def _holder(user: User) -> Holder:
    from realm.session.lock import holder

    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    assert not found.attached
    return found


def test_an_agent_of_another_realm_directory_is_left_to_it(user: User, tmp_path: Path) -> None:
    user.realm("new", "theirs", "--detach", "--agent", "sh", "-c", "echo kept >file; sleep 600")
    holder = _holder(user)
    time.sleep(1)
    user.extra["REALM_HOME"] = str(tmp_path / "elsewhere")
    for verb in ("resume", "attach"):
        refused = user.realm(verb, "theirs", code=125)
        assert "another REALM_HOME" in refused.err
        assert "realm stop theirs" in refused.err
    del user.extra["REALM_HOME"]
    assert state(user, "theirs") == "running"
    os.kill(holder.pid, signal.SIGKILL)
    eventually(lambda: state(user, "theirs") == "salvage")
    user.extra["REALM_HOME"] = str(tmp_path / "elsewhere")
    assert "docker stop" in user.realm("stop", "theirs", code=1).err
    engines.docker("stop", *user.leftovers())
    user.realm("rescue", "theirs", str(tmp_path / "rescued"))
    assert (tmp_path / "rescued/file").read_text() == "kept\n"
    del user.extra["REALM_HOME"]
    user.realm("stop", "theirs")
    assert user.repo.show("refs/realm/theirs:file") == "kept"
    assert state(user, "theirs") == "exited"
    assert list(user.leftovers()) == []


def test_a_second_resume_is_refused_while_a_keeper_holds_the_run(user: User) -> None:
    user.realm("new", "held", "--detach", "--agent", "sh", "-c", "sleep 600")
    done = user.realm("resume", "held", code=125)
    assert "is still running, since" in done.err
    assert "realm attach held" in done.err
    user.realm("stop", "held")


def test_logs_show_what_was_printed_while_it_runs_and_afterwards(user: User) -> None:
    script = r"printf '\033[31mfirst\033[0m\n'; until [ -e go ]; do sleep 0.1; done; echo second"
    user.realm("new", "logged", "--detach", "--agent", "sh", "-c", f"{script}; sleep 1")
    eventually(lambda: user.realm("logs", "logged").out == "first\n")
    follower = user.start("logs", "-f", "logged")
    sandbox = user.leftovers()[0]
    engines.touch(sandbox)
    out, _ = follower.communicate(timeout=60)
    assert out == "first\nsecond\n"
    eventually(lambda: state(user, "logged") == "exited")
    assert user.realm("logs", "logged").out == "first\nsecond\n"
    assert "first" in user.realm("screen", "logged").out


def test_nothing_of_a_short_run_is_missing_for_who_follows_it(user: User) -> None:
    lines = [str(number) for number in range(1, 201)]
    for number in range(5):
        name = f"short{number}"
        user.realm(
            "new", name, "--detach", "--agent", "sh", "-c", "sleep 0.6; seq 1 200; printf 'the last words'"
        )
        assert user.realm("logs", "-f", name).out.splitlines() == [*lines, "the last words"]


def test_a_run_without_a_terminal_has_a_log(user: User) -> None:
    user.realm("new", "quiet", "--no-input", "--agent", "sh", "-c", "echo one; echo two >&2; echo three")
    # In which order output and errors come is the engine's to say.
    assert sorted(user.realm("logs", "quiet").out.splitlines()) == ["one", "three", "two"]
    assert user.realm("screen", "quiet", code=1).err.startswith("error: run 1 of quiet showed nothing")
    assert "one" in user.realm("replay", "quiet").out
    # In the background, too, it meets the end of its input.
    user.realm("new", "reads", "--detach", "--no-input", "--agent", "sh", "-c", "cat; echo over")
    user.realm("wait", "reads")
    assert user.realm("logs", "reads").out == "over\n"


def test_the_users_command_is_run_when_nobody_looks(user: User, tmp_path: Path) -> None:
    told = tmp_path / "told"
    user.extra["REALM_NOTIFY"] = f'echo "$REALM_EVENT $REALM_SESSION" >>{told}'
    user.realm("new", "rings", "--detach", "--agent", "sh", "-c", r"printf '\a'; sleep 1")
    eventually(lambda: told.exists() and told.read_text().splitlines() == ["waiting rings", "ended rings"])
