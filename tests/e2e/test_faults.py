"""Runs that are cut off at any point: the workspace is never lost, and the next command repairs the rest."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from tests.support import engines, hostile
from tests.support.hostile import check_words, run_as
from tests.support.repos import Repo
from tests.support.waiting import eventually, first_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

AGENT = "echo one >one; git add one; git commit -qm One; echo two >two; rm README.md; echo ready; sleep 0.5"
ENDLESS = "echo early >early; echo ready; while :; do sleep 0.2; done"


def new(user: User, script: str, *options: str, name: str = "cut") -> subprocess.Popen[str]:
    return user.start("new", "--agent", "sh", *options, name, "-c", script)


def ready(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert first_line(process) == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def sandboxes(user: User) -> list[str]:
    return engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")


def is_healed(user: User, name: str = "cut") -> None:
    """Check that nothing of a run is left but its commits and its record."""
    assert user.leftovers() == []
    volumes = engines.labelled("volume", f"realm.project={user.repo.path}")
    assert [volume for volume in volumes if not volume.startswith(engines.SHARED)] == []
    git_dir = user.repo.path / ".git"
    assert list(git_dir.rglob("*.lock")) == []
    assert _held(user.repo) == []
    assert list((realm_home() / "tmp").glob("*")) == []
    assert user.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""
    assert user.repo.git("status", "--porcelain") == ""
    if f"refs/realm/{name}" in user.repo.refs():
        assert [row["state"] for row in user.listed() if row["name"] == name] == ["exited"]


# --- realm is killed ---------------------------------------------------------


def _milestones(user: User) -> dict[str, Callable[[subprocess.Popen[str]], None]]:
    """Return ways to wait for the moment after which realm is killed."""
    repo, home = user.repo, realm_home()

    def collected() -> list[Path]:
        return list((home / "tmp").glob("collect@*"))

    def poll(condition: Callable[[], object]) -> Callable[[subprocess.Popen[str]], None]:
        def wait(process: subprocess.Popen[str]) -> None:
            while process.poll() is None and not condition():
                time.sleep(0.001)

        return wait

    return {
        "the ref exists": poll((repo.path / ".git/refs/realm/cut").exists),
        "the sandbox is made": poll(lambda: sandboxes(user)),
        "the agent works": lambda process: (ready(process), None)[1],
        "the results come": poll(lambda: list((home / "tmp").glob("results@*"))),
        "the results are taken apart": poll(collected),
        "the pack is in quarantine": poll(
            lambda: collected() and list((home / "tmp").glob("quarantine@*/objects/pack/*.pack"))
        ),
        "the pack is in the project": poll(lambda: collected() and _held(repo)),
        "the refs have moved": poll(lambda: _tip(repo) not in ("", repo.head())),
    }


def _held(repo: Repo) -> list[Path]:
    # One without an index is left for an hour to whoever may just be writing that.
    kept = (repo.path / ".git/objects/pack").glob("*.keep")
    return [path for path in kept if path.with_suffix(".idx").exists()]


def _tip(repo: Repo) -> str:
    path = repo.path / ".git/refs/realm/cut"
    try:
        return path.read_text().strip()
    except OSError:
        return ""


MOMENTS = ("the ref exists", "the sandbox is made", "the agent works", "the results come",
           "the results are taken apart", "the pack is in quarantine", "the pack is in the project",
           "the refs have moved")  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_when(user: User, moment: str) -> None:
    process = new(user, AGENT)
    _milestones(user)[moment](process)
    kill(process)
    began = bool(sandboxes(user)) and _wait_for_sandboxes(user)
    heal(user)
    files = user.repo.files("refs/realm/cut") if "refs/realm/cut" in user.repo.refs() else []
    if began or moment in MOMENTS[2:]:
        assert files == ["one", "two"], moment
        assert "One" in user.repo.git("log", "--format=%s", "refs/realm/cut").splitlines()
    else:
        assert files in ([], ["README.md"])


def _wait_for_sandboxes(user: User) -> bool:
    """Wait until no sandbox runs; return whether one had ever been started."""

    def states() -> list[str]:
        return [
            engines.docker("inspect", "-f", "{{.State.Status}}", sandbox, check=False)
            for sandbox in sandboxes(user)
        ]

    eventually(lambda: "running" not in states(), 60)
    return any(state != "created" for state in states())


def heal(user: User, name: str = "cut") -> None:
    """Run the next command, ``resume``, and check what it leaves."""
    if f"refs/realm/{name}" not in user.repo.refs():
        check_words(run_as(user, (), "resume", name, "--no-input"), 125, "no session")
        # Before its ref a session has at most a sandbox that never ran: the next run clears it away.
        user.scripted(f"next-{time.monotonic_ns()}", "true")
        is_healed(user, name)
        return
    done = user.realm("resume", name, "--no-input", "-c", "true")
    assert done.code == 0, done.err
    is_healed(user, name)


@pytest.mark.slow
def test_killed_at_any_time(user: User) -> None:
    """Kill at growing delays: whatever the moment, a file that the agent told of is there afterwards."""
    delay, saved = 0.15, 0
    while saved < 2 and delay < 6:
        name = f"cut{round(delay * 1000)}"
        process = new(user, AGENT, name=name)
        try:
            output, _ = process.communicate(timeout=delay)
            ended = True
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            ended = False
        _wait_for_sandboxes(user)
        heal(user, name)
        if "ready" in output:
            assert user.repo.files(f"refs/realm/{name}") == ["one", "two"], delay
        saved += ended
        delay *= 1.5


def test_killed_twice_on_the_way_home(user: User) -> None:
    kill(ready(new(user, AGENT)))
    _wait_for_sandboxes(user)
    for delay in (0.25, 0.45, 0.7):
        process = user.start("resume", "cut", "--no-input", "-c", "true")
        time.sleep(delay)
        kill(process)
        _wait_for_sandboxes(user)
    heal(user)
    assert user.repo.files("refs/realm/cut") == ["one", "two"]


# --- the sandbox is killed -------------------------------------------------------


def test_a_sandbox_killed_while_its_workspace_is_laid_out_deletes_nothing(user: User) -> None:
    user.repo.make_files(3000)
    user.extra["REALM_WORKSPACE"] = "plain"
    process = new(user, "echo ready")
    eventually(lambda: any(_running(sandbox) for sandbox in sandboxes(user)), 60)
    for sandbox in sandboxes(user):
        engines.docker("kill", sandbox, check=False)
    process.communicate(timeout=120)
    heal(user)
    if "refs/realm/cut" in user.repo.refs():
        assert user.repo.git("diff", "--stat", "HEAD", "refs/realm/cut") == ""


def _running(sandbox: str) -> bool:
    return engines.docker("inspect", "-f", "{{.State.Running}}", sandbox, check=False) == "true"


def test_a_sandbox_removed_by_hand_still_gives_its_volumes(user: User) -> None:
    process = ready(new(user, ENDLESS))
    kill(process)
    (sandbox,) = sandboxes(user)
    engines.docker("rm", "--force", sandbox)
    heal(user)
    assert user.repo.files("refs/realm/cut") == ["README.md", "early"]


def test_a_sandbox_removed_by_hand_under_realms_eyes(user: User) -> None:
    process = ready(new(user, ENDLESS))
    (sandbox,) = sandboxes(user)
    engines.docker("rm", "--force", sandbox)
    process.communicate(timeout=60)
    heal(user)
    assert user.repo.files("refs/realm/cut") == ["README.md", "early"]


def test_a_sandbox_and_volumes_that_are_gone_do_not_block_the_session(user: User) -> None:
    kill(ready(new(user, ENDLESS)))
    (sandbox,) = sandboxes(user)
    engines.docker("rm", "--force", sandbox)
    for volume in engines.labelled("volume", f"realm.project={user.repo.path}"):
        engines.docker("volume", "rm", volume)
    heal(user)
    assert user.repo.files("refs/realm/cut") == ["README.md"]


def test_only_a_part_of_the_volumes_is_left(user: User) -> None:
    kill(ready(new(user, ENDLESS)))
    (sandbox,) = sandboxes(user)
    made = engines.docker("inspect", "-f", "{{.Name}}", sandbox).strip("/")
    engines.docker("rm", "--force", sandbox)
    engines.docker("volume", "rm", f"{made}-state")
    done = user.realm("resume", "cut", "--no-input", "-c", "true", code=None)
    if done.code:
        check_words(done, 125, "cannot be taken out")
        check_words(user.realm("remove", "--yes", "cut", code=1), 1, "cannot be taken out")
        user.realm("remove", "--force", "cut")
    assert user.leftovers() == []
    name = engines.docker("volume", "ls", "-q", "-f", f"name={made}")
    assert name == "", "a volume that was made anew for the rescue"


def test_the_image_is_gone_while_a_sandbox_is_left(user: User) -> None:
    made = engines.docker("create", "realm:latest", "true")
    engines.docker("commit", made, "realm-test-fault:1")
    engines.docker("rm", made)
    process = new(user, ENDLESS, "--image", "realm-test-fault:1")
    kill(ready(process))
    (sandbox,) = sandboxes(user)
    engines.docker("kill", sandbox)
    engines.docker("rmi", "--force", "realm-test-fault:1")
    done = user.realm("resume", "cut", "--no-input", "-c", "true", code=None)
    assert "early" in user.repo.files("refs/realm/cut"), done.err
    assert user.leftovers() == []
    if done.code:
        check_words(done, 125, "realm-test-fault:1")


# --- signals, two at once ----------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves(user: User, number: signal.Signals) -> None:
    process = ready(new(user, ENDLESS))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (128 + number, 130), errors
    assert user.repo.files("refs/realm/cut") == ["README.md", "early"]
    is_healed(user)


def test_two_resumes_at_once(user: User) -> None:
    user.scripted("cut", "echo one >one")
    first = user.start("resume", "cut", "-c", "echo ready; read line; echo two >two")
    ready(first)
    check_words(run_as(user, (), "resume", "cut", "--no-input"), 125, "is still running")
    check_words(run_as(user, (), "remove", "--yes", "cut"), 1, "is still running")
    first.communicate("\n", timeout=60)
    assert user.repo.files("refs/realm/cut") == ["README.md", "one", "two"]
    is_healed(user)


def test_many_of_the_same_name_at_once(user: User) -> None:
    processes = [new(user, f"echo {number} >file; sleep 1") for number in range(4)]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert sorted(code for _, code in ended) == [0, 125, 125, 125], ended
    assert user.repo.files("refs/realm/cut") == ["README.md", "file"]
    is_healed(user)


# --- the project changes meanwhile -------------------------------------------


def test_somebody_else_moves_the_ref_during_a_run(user: User) -> None:
    before = user.repo.head()
    process = ready(new(user, "echo mine >mine; echo ready; read line"))
    other = user.repo.git("commit-tree", "-p", before, "-m", "Theirs", f"{before}^{{tree}}")
    user.repo.git("update-ref", "refs/realm/cut", other)
    _, errors = process.communicate("\n", timeout=60)
    assert process.returncode == 125
    assert "changed by somebody else" in errors
    assert other[:12] in errors
    assert user.tip("cut") == other
    assert len(sandboxes(user)) == 1
    advice = next(line for line in errors.splitlines() if line.startswith("hint: "))
    commands = advice.removeprefix("hint: ").split(", then")[0]
    subprocess.run(["sh", "-ec", commands], cwd=user.repo.path, check=True)
    user.realm("resume", "cut", "--no-input", "-c", "true")
    assert user.repo.files("refs/realm/cut") == ["README.md", "mine"]
    assert user.repo.head("refs/heads/cut-other") == other
    is_healed(user)


def test_the_project_moves_while_a_sandbox_is_left(user: User, tmp_path: Path) -> None:
    kill(ready(new(user, ENDLESS)))
    (sandbox,) = sandboxes(user)
    engines.docker("kill", sandbox)
    moved = tmp_path / "moved"
    user.repo.path.rename(moved)
    user.realm("rescue", "cut", str(tmp_path / "rescued"), cwd=tmp_path)
    assert (tmp_path / "rescued" / "project" / "early").exists()
    project, user.repo.path = user.repo.path, moved
    user.realm("resume", "cut", "--no-input", "-c", "true")
    assert user.repo.files("refs/realm/cut") == ["README.md", "early"]
    assert engines.labelled("container", f"realm.project={project}") == []
    user.realm("list", "--prune")  # what containers share outlives them, and goes with the project
    assert engines.labelled("volume", f"realm.project={project}") == []
    is_healed(user)


def test_gc_during_a_run_loses_nothing(user: User) -> None:
    process = ready(new(user, "echo mine >mine; echo ready; read line; git log --format=%s >log"))
    user.repo.git("gc", "-q", "--prune=now")
    process.communicate("\n", timeout=60)
    assert user.repo.show("refs/realm/cut:log") == "Start"
    is_healed(user)


# --- the disk is full when the work comes home -------------------------------


def test_no_space_for_the_work(user: User, tmp_path: Path) -> None:
    with hostile.small_disk(tmp_path / "disk", "3m") as disk:
        repo = Repo(disk / "project")
        shutil.copytree(user.repo.path, repo.path)
        user.repo = repo
        process = ready(new(user, "head -c 2000000 /dev/urandom >big; echo ready; read line"))
        ballast = hostile.fill(disk)
        _, errors = process.communicate("\n", timeout=60)
        assert process.returncode == 125, errors
        assert "space" in errors
        assert "hint: " in errors
        assert len(sandboxes(user)) == 1
        ballast.unlink()
        heal(user)
        assert repo.files("refs/realm/cut") == ["README.md", "big"]


def test_no_space_in_realms_directory(user: User, tmp_path: Path) -> None:
    with hostile.small_disk(tmp_path / "disk", "6m") as disk:
        user.extra["REALM_HOME"] = os.environ["REALM_HOME"] = str(disk / "realm")
        process = ready(new(user, "head -c 2000000 /dev/urandom >big; echo ready; read line"))
        ballast = hostile.fill(disk)
        _, errors = process.communicate("\n", timeout=60)
        assert process.returncode == 125, errors
        assert "the work of run 1 could not be saved: No space left on device" in errors
        assert str(disk / "realm") in errors
        assert "it is still in its container" in errors
        assert "realm rescue cut DIRECTORY writes its files there" in errors
        assert len(sandboxes(user)) == 1
        ballast.unlink()
        heal(user)
        assert user.repo.files("refs/realm/cut") == ["README.md", "big"]


def test_a_limit_on_the_size_of_files(user: User) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    script = "head -c 3000000 /dev/urandom >big"
    process = user.start("new", "--agent", "sh", "cut", "-c", script, preexec_fn=limit)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 125, errors
    assert "Traceback" not in errors
    assert "bug" not in errors, errors
    assert len(sandboxes(user)) == 1
    heal(user)
    assert user.repo.files("refs/realm/cut") == ["README.md", "big"]
