"""However a run is broken off, the agent's work is kept or recovered."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.waiting import eventually, first_line

if TYPE_CHECKING:
    import subprocess

    from tests.support.user import User

pytestmark = pytest.mark.engine

SLOW = "echo early >early.txt; echo ready; sleep 5; echo late >late.txt"
ENDLESS = "echo early >early.txt; echo ready; while :; do sleep 1; done"


def started(user: User, script: str) -> subprocess.Popen[str]:
    """Start a session called ``victim`` and wait until its agent says that it is ready."""
    process = user.start("new", "--agent", "sh", "victim", "-c", script)
    assert first_line(process) == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=90)
    return process.returncode, errors


def state(user: User) -> str:
    return str(next(row["state"] for row in user.listed() if row["name"] == "victim"))


def running(user: User) -> bool:
    sandboxes = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    return any(
        engines.docker("inspect", "-f", "{{.State.Running}}", sandbox) == "true" for sandbox in sandboxes
    )


def test_killing_realm_leaves_the_sandbox_at_work_and_resume_brings_it_home(user: User) -> None:
    process = started(user, SLOW)
    process.kill()
    finish(process)
    assert state(user) == "salvage"
    eventually(lambda: not running(user), 60)
    user.scripted("victim", "cat early.txt late.txt", verb="resume")
    assert user.repo.files("refs/realm/victim") == ["README.md", "early.txt", "late.txt"]
    assert list(user.leftovers()) == []
    assert state(user) == "exited"


def test_a_sandbox_still_running_after_its_holder_was_killed_is_attached_to(user: User) -> None:
    process = started(user, SLOW)
    process.kill()
    finish(process)
    user.realm("resume", "victim")
    assert user.repo.files("refs/realm/victim") == ["README.md", "early.txt", "late.txt"]
    assert list(user.leftovers()) == []


def test_killing_the_sandbox_keeps_its_work(user: User) -> None:
    process = started(user, ENDLESS)
    (sandbox,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    engines.docker("kill", sandbox)
    code, errors = finish(process)
    assert code == 137, errors
    assert user.repo.files("refs/realm/victim") == ["README.md", "early.txt"]
    assert list(user.leftovers()) == []


def test_killing_both_keeps_the_work_for_resume(user: User) -> None:
    process = started(user, ENDLESS)
    process.kill()
    finish(process)
    (sandbox,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    engines.docker("kill", sandbox)
    user.scripted("victim", "cat early.txt", verb="resume")
    assert "early.txt" in user.repo.files("refs/realm/victim")
    assert list(user.leftovers()) == []


def test_a_signal_to_realm_ends_the_agent_and_saves(user: User) -> None:
    process = started(user, ENDLESS)
    process.terminate()
    code, errors = finish(process)
    assert code == 128 + signal.SIGTERM, errors
    assert user.repo.files("refs/realm/victim") == ["README.md", "early.txt"]
    assert list(user.leftovers()) == []


def test_a_lost_connection_leaves_the_agent_at_work_and_saves(user: User) -> None:
    process = started(user, SLOW)
    process.send_signal(signal.SIGHUP)
    finish(process)
    assert state(user) == "running"
    eventually(lambda: "late.txt" in user.repo.files("refs/realm/victim"), 60)
    eventually(lambda: not user.leftovers(), 60)


def test_closing_the_window_leaves_the_agent_at_work_and_saves(user: User) -> None:
    with user.terminal("new", "--agent", "sh", "victim", "-c", SLOW) as terminal:
        terminal.wait_for("ready")
    eventually(lambda: user.repo.files("refs/realm/victim") == ["README.md", "early.txt", "late.txt"], 60)
    eventually(lambda: not user.leftovers(), 60)


def test_ctrl_c_in_a_terminal_goes_to_the_agent(user: User) -> None:
    script = "trap 'echo caught >caught.txt; exit 3' INT; echo ready; while :; do sleep 1; done"
    with user.terminal("new", "--agent", "sh", "victim", "-c", script) as terminal:
        terminal.wait_for("ready")
        terminal.press("C-c")
        assert terminal.wait() == 3
    assert user.repo.show("refs/realm/victim:caught.txt") == "caught"


def test_an_agent_that_destroys_its_repository_still_gets_its_files_saved(user: User) -> None:
    user.scripted("victim", "echo kept >kept.txt; rm -rf .git")
    assert user.repo.files("refs/realm/victim") == ["README.md", "kept.txt"]


def test_remove_never_takes_a_running_sandbox_and_brings_home_what_a_dead_one_has(user: User) -> None:
    process = started(user, ENDLESS)
    process.kill()
    finish(process)
    assert "still running" in user.realm("remove", "victim", "--yes", code=1).err
    (sandbox,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    engines.docker("kill", sandbox)
    asked = user.realm("remove", "victim", code=1).err
    assert "recovered the unsaved work of run 1 of victim" in asked
    assert "session victim has 1 commit found nowhere else" in asked
    assert (state(user), list(user.leftovers())) == ("exited", [])
    user.realm("remove", "victim", "--yes")
    assert user.listed() == []
    user.realm("restore", "victim")
    assert user.repo.files("refs/realm/victim") == ["README.md", "early.txt"]


def test_what_only_carries_the_labels_is_left_alone(user: User) -> None:
    """A container and a volume of an image with the labels of a sandbox of this very REALM_HOME."""
    user.scripted("first", "true")
    project = str(user.repo.path)
    home = user.python("from realm.sandbox import proof; print(proof.home())").strip()
    labels = {
        "realm.role": "box",
        "realm.home": home,
        "realm.project": project,
        "realm.id": "x",
        "realm.proof": "x",
    }
    words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    volume = f"theirs-{user.repo.path.parent.name}-work"
    engines.docker("volume", "create", *words, "--label", "realm.sandbox=theirs", volume)
    made = engines.docker("create", *words, "-v", f"{volume}:/data", "realm:latest", "true")
    going = engines.docker("run", "-d", *words, "realm:latest", "sleep", "60")
    try:
        user.scripted("second", "true")
        user.realm("list", "--all")
        user.realm("remove", "--yes", "second")
        assert sorted(user.leftovers()) == sorted([made[:12], going[:12]])
        assert engines.docker("inspect", "-f", "{{.State.Running}}", going) == "true"
        assert engines.docker("volume", "ls", "-q", "-f", f"name={volume}") == volume
    finally:
        engines.docker("rm", "-f", made, going)
        engines.docker("volume", "rm", volume)
