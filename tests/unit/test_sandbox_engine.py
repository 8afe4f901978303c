from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from realm.errors import EngineError, ImageError
from realm.sandbox import docker, trouble
from realm.sandbox.answers import Machine
from realm.sandbox.endpoint import Endpoint, resolve
from realm.sandbox.image import build
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
    made = trouble.unreachable(endpoint, error, platform)
    assert message in made.message
    assert hint in made.hint


@pytest.mark.parametrize("error", [FileNotFoundError(2, "no"), PermissionError(13, "Permission denied")])
def test_a_rootless_engine_of_ones_own_is_named(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("docker.sock")
        made = trouble.unreachable(LOCAL, error, "linux")
    assert made.hint.startswith(f"export DOCKER_HOST=unix://{tmp_path}/docker.sock ")


def test_what_an_engine_cannot_limit_is_known() -> None:
    assert Machine.of({"MemoryLimit": True, "PidsLimit": True}).unlimited == ()
    assert Machine.of({"MemoryLimit": False, "PidsLimit": False}).unlimited == ("memory", "processes")
    assert Machine.of({"CgroupDriver": "none"}).unlimited == ("disk space",)
    podman = {"CgroupDriver": "cgroupfs", "CgroupVersion": "1", "SecurityOptions": ["name=rootless"]}
    assert Machine.of(podman).unlimited == ("disk space",)
    assert Machine.of({**podman, "SecurityOptions": None}).unlimited == ()


@pytest.mark.parametrize(("installed", "message"), [(False, "not installed"), (True, "not running")])
def test_missing_socket_means_missing_or_stopped(
    installed: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "_installed", lambda: installed)
    assert message in trouble.unreachable(LOCAL, FileNotFoundError(2, "no"), "linux").message


def test_an_engine_that_hangs_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docker, "_ANSWERED_HERE", 0.1)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(EngineError, match=r"docker.sock \(DOCKER_HOST\) does not answer$"):
            docker.connect({"HOME": str(tmp_path), "DOCKER_HOST": f"unix://{path}"})


def test_stopped_engine_behind_a_real_socket(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(EngineError, match="is not running"):
        docker.connect({"HOME": str(tmp_path), "DOCKER_HOST": f"unix://{path}"})


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
        docker.connect(serve(answer))


def test_old_engine_is_refused(serve: Serve) -> None:
    with pytest.raises(EngineError, match="too old"):
        docker.connect(serve(b"HTTP/1.1 200 OK\r\nApi-Version: 1.30\r\nContent-Length: 2\r\n\r\nOK"))


def _answer(body: bytes, api: str) -> bytes:
    """Return the only answer of an engine that speaks ``api``."""
    head = f"HTTP/1.1 200 OK\r\nApi-Version: {api}\r\nConnection: close\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("newest", "oldest", "used"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.47", "1.24", "1.47"),
        ("1.99", "1.44", "1.47"),
        ("2.0", "1.24", "1.47"),
        ("1.99", "1.60", "1.60"),
    ],
)
def test_version_that_both_speak(newest: str, oldest: str, used: str, serve: Serve) -> None:
    body = json.dumps({"MinAPIVersion": oldest}).encode()
    with docker.connect(serve(_answer(body, newest))) as connected:
        assert "{}.{}".format(*connected.api) == used


def test_calls_of_several_threads_at_once(serve: Serve) -> None:
    answers: list[object] = []
    with docker.connect(serve(_answer(b'{"ServerVersion": "a"}', "1.41"))) as connected:

        def ask() -> None:
            answers.extend(connected.info().version for _ in range(50))

        together(*[ask] * 4)
    assert answers == ["a"] * 200


def test_only_what_has_all_labels_is_listed_though_one_is_enough_for_podman(serve: Serve) -> None:
    volumes = [{"Name": name, "Labels": labels} for name, labels in (
        ("both", {"a": "b", "c": ""}), ("one", {"a": "b"}), ("other", {"a": "x", "c": ""}), ("none", None),
    )]  # fmt: skip
    with docker.connect(serve(_answer(json.dumps({"Volumes": volumes}).encode(), "1.41"))) as connected:
        assert [found.name for found in connected.volumes("a=b", "c")] == ["both"]
        assert [found.name for found in connected.volumes("c")] == ["both", "other"]


class Podman:
    """What a Podman is asked: commands in its containers, signals, and ends with the seconds they have."""

    def __init__(self, code: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """``code`` is what a command exits with after ``seconds``."""
        self.asked: list[object] = []

        def run(*_: object, patience: float) -> int:
            time.sleep(min(patience, seconds))
            return code

        engine = docker.Engine(LOCAL)
        engine.is_podman = True
        monkeypatch.setattr(engine, "exec", run)
        monkeypatch.setattr(engine, "_client", self)
        self.engine = engine

    def kill(self, _: str, name: str) -> None:
        self.asked.append(name)

    def stop(self, _: str, seconds: int) -> None:
        self.asked.append(seconds)


@pytest.mark.parametrize(("code", "asked"), [(0, []), (1, ["SIGINT"])])
def test_podmans_init_gets_a_signal_only_where_its_child_has_not(
    code: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    podman = Podman(code, 0, monkeypatch)
    podman.engine.signal("it", "SIGINT")
    assert podman.asked == asked
    podman.engine.signal("it", "SIGKILL")
    assert podman.asked == [*asked, "SIGKILL"]


def test_what_passing_a_signal_on_takes_is_no_longer_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    podman = Podman(0, 1.2, monkeypatch)
    podman.engine.stop("it", 7)
    podman.engine.stop("it", 0.5)
    assert podman.asked == [6, 1]


def test_what_a_build_printed_is_said_in_whole_lines_without_its_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Building:
        def build(self, **_: object) -> list[dict[str, str]]:
            pieces = ("Step 1/1 : RUN npm\n", "\x1b[91mnpm ", "ERR!", " no\x1b[0m", "\n", "over")
            return [*({"stream": piece} for piece in pieces), {"error": "it returned 1"}]

    engine = docker.Engine(LOCAL)
    monkeypatch.setattr(engine, "_client", Building())
    with pytest.raises(ImageError) as caught:
        build.follow(engine, "x", build.with_engine(engine, {}, "x", {}), lambda _: None)
    assert caught.value.message.splitlines()[1:] == [
        "Step 1/1 : RUN npm", "npm ERR! no", "over", "it returned 1",
    ]  # fmt: skip


Reply = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def fake(place: Path, reply: Reply) -> Iterator[docker.Engine]:
    """Give an engine on a unix socket that answers pings; ``reply`` gets other requests' connections."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "fake"))
    listener.listen()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while head := read_head(connection):
                if b"/_ping" not in head:
                    reply(connection, head)
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK")

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with docker.connect({"HOME": str(place), "DOCKER_HOST": f"unix://{place / 'fake'}"}) as engine:
            yield engine
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_head(connection: socket.socket) -> bytes:
    """Return a request's head, nothing where none comes; a body is read and dropped."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            return b""
        head += more
    if length := re.search(rb"Content-Length: (\d+)", head):
        connection.recv(int(length[1]), socket.MSG_WAITALL)
    return head


UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
UPGRADED += b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.mark.parametrize("split", [len(UPGRADED), len(UPGRADED) + 5, 7])
def test_attach_loses_nothing_that_comes_with_the_head(tmp_path: Path, split: int) -> None:
    sent = UPGRADED + b"first bytes\r\n"
    requests: list[bytes] = []

    def reply(connection: socket.socket, head: bytes) -> None:
        requests.append(head)
        connection.sendall(sent[:split])
        time.sleep(0.05)
        connection.sendall(sent[split:])
        assert connection.recv(3) == b"key"
        connection.sendall(b"echo")

    with fake(tmp_path, reply) as engine:
        sock, begun = engine.attach("abc")
        with sock:
            sock.setblocking(True)
            sock.sendall(b"key")
            assert begun + b"".join(iter(lambda: sock.recv(100), b"")) == b"first bytes\r\necho"
    assert b"detachKeys=%FF" in requests[0]


def test_attach_that_is_refused_says_why(tmp_path: Path) -> None:
    def reply(connection: socket.socket, _: bytes) -> None:
        body = b'{"message": "no such container: abc"}'
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with fake(tmp_path, reply) as engine, pytest.raises(EngineError, match="no such container") as caught:
        engine.attach("abc")
    assert caught.value.kind == "not found"


def test_refusal_in_the_middle_of_an_upload_is_heard(tmp_path: Path) -> None:
    def reply(connection: socket.socket, _: bytes) -> None:
        connection.recv(1000)
        body = b'{"message": "write /x: no space left on device"}'
        connection.sendall(b"HTTP/1.1 500 Error\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with fake(tmp_path, reply) as engine, pytest.raises(EngineError, match="no space left") as caught:
        engine.put("abc", "/", (b"x" * 65536 for _ in range(1000)))
    assert caught.value.kind == "no space"


def test_command_in_a_container_gives_its_output_and_code(tmp_path: Path) -> None:
    frames = b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\x01!"

    def reply(connection: socket.socket, head: bytes) -> None:
        if b"/start" in head:
            connection.sendall(UPGRADED + frames[:10])
            connection.sendall(frames[10:])
            return
        body = b'{"Id": "e1"}' if b"/containers/" in head else b'{"Running": false, "ExitCode": 3}'
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)

    with fake(tmp_path, reply) as engine:
        got: list[bytes] = []
        assert engine.exec("abc", ["x"], got.append, patience=5) == 3
        with pytest.raises(EngineError, match="more than allowed"):
            engine.exec("abc", ["x"], got.append, patience=5, limit=5)
    assert b"".join(got).startswith(b"hello!")


def test_refusal_is_in_the_engines_words_cleaned() -> None:
    paused = trouble.refusal(409, f"Container {'5e' * 32} is paused, unpause the container before exec")
    assert (paused.message, paused.hint) == ("the container is paused", "docker unpause 5e5e5e5e5e5e")
    made = trouble.refusal(409, "name \x1b[31mtaken")
    assert (made.kind, made.message) == ("conflict", "the Docker engine refused: name [31mtaken")
    for words in ("Unknown runtime specified kata", "unknown or invalid runtime name: kata"):
        unknown = trouble.refusal(400, words)
        assert unknown.message == "the Docker engine has no runtime kata"
        assert "docker info" in (unknown.hint or "")
    assert "HTTP status 500" in trouble.refusal(500, b"").message


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Return a directory with an authority, and with a key that serves as an engine's and as a user's."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(tmp_path / "cert.pem", tmp_path / "ca.pem")
    return tmp_path


def test_engine_behind_tls_gets_the_users_certificate(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(_answer(b"OK", "1.47"))

        thread = threading.Thread(target=run)
        thread.start()
        environ = {"DOCKER_HOST": f"tcp://127.0.0.1:{listener.getsockname()[1]}", "DOCKER_TLS_VERIFY": "1"}
        environ["DOCKER_CERT_PATH"] = str(certificates)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with docker.connect() as connected:
            assert connected.api == (1, 47)
        thread.join()
