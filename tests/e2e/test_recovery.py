"""Whatever a run's holder came to: one way brings the work home, and nothing is said that is not so."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from realm.session.lock import holder
from tests.support import engines
from tests.support.driver import Terminal
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import Done, User

pytestmark = pytest.mark.engine

WORKS = "echo kept >file; echo ready; until [ -e go ]; do sleep 0.1; done; echo more >>file"

# realm with a part of it replaced before it runs.
PATCHED = """
import os, signal, sys, time
PATCH
from realm.cli.app import run
sys.exit(run(sys.argv[1:]))
"""
DIES_BEFORE_REMOVAL = """
from realm.session import take
from realm.sandbox.sandbox import Sandbox
real = take._taken
def record(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
take._taken = record
"""
NEVER_READY = """
from realm.session import background
def silence(log):
    raise OSError(28, "No space left on device", "/home/ada/.realm/log")
background._silence = silence
"""
KILLED_BEFORE_READY = """
from realm.session import background
background._silence = lambda log: os.kill(os.getpid(), signal.SIGKILL)
"""
CONFIRMS_LATE = """
from realm.session.control import Asked
real = Asked.confirm
def confirm(self):
    time.sleep(7)
    return real(self)
Asked.confirm = confirm
"""


def patched(user: User, patch: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run realm, with ``patch`` applied, without a terminal."""
    words = [str(user.installed.python), "-c", PATCHED.replace("PATCH", patch), *arguments]
    return subprocess.run(
        words, cwd=user.repo.path, env=user.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=90,
    )  # fmt: skip


def state(user: User) -> str:
    (row,) = user.listed()
    return str(row["state"])


def sandbox(user: User) -> str:
    (found,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    return found


def in_background(user: User, script: str = WORKS) -> int:
    """Begin a session called ``x`` in the background; return its holder's process when its agent works."""
    user.realm("new", "x", "--detach", "--agent", "sh", "-c", script)
    eventually(lambda: "ready" in user.realm("logs", "x", code=None).out)
    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    return found.pid


def let_end(user: User) -> None:
    engines.touch(sandbox(user))


def stopped_with(user: User, *words: str) -> Done:
    done = user.realm("stop", "x", code=1)
    for word in words:
        assert word in done.err, done.err
    assert "x: stopped" not in done.err
    return done


def locked(user: User) -> Path:
    """Lock the session's ref, as a git that was killed a while ago."""
    lock = user.repo.path / ".git/refs/realm/x.lock"
    lock.touch()
    os.utime(lock, (time.time() - 100, time.time() - 100))
    return lock


@pytest.mark.defaults
def test_stop_saves_the_work_of_a_dead_container_whose_holder_died(user: User) -> None:
    os.kill(in_background(user), signal.SIGKILL)
    engines.docker("kill", sandbox(user))
    eventually(lambda: state(user) == "salvage")
    done = user.realm("stop", "x")
    assert "recovered the unsaved work of run 1 of x" in done.err
    assert user.repo.show("refs/realm/x:file") == "kept"
    assert (state(user), user.leftovers()) == ("exited", [])


def test_stop_does_not_say_stopped_when_the_work_could_not_be_saved(user: User) -> None:
    in_background(user)
    lock = locked(user)
    stopped_with(user, "the work of run 1 could not be recorded", "realm rescue x DIRECTORY")
    assert state(user) == "salvage"
    os.utime(lock)  # one that a git may still hold is waited for
    threading.Timer(3, lock.unlink).start()
    user.realm("stop", "x")
    assert user.repo.show("refs/realm/x:file") == "kept"
    assert (state(user), user.leftovers()) == ("exited", [])


def test_a_run_that_is_in_git_already_is_not_taken_for_somebody_elses(user: User) -> None:
    killed = patched(user, DIES_BEFORE_REMOVAL, "new", "--agent", "sh", "x", "-c", "echo kept >file")
    assert killed.returncode == -signal.SIGKILL, killed
    tip = user.tip("x")
    assert len(user.leftovers()) == 1
    done = user.realm("stop", "x")
    assert "git update-ref" not in done.err
    assert "stopped (1 turn, 1 file" in done.err
    assert user.tip("x") == tip
    assert (state(user), user.leftovers()) == ("exited", [])


@pytest.mark.parametrize("gone", [("realm", "realm-meta"), ("realm",), ("realm-meta",)])
def test_refs_that_were_deleted_during_a_run_are_made_anew(user: User, gone: tuple[str, ...]) -> None:
    in_background(user)
    for kind in gone:
        user.repo.git("update-ref", "-d", f"refs/{kind}/x")
    if len(gone) == 2:
        user.repo.git("gc", "-q", "--prune=now")
        refused = user.realm("stop", "x", code=1).err
        assert "error: the refs of x were deleted, and its agent is still running\n\nhint: kill " in refused
    let_end(user)
    eventually(lambda: "refs/realm-meta/x" in user.repo.refs() and user.leftovers() == [], 30)
    assert user.repo.show("refs/realm/x:file") == "kept\nmore"
    assert "were deleted during the run" in user.repo.show("refs/realm-meta/x:runs/0001/run.json")
    user.scripted("x", "cat file", verb="resume")


def test_remove_brings_the_work_home_or_is_refused(user: User) -> None:
    os.kill(in_background(user), signal.SIGKILL)
    engines.docker("kill", sandbox(user))
    lock = locked(user)
    refused = user.realm("remove", "x", "--yes", code=1)
    assert "the work of run 1 could not be recorded" in refused.err
    assert "realm rescue x DIRECTORY" in refused.err
    assert "realm remove x --force gives it up" in refused.err
    assert (state(user), len(user.leftovers())) == ("salvage", 1)
    lock.unlink()
    done = user.realm("remove", "x", "--yes")
    assert "recovered the unsaved work of run 1 of x" in done.err
    assert (user.listed(), user.leftovers()) == ([], [])
    user.realm("restore", "x")
    assert user.repo.show("refs/realm/x:file") == "kept"


def test_remove_by_force_gives_up_what_cannot_be_saved(user: User) -> None:
    os.kill(in_background(user), signal.SIGKILL)
    user.extra["DOCKER_HOST"] = "unix:///no/such/engine.sock"
    refused = user.realm("remove", "x", "--yes", code=1)
    assert "may still have a container with work" in refused.err
    assert user.listed()
    running = sandbox(user)
    told = user.realm("remove", "x", "--force").err
    assert "the unsaved work of x is given up" in told
    assert "may be left" in told
    assert user.listed() == []
    user.extra.pop("DOCKER_HOST")
    user.realm("restore", "x")
    assert "still running" in user.realm("remove", "x", "--force", code=1).err
    engines.docker("kill", running)
    lock = locked(user)
    user.realm("remove", "x", "--force", code=1)  # nothing moves a ref that is locked
    lock.unlink()
    user.realm("remove", "x", "--force")
    assert (user.listed(), user.leftovers()) == ([], [])


def test_work_whose_session_is_gone_is_named_by_doctor(user: User, tmp_path: Path) -> None:
    found = dead(user)
    for kind in ("realm", "realm-meta"):
        user.repo.git("update-ref", "-d", f"refs/{kind}/x")
    said = "the refs of x were deleted before all of its work was in git"
    way = "realm rescue x DIRECTORY writes the files in its container there"
    assert f"warning: {said}: {way}\n" in user.realm("list").err
    for verb, code in (("stop", 1), ("attach", 125), ("resume", 125)):
        assert user.realm(verb, "x", code=code).err == f"error: {said}\n\nhint: {way}\n"
    told = user.realm("doctor", code=None).out
    assert f"work of sessions that are gone: x (container {found})" in told
    user.scripted("x", "true")  # the name is used again
    assert f"warning: {said}: {way}\n" in user.realm("list").err
    (advice,) = [line for line in told.splitlines() if "rescue x" in line]
    user.realm("-C", str(user.repo.path), "rescue", "x", str(tmp_path / "rescued"))
    assert tree(tmp_path / "rescued" / user.repo.path.name) == RESCUED
    command = advice.partition("writes its files there; ")[2].removesuffix(" gives it up").strip()
    subprocess.run(["sh", "-ec", command], check=True, capture_output=True)
    assert "work of sessions" not in user.realm("doctor", code=None).out
    user.realm("gc")
    user.realm("remove", "x", "--yes")
    assert user.realm("list").err == "hint: no sessions yet: realm new NAME starts one\n"


@pytest.mark.parametrize("verb", ["stop", "attach", "resume", "remove"])
def test_a_run_of_which_nothing_is_left_is_said_to_be_gone(user: User, verb: str) -> None:
    os.kill(in_background(user), signal.SIGKILL)
    engines.docker("rm", "-f", sandbox(user))
    for volume in engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=box"):
        engines.docker("volume", "rm", volume)
    more = ("-c", "true") if verb == "resume" else ()
    done = user.realm(verb, "x", *more, code={"stop": 1, "attach": 125}.get(verb, 0))
    assert "nothing is left of the container of run 1 of x on this engine" in done.err
    if verb == "resume":
        assert state(user) == "exited"


@pytest.mark.defaults
def test_attach_to_what_has_ended_brings_the_work_home(user: User) -> None:
    os.kill(in_background(user), signal.SIGKILL)
    refused = user.realm("send", "x", "go on", code=1).err
    assert "the agent of x is still running, but the process that took its prompts was killed" in refused
    assert "hint: realm attach x returns to it" in refused
    engines.docker("kill", sandbox(user))
    assert "the run of x was cut off" in user.realm("send", "x", "go on", code=1).err
    done = user.realm("attach", "x", code=125)
    assert "recovered the unsaved work of run 1 of x" in done.err
    assert "session x is not running" in done.err
    assert (state(user), user.leftovers()) == ("exited", [])


def test_a_bad_setting_refuses_an_attach_and_leaves_the_holder_alone(user: User) -> None:
    pid = in_background(user)
    user.repo.git("config", "realm.detachKeys", "ctrl-ä")
    with user.terminal("attach", "x") as terminal:
        assert terminal.wait() == 125
        assert "realm.detachKeys" in terminal.history()
    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    assert found.pid == pid
    user.repo.git("config", "--unset", "realm.detachKeys")
    user.realm("stop", "x")
    assert user.repo.show("refs/realm/x:file") == "kept"


@pytest.mark.parametrize(
    ("patch", "why"),
    [(NEVER_READY, "No space left on device"), (KILLED_BEFORE_READY, "it was killed")],
    ids=["an error", "killed"],
)
def test_a_holder_that_dies_before_it_is_ready_is_not_reported_as_running(
    user: User, patch: str, why: str
) -> None:
    done = patched(user, patch, "new", "x", "--detach", "--agent", "sh", "-c", WORKS)
    assert done.returncode == 125, done
    assert "is running in the background" not in done.stderr
    assert why in done.stderr
    assert "realm stop x" in done.stderr
    time.sleep(1)
    user.realm("stop", "x")
    assert user.repo.show("refs/realm/x:file") == "kept"
    assert (state(user), user.leftovers()) == ("exited", [])


def test_who_confirms_too_late_is_told_and_the_holder_goes_on(user: User) -> None:
    pid = in_background(user)
    words = [str(user.installed.python), "-c", PATCHED.replace("PATCH", CONFIRMS_LATE), "attach", "x"]
    with Terminal(words, env=user.env, cwd=user.repo.path) as terminal:
        assert terminal.wait() == 125
        assert "resumed it before it could be taken over" in terminal.history()
    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    assert found.pid == pid
    let_end(user)
    eventually(lambda: state(user) == "exited")
    assert user.repo.show("refs/realm/x:file") == "kept\nmore"


LAST_WORDS = "trap 'echo LAST words; exit 0' INT TERM; echo ready; while :; do sleep 0.1; done"


@pytest.mark.defaults
def test_what_an_agent_says_when_it_is_stopped_is_in_its_log(user: User) -> None:
    in_background(user, LAST_WORDS)
    user.realm("stop", "x")
    assert user.realm("logs", "x").out == "ready\nLAST words\n"
    assert "LAST words" in user.realm("screen", "x").out


def test_what_an_agent_says_after_a_signal_to_realm_is_in_its_log(user: User) -> None:
    with user.terminal("new", "x", "--agent", "sh", "-c", LAST_WORDS) as terminal:
        terminal.wait_for("ready")
        found = holder(str(user.listed()[0]["id"]))
        assert found is not None
        os.kill(found.pid, signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM
    assert "LAST words" in user.realm("logs", "x").out


def test_an_error_of_a_holder_in_the_background_is_told_by_the_next_command(user: User) -> None:
    in_background(user)
    lock = locked(user)
    let_end(user)
    eventually(lambda: state(user) == "salvage", 30)
    lock.unlink()
    done = user.realm("stop", "x")
    assert "warning: the work of run 1 could not be recorded" in done.err
    assert "recovered the unsaved work of run 1 of x" in done.err
    assert user.repo.show("refs/realm/x:file") == "kept\nmore"


# --- a session in which nothing happened -------------------------------------


def test_a_session_whose_agent_cannot_be_run_is_taken_back(user: User) -> None:
    done = user.realm("new", "x", "--agent", "no-such-program", code=127)
    assert "nothing happened in x: it was undone, and the name is free again" in done.err
    assert [ref for ref in user.repo.refs() if "/x" in ref] == []
    assert (user.listed(), user.leftovers()) == ([], [])
    user.scripted("x", "echo kept >file; no-such-program", code=127)
    assert user.repo.show("refs/realm/x:file") == "kept"
    user.scripted("x", "no-such-program", verb="resume", code=127)
    assert user.repo.show("refs/realm/x:file") == "kept"


def test_a_session_that_only_got_a_wrong_option_is_taken_back(claude: User) -> None:
    done = claude.realm("new", "x", "--typo", code=1)
    assert "unknown option" in done.out + done.err
    assert "nothing happened in x: it was undone, and the name is free again" in done.err
    assert (claude.listed(), claude.leftovers()) == ([], [])
    claude.realm("new", "x", "--", "-p", "write one.txt with first")
    claude.realm("resume", "x", "--typo", code=1)
    assert [row["name"] for row in claude.listed()] == ["x"]


# --- rescue ------------------------------------------------------------------

DIES_AT_THE_SECOND_FILE = """
from realm.session.rescue import Writer
real = Writer._file
def write(self, path, content, *, runs):
    real(self, path, content, runs=runs)
    if self.files == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Writer._file = write
"""
PLANTS = """
echo kept >file; mkdir deep; echo more >deep/file; ln -s /etc/passwd out; ln -s deep/file in; mkfifo pipe
git config core.fsmonitor "touch /tmp/planted"; git init -q deep/inner; echo x >deep/inner/x; echo ready
while :; do sleep 0.1; done
"""
RESCUED = {"README.md", "file", "deep", "deep/file", "deep/inner", "deep/inner/x", "in"}


def tree(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def dead(user: User) -> str:
    """Leave a dead container without a holder; return its id."""
    os.kill(in_background(user, PLANTS), signal.SIGKILL)
    found = sandbox(user)
    engines.docker("kill", found)
    return found


@pytest.mark.parametrize("left", ["all of it", "volumes alone", "no refs"])
def test_rescue_writes_the_files_of_a_dead_run_without_a_repository(
    user: User, tmp_path: Path, left: str
) -> None:
    found = dead(user)
    if left == "volumes alone":
        engines.docker("rm", "-f", found)
    if left == "no refs":
        user.repo.git("update-ref", "-d", "refs/realm/x")
        user.repo.git("update-ref", "-d", "refs/realm-meta/x")
    target = tmp_path / "rescued"
    done = user.realm("rescue", "x", str(target))
    place = target if left != "no refs" else target / user.repo.path.name
    assert tree(place) == RESCUED
    assert (place / "in").read_text() == "more\n"
    assert "pipe" in done.err
    assert "a link that leads elsewhere: " in done.err
    assert "out" in done.err
    assert "files written to" in done.err
    refused = user.realm("rescue", "x", str(target), code=1)
    assert "is not empty" in refused.err


def test_a_rescue_that_is_killed_is_done_again(user: User, tmp_path: Path) -> None:
    engines.docker("rm", "-f", dead(user))
    killed = patched(user, DIES_AT_THE_SECOND_FILE, "rescue", "x", str(tmp_path / "one"))
    assert killed.returncode == -signal.SIGKILL, killed
    assert tree(tmp_path / "one") < RESCUED
    user.realm("rescue", "x", str(tmp_path / "two"))
    assert tree(tmp_path / "two") == RESCUED
    assert state(user) == "salvage"
    user.realm("stop", "x")
    assert user.repo.show("refs/realm/x:file") == "kept"
    assert user.leftovers() == []


def test_rescue_of_what_runs_or_is_in_git_says_so(user: User, tmp_path: Path) -> None:
    in_background(user)
    assert "realm stop x" in user.realm("rescue", "x", str(tmp_path / "a"), code=1).err
    project = user.repo.path.name
    engines.docker("exec", sandbox(user), "sh", "-c", f"cd /workspace; cp -R {project} one; mv {project} two")
    stopped_with(user, "the agent removed its project's directory", "realm rescue x DIRECTORY")
    user.realm("rescue", "x", str(tmp_path / "all"))
    assert {"one/file", "two/file"} <= tree(tmp_path / "all")
    user.realm("remove", "x", "--force")
    user.realm("restore", "x")
    assert "no container of x is left" in user.realm("rescue", "x", str(tmp_path / "a"), code=1).err
    assert not (tmp_path / "a").exists()


SMALL_TRANSCRIPTS = "from realm.session import bounds\nbounds.transcript = lambda _: 2000"


def test_a_conversation_too_long_for_the_record_is_said_and_kept_beside_it(claude: User) -> None:
    claude.realm("new", "x", "--", "-p", "write one.txt with first")
    done = patched(claude, SMALL_TRANSCRIPTS, "resume", "x", "--", "-p", "write two.txt with second")
    assert done.returncode == 0, done
    assert "too much for the record (realm.limit.transcript): it is in " in done.stderr
    (kept,) = realm_home().glob("runs/*/transcript-0002.jsonl")
    assert b"write two.txt" in kept.read_bytes()
    done = patched(claude, "", "resume", "x", "--", "-p", "write three.txt with third")
    assert (
        "the conversation of run 2 of x was not kept: the agent continues from that of run 1" in done.stderr
    )
