"""Engines that are missing, stopped, forbidden or strange: each has its own message, and git still works."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support import hostile
from tests.support.hostile import Traces, check_words, run_as
from tests.support.repos import Repo
from tests.support.store import add_session, project_of
from tests.support.waiting import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.user import User

NEW = ("new", "--agent", "true", "x")
REAL = "unix:///var/run/docker.sock"


def refused(user: User, said: str, hint: str = "", prefix: tuple[str, ...] = ()) -> None:
    """Check that a new session is refused for want of an engine, and that nothing was made."""
    before = Traces.of(user.repo)
    done = run_as(user, prefix, *NEW)
    check_words(done, 125, said)
    assert hint in done.err
    assert Traces.of(user.repo) == before


ADDRESSES = {
    "no such socket": ("unix:///no/such/engine.sock", "is not running"),
    "a dead port": ("tcp://127.0.0.1:1", "cannot reach"),
    "a name that resolves to nothing": ("tcp://engine.invalid:2375", "cannot reach"),
    "no port": ("tcp://engine.invalid", "cannot reach"),
    "a port that is none": ("tcp://127.0.0.1:docker", "not an address"),
    "a scheme that is none": ("ftp://127.0.0.1:21", "not an address"),
    "an empty address": ("unix://", "not an address"),
    "a file": ("unix:///etc/passwd", "is not running"),
    "an escape": ("unix:///no\x1b[2J.sock", "is not running"),
    "far too long": ("unix:///" + "x" * 300, "not an address"),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_docker_host(user: User, kind: str) -> None:
    user.extra["DOCKER_HOST"], said = ADDRESSES[kind]
    refused(user, said, "DOCKER_HOST")


def test_a_socket_without_permission(user: User, tmp_path: Path) -> None:
    prefix = hostile.powerless()
    with listening(tmp_path / "s", b"") as path:
        path.chmod(0o000)
        user.extra["DOCKER_HOST"] = f"unix://{path}"
        refused(user, "no permission to use", "usermod -aG docker", prefix)


@contextlib.contextmanager
def listening(path: Path, answer: bytes) -> Iterator[Path]:
    """Answer every connection to a unix socket with ``answer`` and hang up."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield path
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


ANSWERS = {
    "nothing": b"",
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a refusal": b'HTTP/1.1 503 No\r\nContent-Length: 24\r\n\r\n{"message":"\\u001b[2Jno"}',
    "an old engine": b"HTTP/1.1 200 OK\r\nApi-Version: 1.20\r\nContent-Length: 2\r\n\r\nOK",
    "half an answer": b"HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 200\r\n\r\nOK",
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_no_engine(user: User, tmp_path: Path, kind: str) -> None:
    with listening(tmp_path / "s", ANSWERS[kind]) as path:
        user.extra["DOCKER_HOST"] = f"unix://{path}"
        refused(user, "engine")


# --- contexts ----------------------------------------------------------------


def context(directory: Path, name: str, host: str, *, current: bool) -> None:
    """Write a context of the docker CLI's, as ``docker context create`` and ``use`` do."""
    meta = directory / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    if current:
        (directory / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.fixture
def docker_config(user: User, tmp_path: Path) -> Path:
    """Return a configuration directory for the docker CLI that only realm is given."""
    directory = tmp_path / "docker"
    directory.mkdir()
    user.extra["DOCKER_CONFIG"] = str(directory)
    return directory


@pytest.mark.usefixtures("docker_config")
def test_an_unknown_context(user: User) -> None:
    user.extra["DOCKER_CONTEXT"] = "nowhere"
    refused(user, "docker context 'nowhere'", "docker context ls")


def test_a_current_context_that_is_gone(user: User, docker_config: Path) -> None:
    (docker_config / "config.json").write_text(json.dumps({"currentContext": "gone"}))
    refused(user, "docker context 'gone'", "docker context ls")


def test_the_current_context_is_asked(user: User, docker_config: Path, tmp_path: Path) -> None:
    context(docker_config, "mine", f"unix://{tmp_path}/none.sock", current=True)
    refused(user, f"unix://{tmp_path}/none.sock (context mine) is not running")


def test_docker_context_wins_over_the_current_one(user: User, docker_config: Path, tmp_path: Path) -> None:
    context(docker_config, "mine", REAL, current=True)
    context(docker_config, "other", f"unix://{tmp_path}/other.sock", current=False)
    user.extra["DOCKER_CONTEXT"] = "other"
    refused(user, "other.sock (context other)")


@pytest.mark.engine
def test_a_context_that_leads_to_an_engine_works(user: User, docker_config: Path) -> None:
    if os.environ.get("DOCKER_HOST"):
        pytest.skip("the engine is not at its usual place")
    context(docker_config, "mine", REAL, current=True)
    assert user.scripted("ctx", "echo x >x").code == 0
    assert user.repo.files("refs/realm/ctx") == ["README.md", "x"]


@pytest.mark.parametrize("config", ["", "[", "[]", '{"currentContext": 3}', "\x00"])
def test_a_broken_configuration_of_the_cli_counts_for_nothing(
    user: User, docker_config: Path, config: str
) -> None:
    (docker_config / "config.json").write_text(config)
    done = run_as(user, (), "doctor")
    assert "Traceback" not in done.err + done.out
    assert "context" not in done.err


@pytest.mark.parametrize("config", ["[]", '{"proxies": [1]}'])
def test_one_that_is_of_another_kind_is_said(user: User, docker_config: Path, config: str) -> None:
    (docker_config / "config.json").write_text(config)
    assert "the docker command's config.json is malformed" in user.realm("doctor", code=1).out


# --- what needs no engine ----------------------------------------------------


@pytest.fixture
def engineless(user: User) -> User:
    user.extra["DOCKER_HOST"] = "unix:///no/such/engine.sock"
    return user


def test_git_verbs_work_without_an_engine(engineless: User, tmp_path: Path) -> None:
    repo = engineless.repo
    add_session(project_of(repo), "fix")
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    tip = repo.git("commit-tree", "-p", "HEAD", "-m", "Work", "HEAD^{tree}")
    repo.git("update-ref", "refs/realm/fix", tip)
    assert [row["name"] for row in engineless.listed()] == ["fix"]
    engineless.realm("push", "fix")
    assert origin.head("refs/heads/fix") == tip
    engineless.realm("remove", "--yes", "fix")
    assert engineless.listed() == []
    engineless.realm("restore", "fix")
    assert engineless.tip("fix") == tip


def used_in(user: User, place: Path) -> None:
    """Make a project at ``place`` that realm was used in."""
    shutil.copytree(user.repo.path, place)
    user.python(
        "from pathlib import Path\n"
        "from realm.session import registry\n"
        f"registry.remember(Path({str(place)!r}))"
    )


def test_projects_that_are_gone_are_told_of_until_they_are_forgotten(
    engineless: User, tmp_path: Path
) -> None:
    add_session(project_of(engineless.repo), "fix")
    for name in ("gone", "later"):
        used_in(engineless, tmp_path / name)
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "later/.git").rename(tmp_path / "later/.git.off")
    told = engineless.realm("list", "--all")
    assert told.out.startswith("fix\t")
    assert told.err.count("no longer exists: skipped") == 2
    assert "hint: realm list --prune" in told.err
    assert "gone" not in engineless.realm("list").err
    pruned = engineless.realm("list", "--all", "--prune")
    assert sorted(pruned.err.splitlines()) == [f"forgot {tmp_path / 'gone'}", f"forgot {tmp_path / 'later'}"]
    assert pruned.out == told.out
    assert engineless.realm("list", "--all", "--prune").err == ""


def test_a_project_that_cannot_be_read_is_not_forgotten(engineless: User, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    used_in(engineless, broken)
    (broken / ".git/HEAD").write_text("nonsense")
    for _ in range(2):
        done = engineless.realm("list", "--all", "--prune")
        assert done.err.startswith("warning: skipped: ")
        assert "forgot" not in done.err
    assert [row["project"] for row in engineless.listed("--all")] == []


def test_resume_and_doctor_say_that_the_engine_is_down(engineless: User) -> None:
    add_session(project_of(engineless.repo), "fix")
    engineless.extra["ANTHROPIC_API_KEY"] = "sk-none"
    before = Traces.of(engineless.repo)
    done = run_as(engineless, (), "resume", "fix", "--no-input")
    check_words(done, 125, "is not running")
    after = Traces.of(engineless.repo)
    assert (after.refs, after.engine, after.tree) == (before.refs, before.engine, before.tree)
    doctor = run_as(engineless, (), "doctor")
    assert doctor.code == 1
    assert "is not running" in doctor.out
    build = run_as(engineless, (), "build")
    check_words(build, 1, "is not running")


@pytest.mark.engine
def test_a_session_with_work_in_a_sandbox_is_not_removed_without_the_engine(user: User) -> None:
    process = user.start("new", "--agent", "sh", "left", "-c", "echo x >x; echo ready; sleep 60")
    assert first_line(process) == "ready\n"
    process.kill()
    process.communicate()
    user.extra["DOCKER_HOST"] = "unix:///no/such/engine.sock"
    check_words(run_as(user, (), "remove", "--yes", "left"), 1, "may still have a container")
    assert "refs/realm/left" in user.repo.refs()
