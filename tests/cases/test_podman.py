"""Podman's service in the place of Docker's engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from realm.session.lock import holder
from tests.support import engines
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

IMAGE = "realm:latest"
PACKAGES = (
    "base-files dash coreutils findutils grep sed tar git debianutils libc6 libgcc-s1 libpcre2-8-0 zlib1g "
    "libselinux1 libacl1 libattr1 libgmp10 libtinfo6"
)
"""What a sandbox needs at the least; realm's own image would take a minute to be brought over."""
COPY = rf"""
dpkg -L {PACKAGES} | sed 's,^/\(bin\|sbin\|lib\|lib64\)/,/usr/\1/,' | grep '^/[a-z]' |
grep -v -e ^/usr/share/ -e ^/usr/lib/git-core/ -e /gconv/ | sort -u | tar -C / --no-recursion -T - -c
"""
RUNTIME = """#!/bin/sh
# The usual one, without the limits that Podman raises: only the root of the whole machine may.
before=
for word; do
  case $before in
  --bundle) sed -i 's/"rlimits":\\[[^]]*\\],*//' "$word/config.json" ;;
  --process) sed -i 's/"rlimits":\\[[^]]*\\],*//' "$word" ;;
  esac
  before=$word
done
PATH=$PATH:/usr/sbin
exec "$(command -v runc || command -v crun)" "$@"
"""
SETTINGS = """
[engine]
cgroup_manager = "cgroupfs"
# The usual locks are one set for all of a machine's Podmans.
lock_type = "file"
# Seconds for which the end of a command is known, and a process remembers it.
exit_command_delay = 10
"""
TURN = "turn() { echo '{}' | sh /realm/entry turn $1; }"
"""What the hooks of Claude Code do."""


def _require() -> None:
    """Skip where Podman is not to be had."""
    engines.require()
    why = "" if os.geteuid() == 0 else "the test's own Podman needs root"
    for program in ("podman", "catatonit"):
        why = why or ("" if shutil.which(program) else f"no {program} is installed")
    if why:
        pytest.skip(why)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Podman that has an image with little more than git in it."""
    _require()
    place = tmp_path_factory.mktemp("podman")
    (place / "settings").write_text(SETTINGS)
    (place / "runtime").write_text(RUNTIME)
    (place / "runtime").chmod(0o755)
    env = {**os.environ, "CONTAINERS_CONF": str(place / "settings")}
    # The plainest storage works everywhere, and leaves nothing mounted.
    podman = ["podman", "--storage-driver=vfs"]
    podman += (f"--{name}={place / name}" for name in ("root", "tmpdir", "runtime"))
    short = tempfile.TemporaryDirectory(prefix="podman", ignore_cleanup_errors=True)
    podman.append(f"--runroot={short.name}")  # 50 characters at most
    copy = ["docker", "run", "--rm", "--user=0", "--network=none", "--entrypoint=sh", "realm:latest"]
    take = [*podman, "import", "--quiet", "-", IMAGE]
    with subprocess.Popen([*copy, "-c", COPY], stdout=subprocess.PIPE) as source:
        subprocess.run(take, env=env, stdin=source.stdout, check=True)
    serve = [*podman, "system", "service", "--time=0", f"unix://{place}/socket"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(serve, env=env, stdout=log, stderr=log)
    try:
        eventually((place / "socket").exists)
        yield f"unix://{place}/socket"
    finally:
        for what in ("container", "volume"):
            remove = [*podman, what, "rm", "--all", "--force"]
            subprocess.run(remove, env=env, stdout=subprocess.DEVNULL, check=False)
        process.terminate()
        process.wait()
        short.cleanup()


@pytest.fixture
def there(service: str, user: User, monkeypatch: pytest.MonkeyPatch) -> User:
    """Return a user whose engine is Podman, on which somebody else's objects have the same labels."""
    monkeypatch.setenv("DOCKER_HOST", service)
    user.extra |= {"REALM_NETWORK": "none", "REALM_IMAGE": IMAGE}
    labels = ["--label", "realm.role=box", "--label", f"realm.project={user.repo.path}x"]
    engines.docker("volume", "create", *labels, "others")
    engines.docker("create", "--name", "others", *labels, IMAGE, "true")
    return user


def only_others_are_left() -> bool:
    """Tell whether realm left nothing on the engine except what a project's next session uses."""
    containers = engines.docker("ps", "--all", "--format", "{{.Names}}").split()
    volumes = engines.docker("volume", "ls", "--format", "{{.Name}}").split()
    kept = [name for name in volumes if not name.startswith(engines.SHARED)]
    return containers == kept == ["others"]


def lose(user: User, name: str) -> None:
    """Kill the holder of a session's run; its container goes on."""
    found = holder(next(str(row["id"]) for row in user.listed() if row["name"] == name))
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    eventually(lambda: next(row["state"] for row in user.listed() if row["name"] == name) == "salvage")


def test_there_is_no_open_network_on_podman(there: User) -> None:
    there.extra["REALM_NETWORK"] = "open"
    done = there.scripted("work", "true", code=125)
    assert "error: Podman lets the containers of a network reach each other" in done.err
    assert there.listed() == []


def test_an_agent_on_podman_is_left_found_again_and_told_to_stop(there: User) -> None:
    work = f"{TURN}; turn start; echo one >one.txt; turn stop; echo ready; while :; do sleep 1; done"
    script = f"trap 'echo told >told.txt; exit 3' INT; {work}"
    there.realm("new", "work", "--detach", "--agent", "sh", "--", "-c", script)
    eventually(lambda: "one.txt" in there.repo.files("refs/realm/work"))
    lose(there, "work")
    with there.terminal("attach", "work") as terminal:
        terminal.wait_for("ready")
        terminal.press("C-p", "C-q")
        assert terminal.wait() == 0
    assert "stopped (" in there.realm("stop", "work").err
    assert there.repo.files("refs/realm/work") == ["README.md", "one.txt", "told.txt"]
    assert only_others_are_left()


def test_what_is_lost_on_podman_is_brought_home(there: User, tmp_path: Path) -> None:
    """First the container of a run that nobody holds dies, then another's is removed."""
    script = "echo early >early.txt; git add .; git commit -qm Early; echo late >late.txt; sleep 60"
    for name, end in (("dead", ("kill",)), ("gone", ("rm", "--force"))):
        there.realm("new", name, "--detach", "--agent", "sh", "--", "-c", script)
        there.realm("exec", name, "sh", "-c", "until [ -e late.txt ]; do sleep 0.1; done")
        lose(there, name)
        engines.docker(*end, *engines.labelled("container", f"realm.session={name}"))
        there.realm("rescue", name, str(tmp_path / name))
        assert (tmp_path / name / "late.txt").read_text() == "late\n"
    there.realm("gc")
    there.scripted("dead", "cat late.txt", verb="resume")
    there.realm("stop", "gone")
    for name in ("dead", "gone"):
        assert there.repo.files(f"refs/realm/{name}") == ["README.md", "early.txt", "late.txt"]
        assert there.repo.git("log", "--format=%s", f"refs/realm/{name}").splitlines()[1:] == [
            "Early",
            "Start",
        ]
    assert only_others_are_left()
