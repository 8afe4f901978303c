"""Real git servers on loopback: OpenSSH with keys, and git's own http-backend with a password."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.support.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator


def free_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port of ``address`` (default: loopback) that is free now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


_SSHD = """\
Port {port}
ListenAddress {address}
HostKey {directory}/host
PidFile {directory}/pid
AuthorizedKeysFile {directory}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
AcceptEnv GIT_PROTOCOL
"""

_CLIENT = """\
Host {name}
  HostName {address}
  Port {port}
  User {user}
  IdentityFile {directory}/user
  IdentitiesOnly yes
  UserKnownHostsFile {directory}/known
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


class SshServer:
    """An sshd that accepts one key; ``config`` makes ``ssh -F config there`` reach it."""

    def __init__(self, directory: Path, name: str = "there", address: str = "127.0.0.1") -> None:
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        if not Path(program).exists():
            pytest.skip("no sshd here")
        directory.mkdir(mode=0o700)
        for file in ("host", "user"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / file)]
            subprocess.run(key, check=True, capture_output=True)
        port = free_port(address)
        user = pwd.getpwuid(os.getuid()).pw_name
        (directory / "sshd_config").write_text(_SSHD.format(port=port, directory=directory, address=address))
        self.config = directory / "ssh_config"
        self.config.write_text(
            _CLIENT.format(port=port, directory=directory, user=user, name=name, address=address)
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        command = [program, "-D", "-e", "-f", str(directory / "sshd_config")]
        self._log = (directory / "log").open("wb")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self._log)
        _wait_for_port(address, port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()


def _wait_for_port(address: str, port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at port {port}")


class HttpServer(Serving):
    """``git http-backend`` over the repositories below ``root``, for one user with a password."""

    def __init__(self, root: Path, user: str, password: str, address: str = "127.0.0.1") -> None:
        self.root = root
        self.address = address
        self.refused = 0
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.authorization = f"Basic {token}"
        self.user = user
        self._server = _HttpServer(self)
        self.url = f"http://{address}:{self._server.server_address[1]}"


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: HttpServer) -> None:
        super().__init__((owner.address, 0), _Backend)
        self.owner = owner


class _Backend(BaseHTTPRequestHandler):
    """Passes every request to ``git http-backend``, as RFC 3875 says."""

    protocol_version = "HTTP/1.0"
    server: _HttpServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_GET(self) -> None:
        owner = self.server.owner
        if self.headers.get("Authorization") != owner.authorization:
            owner.refused += 1
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="tests"')
            self.end_headers()
            return
        done = subprocess.run(
            ["git", "http-backend"],
            env=self._environment(),
            input=self._body(),
            capture_output=True,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(_header_lines(head))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _environment(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        owner = self.server.owner
        return dict(os.environ) | {
            "GIT_PROJECT_ROOT": str(owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": owner.user,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }


def _header_lines(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name, value.strip()
