"""Whatever is killed, at whatever step: the next command has all of the work, and nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from tests.e2e.test_begin import is_clear
from tests.e2e.test_recovery import patched
from tests.support import engines
from tests.support.repos import Repo
from tests.support.waiting import eventually, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

WORK = (
    "echo mine >mine; git add mine; git commit -qm mine; git checkout -q -b alt; echo 1 >one; git add one; "
    "git commit -qm one; git checkout -q cut; echo 2 >stashed; git stash -q -u; echo rest >rest; echo ready"
)
ENDLESS = f"{WORK}; while :; do sleep 0.2; done"
ALL = {
    "refs/realm/cut",
    "refs/realm-meta/cut",
    "refs/realm-branches/cut/heads/alt",
    "refs/realm-branches/cut/stash/1",
}

AFTER = """
def after(module, name):
    real = getattr(module, name)
    def dying(*arguments, **options):
        real(*arguments, **options)
        die()
    setattr(module, name, dying)
"""
DIE = f"""
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
{AFTER}
"""
AT_THE_END = {
    "before anything is taken": "from realm.session import take; take._taken = die",
    "it is in quarantine": "from realm.store.quarantine import Quarantine; Quarantine.check_closed = die",
    "the work is in the project": "from realm.session import take; after(take, '_ingest')",
    "before what is beside it": "from realm.session import left; left.take = die",
    "after what is beside it": "from realm.session import left; after(left, 'take')",
    "before the refs move": "from realm.session import take; take._move = die",
    "after the refs moved": "from realm.session import take; after(take, '_move')",
    "before the sandbox goes": "from realm.sandbox.sandbox import Sandbox; Sandbox.remove = die",
    "the container is gone": "from realm.sandbox import workspace; workspace.remove = die",
    "a volume is gone": "from realm.sandbox.docker import Engine; after(Engine, 'remove_volume')",
}


def realm_refs(user: User) -> set[str]:
    return {name for name in user.repo.refs() if name.startswith("refs/realm")}


def nothing_is_left(user: User) -> None:
    is_clear(user)
    assert list((user.repo.path / ".git/objects/pack").glob("*.keep")) == []
    assert list((user.repo.path / ".git/objects").rglob("tmp_*")) == []


def sandbox(user: User) -> str:
    (found,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    return found


@pytest.mark.parametrize("step", AT_THE_END)
def test_realm_at_each_step_of_the_end(user: User, step: str) -> None:
    killed = patched(user, DIE + AT_THE_END[step], "new", "--agent", "sh", "cut", "-c", WORK)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    user.scripted(
        "cut", "cat mine rest && git show alt:one && git stash pop -q && cat stashed", verb="resume"
    )
    assert realm_refs(user) == ALL - {"refs/realm-branches/cut/stash/1"} | {
        name for name in realm_refs(user) if name.startswith("refs/realm-trash/cut/")
    }
    assert user.repo.git("log", "--format=%s", "main..refs/realm/cut").splitlines() == [
        "Work of run 2", "Work of run 1", "mine",
    ]  # fmt: skip
    nothing_is_left(user)


AT_REMOVE = {
    "before the refs move": "from realm.session import remove; remove._move_refs = die",
    "after the refs moved": "from realm.session import remove; after(remove, '_move_refs')",
}


def test_realm_at_each_step_of_a_removal(user: User) -> None:
    user.scripted("cut", WORK)
    before = {name: oid for name, oid in user.repo.refs().items() if name in ALL}
    for step, patch in AT_REMOVE.items():
        killed = patched(user, DIE + patch, "remove", "cut", "--yes")
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr)
        if "refs/realm/cut" in user.repo.refs():
            user.realm("remove", "cut", "--yes")
        assert not realm_refs(user) & ALL, step
        user.realm("restore", "cut")
        assert {name: oid for name, oid in user.repo.refs().items() if name in ALL} == before, step
    user.scripted("cut", "cat mine rest", verb="resume")
    nothing_is_left(user)


AT_PUSH = {
    "before": "from realm.store import remote; remote.push = die",
    "after": "from realm.store import remote; after(remote, 'push')",
    "noted": "from realm.session import approvals; after(approvals, 'note_push')",
}


def test_realm_at_each_step_of_a_push(user: User, tmp_path: Path) -> None:
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    user.repo.git("remote", "add", "origin", str(origin.path))
    for number, (step, patch) in enumerate(AT_PUSH.items()):
        user.scripted("cut", f"echo more >more-{number}", verb="resume" if number else "new")
        killed = patched(user, DIE + patch, "push", "cut")
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr)
        user.realm("push", "cut")
        assert origin.head("refs/heads/cut") == user.tip("cut"), step
    user.scripted("cut", "echo more >more", verb="resume")
    user.realm("push", "cut")
    assert origin.head("refs/heads/cut") == user.tip("cut")
    nothing_is_left(user)


def test_the_agent(user: User) -> None:
    user.scripted("cut", f"{WORK}; kill -KILL $$", code=137)
    assert realm_refs(user) == ALL
    assert user.listed()[0]["died"] is None
    nothing_is_left(user)


def test_memory_that_runs_out_is_said(user: User) -> None:
    user.extra["REALM_MEMORY"] = "64m"
    said = user.scripted("cut", f"{WORK}; x=a; while :; do x=$x$x; done", code=137).err
    assert "run 1 needed more memory than its limit of 64 MiB" in said
    assert "realm.memory" in said
    assert realm_refs(user) == ALL
    row = user.listed()[0]
    assert (row["state"], row["activity"], row["died"]) == ("exited", "failed", "out of memory")
    assert row["also_kept"] == "branch alt (1 commit), 1 stash"
    assert "failed (out of memory)" in user.realm("list").out
    nothing_is_left(user)


@pytest.mark.parametrize(
    ("how", "died"),
    [
        (("kill",), "killed, exit 137"),
        (("rm", "-f"), "container removed"),
        (("stop",), "stopped from outside"),
    ],
)
def test_the_container_is_said(user: User, how: tuple[str, ...], died: str) -> None:
    process = user.start("new", "--agent", "sh", "cut", "-c", ENDLESS)
    assert first_line(process) == "ready\n"
    engines.docker(*how, sandbox(user))
    _, errors = process.communicate(timeout=90)
    assert "warning" in errors
    assert (user.listed()[0]["state"], user.listed()[0]["died"]) == ("exited", died)
    assert f"failed ({died})" in user.realm("list").out
    assert realm_refs(user) == ALL
    assert "rest" in user.repo.files("refs/realm/cut")
    nothing_is_left(user)


def test_the_engine_lost_sight_of_the_container(user: User) -> None:
    """An engine's report of a container whose end it missed, as it was killed as well."""
    process = user.start("new", "--agent", "sh", "cut", "-c", ENDLESS)
    assert first_line(process) == "ready\n"
    process.kill()
    process.communicate()
    engines.docker("kill", sandbox(user))
    patch = (
        "from realm.sandbox.answers import End\n"
        "from realm.sandbox.docker import Engine; Engine.end = lambda self, _: End(255, False, 0)\n"
        "from realm.sandbox.sandbox import Sandbox; real = Sandbox.wait\n"
        "Sandbox.wait = lambda self: 255 if self.owner.role == 'box' else real(self)"
    )
    stopped = patched(user, patch, "stop", "cut")
    assert "the engine, or its machine, was restarted" in stopped.stderr, stopped.stderr
    assert user.listed()[0]["died"] == "engine restarted"
    assert realm_refs(user) == ALL
    nothing_is_left(user)


def test_everything_at_once_while_the_project_is_collected(user: User) -> None:
    loop = user.shell("while :; do git gc -q --prune=now 2>/dev/null; done")
    try:
        process = user.start("new", "--agent", "sh", "cut", "-c", ENDLESS)
        assert first_line(process) == "ready\n"
        process.kill()
        process.communicate()
        engines.docker("kill", sandbox(user))
        both = [user.start("stop", "cut") for _ in range(2)]
        for other in both:
            other.communicate(timeout=120)
        eventually(lambda: user.listed()[0]["state"] == "exited", 30)
        assert realm_refs(user) == ALL
        assert user.repo.git("log", "--format=%s", "main..refs/realm/cut").splitlines() == [
            "Work of run 1", "mine",
        ]  # fmt: skip
    finally:
        loop.close()
    user.repo.git("fsck", "--strict")


def test_what_is_left_over_is_reported_and_removed(user: User) -> None:
    """A sandbox whose work is in git, a quarantine, a temporary ref, a scratch directory; a lock of git's."""
    patched(user, DIE + AT_THE_END["after the refs moved"], "new", "--agent", "sh", "cut", "-c", WORK)
    held = user.repo.path / ".git/refs/realm/other.lock"
    held.touch()
    os.utime(held, (0, 0))
    assert "other.lock" in user.realm("doctor", code=None).out
    held.unlink()
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    place = realm_home() / "tmp" / f"quarantine@{os.uname().nodename}@{gone.pid}@0"
    place.mkdir(parents=True)
    said = user.realm("gc").out
    assert "removed the container of cut, whose work is in git" in said
    assert "leftover" in said
    nothing_is_left(user)
    assert realm_refs(user) == ALL
    assert "nothing is left over" in user.realm("gc").err


def test_work_that_is_not_in_git_stays(user: User) -> None:
    patched(user, DIE + AT_THE_END["before the refs move"], "new", "--agent", "sh", "cut", "-c", WORK)
    user.realm("gc")
    assert user.listed()[0]["state"] == "salvage"
    user.realm("stop", "cut")
    assert realm_refs(user) == ALL
    nothing_is_left(user)
