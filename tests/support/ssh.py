"""An ssh agent with keys, an ssh that reads a test's configuration, and the agent lent without an engine."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from realm.sandbox.stream import Attachment
from realm.session import lending, warden
from realm.together import Beside
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import threading

    from realm.session.ssh import Ssh

LEND = Path(__file__).resolve().parents[2] / "container/egress/lend"


class UserAgent:
    """A real ssh-agent with private keys."""

    def __init__(self, *keys: Path) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="realm-agent-", dir="/tmp"))
        self.socket = str(self._place / "agent.sock")
        self.env = {**os.environ, "SSH_AUTH_SOCK": self.socket}
        self._process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", self.socket], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        eventually(lambda: listens(self.socket))
        for key in keys:
            subprocess.run(["ssh-add", "-q", key], env=self.env, check=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._place)

    def keys(self) -> str:
        """Return the agent's list of keys."""
        done = subprocess.run(["ssh-add", "-l"], env=self.env, check=False, stdout=subprocess.PIPE, text=True)
        return done.stdout


def listens(path: str) -> bool:
    """Tell whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def make_key(path: Path) -> Path:
    """Create a key pair at ``path``."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"the key {path.name}", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def with_config(directory: Path, *configs: Path) -> str:
    """Return a PATH on which ``ssh`` reads these files, as it would ignore any in a test's HOME."""
    directory.mkdir()
    (directory / "config").write_text("".join(config.read_text() for config in configs))
    program = directory / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {directory}/config "$@"\n')
    program.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


class Lent:
    """An agent lent through a socket, by the sidecar's program and the holder that :meth:`hold` starts."""

    def __init__(self, ssh: Ssh) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="realm-lent-", dir="/tmp"))
        self.socket, self._held = str(self._place / "agent"), str(self._place / "held")
        self.told: list[str] = []
        self._warden = warden.Warden(ssh, self.told.append)
        self._process = subprocess.Popen(["perl", LEND, self.socket, self._held], stdin=subprocess.DEVNULL)
        eventually(lambda: listens(self._held))
        self._beside: Beside | None = None
        self.hold()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._place)

    def hold(self) -> None:
        """Start a holder, which answers from now on."""
        link = socket.socket(socket.AF_UNIX)
        link.connect(self._held)
        stream = Attachment(link, b"", tty=True)
        self._beside = Beside(lambda stop: self._serve(stream, stop))

    def _serve(self, stream: Attachment, stop: threading.Event) -> None:
        lending.serve(self._warden, stream, stop)
        stream.close()

    def leave(self) -> None:
        """End the holder, so that nothing answers."""
        if self._beside is not None:
            self._beside.end(5)
            self._beside = None

    def ask(self, *requests: bytes) -> bytes:
        """Return the answer to the last of some requests in one connection; raises ``OSError``."""
        return warden.ask(self.socket, *requests)


# -- requests, as programs make them -------------------------------------------------


def string(data: bytes) -> bytes:
    """Return the protocol's encoding of a string."""
    return len(data).to_bytes(4, "big") + data


def public(path: Path) -> bytes:
    """Return the public key of the pair at ``path``."""
    return base64.b64decode(path.with_name(f"{path.name}.pub").read_text().split()[1])


def bind(host_key: bytes, connection: bytes, signature: bytes, *, forwarded: bool = False) -> bytes:
    """Return the request to bind a connection to a host."""
    fields = (b"session-bind@openssh.com", host_key, connection, signature)
    return b"\x1b" + b"".join(map(string, fields)) + bytes([forwarded])


def login(
    key: bytes, connection: bytes, *, method: bytes = b"publickey", service: bytes = b"ssh-connection",
    named: bytes | None = None, end: bytes = b"",
) -> bytes:  # fmt: skip
    """Return the data that a login's signature covers."""
    words = string(b"ada") + string(service) + string(method) + b"\1" + string(b"ssh-ed25519")
    return string(connection) + b"\x32" + words + string(key if named is None else named) + end


def sign(key: bytes, data: bytes, flags: bytes = bytes(4)) -> bytes:
    """Return the request to sign ``data``."""
    return b"\x0d" + string(key) + string(data) + flags


def signature(agent: str, key: bytes, data: bytes) -> bytes:
    """Return the signature of ``data`` by a key of the agent's."""
    answer = warden.ask(agent, sign(key, data))
    assert answer[:1] == b"\x0e"
    return answer[5:]
