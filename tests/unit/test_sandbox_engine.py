from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from realm.errors import EngineError
from realm.sandbox import engine
from realm.sandbox.endpoint import Endpoint, resolve
from realm.together import together

if TYPE_CHECKING:
    from pathlib import Path


def _context(home: Path, name: str, host: str) -> None:
    directory = home / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    directory.mkdir(parents=True)
    (directory / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


def test_order_of_what_names_an_engine(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert resolve(environ).url == "unix:///var/run/docker.sock"
    _context(tmp_path, "desktop", "unix:///desktop.sock")
    _context(tmp_path, "colima", "unix:///colima.sock")
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "desktop"}')
    assert resolve(environ) == Endpoint("unix:///desktop.sock", "context desktop", context="desktop")
    assert resolve(environ | {"DOCKER_CONTEXT": "colima"}).url == "unix:///colima.sock"
    assert resolve(environ | {"DOCKER_CONTEXT": "default"}).source == "default"
    both = environ | {"DOCKER_CONTEXT": "colima", "DOCKER_HOST": "tcp://far:2375"}
    assert resolve(both) == Endpoint("tcp://far:2375", "DOCKER_HOST")
    assert resolve(environ | {"DOCKER_HOST": "x:1", "DOCKER_TLS_VERIFY": "1"}).tls


def test_context_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="'gone'"):
        resolve({"HOME": str(tmp_path), "DOCKER_CONTEXT": "gone"})


def test_broken_configuration_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    assert resolve({"HOME": str(tmp_path)}).source == "default"


LOCAL = Endpoint("unix:///var/run/docker.sock", "default")
REMOTE = Endpoint("tcp://far:2375", "DOCKER_HOST")


@pytest.mark.parametrize(
    ("endpoint", "error", "platform", "message", "hint"),
    [
        (LOCAL, PermissionError(13, "no"), "linux", "no permission", "usermod -aG docker"),
        (LOCAL, ConnectionRefusedError(111, "no"), "linux", "not running", "systemctl start docker"),
        (LOCAL, ConnectionRefusedError(111, "no"), "darwin", "not running", "Docker Desktop"),
        (
            REMOTE,
            ConnectionRefusedError(111, "Connection refused"),
            "linux",
            "Connection refused",
            "DOCKER_HOST",
        ),
    ],
)
def test_each_failure_has_its_advice(
    endpoint: Endpoint, error: OSError, platform: str, message: str, hint: str
) -> None:
    made = engine.unreachable(endpoint, error, platform)
    assert message in made.message
    assert hint in made.hint


@pytest.mark.parametrize(("installed", "message"), [(False, "not installed"), (True, "not running")])
def test_missing_socket_means_missing_or_stopped(
    installed: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_installed", lambda: installed)
    assert message in engine.unreachable(LOCAL, FileNotFoundError(2, "no"), "linux").message


def test_stopped_engine_behind_a_real_socket(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(EngineError, match="is not running"):
        engine.connect({"HOME": str(tmp_path), "DOCKER_HOST": f"unix://{path}"})


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes], dict[str, str]]]:
    """Return a function that answers every connection with given bytes and returns an environment for it."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> dict[str, str]:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return {"HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path / 's'}"}

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


Serve = Callable[[bytes], dict[str, str]]


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"x" * 100_000]
)
def test_something_else_behind_the_socket_is_an_engine_error(answer: bytes, serve: Serve) -> None:
    with pytest.raises(EngineError):
        engine.connect(serve(answer))


def test_old_engine_is_refused(serve: Serve) -> None:
    with pytest.raises(EngineError, match="too old"):
        engine.connect(serve(b"HTTP/1.1 200 OK\r\nApi-Version: 1.30\r\nContent-Length: 2\r\n\r\nOK"))


@pytest.mark.parametrize(
    ("theirs", "used"), [("1.41", "1.41"), ("1.47", "1.47"), ("1.99", "1.47"), ("2.0", "1.47")]
)
def test_version_that_both_speak(theirs: str, used: str, serve: Serve) -> None:
    head = (
        f"HTTP/1.1 200 OK\r\nApi-Version: {theirs}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n"
    )
    with engine.connect(serve(head.encode())) as connected:
        assert connected.api == used


def test_calls_of_several_threads_at_once(serve: Serve) -> None:
    answer = b'{"a": 1}'
    head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: %d\r\n\r\n" % len(answer)
    answers: list[object] = []
    with engine.connect(serve(head + answer)) as connected:

        def ask() -> None:
            answers.extend(connected.call("GET", "/info") for _ in range(50))

        together(*[ask] * 4)
    assert answers == [{"a": 1}] * 200


def test_refusal_is_in_the_engines_words_cleaned() -> None:
    made = engine.refusal(409, json.dumps({"message": "name \x1b[31mtaken"}).encode())
    assert (made.status, made.message) == (409, "the Docker engine refused: name [31mtaken")
    assert "HTTP status 500" in engine.refusal(500, b"").message
