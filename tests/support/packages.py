"""A package registry for npm and pip that requires a login, and a server that it redirects to."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.support.serving import Serving, secure

if TYPE_CHECKING:
    from pathlib import Path


class Asked(list[tuple[str, str, str]]):
    """What was asked: method (with the one, and the path, in its place), path and ``Authorization``."""


class Registry(Serving):
    """Below ``/npm/`` the package ``lib``, for a bearer, below ``/pip/`` ``tool``, for a user.

    ``/npm/moved`` leads to ``elsewhere``.  With a ``directory``, where its certificate goes, it speaks TLS
    as ``npm.test``.  Each answer begins a session.
    """

    def __init__(
        self, address: str, bearer: str, basic: str, *, elsewhere: str = "", directory: Path | None = None
    ) -> None:
        self.asked = Asked()
        self.headers = {"/npm/": f"Bearer {bearer}", "/": _basic(basic)}
        self._server = _Server(self, address)
        port = self._server.server_address[1]
        self.url = f"{'https://npm.test' if directory else f'http://{address}'}:{port}"
        self.elsewhere = elsewhere
        if directory:
            secure(self._server, directory, "npm.test", "other.test")

    def refused(self) -> list[tuple[str, str, str]]:
        """Return the requests without the right login."""
        return [one for one in self.asked if one[2] != self.wanted(one[1])]

    def wanted(self, path: str) -> str:
        """Return the login that a path requires."""
        return self.headers["/npm/" if path.startswith("/npm/") else "/"]

    def answer(self, path: str) -> tuple[str, bytes]:
        """Return the content type and the content at a path."""
        if path == "/npm/lib":
            one = {
                "name": "lib",
                "version": "1.0.0",
                "dist": {
                    "tarball": f"{self.url}/npm/lib/-/lib-1.0.0.tgz",
                    "integrity": f"sha512-{base64.b64encode(hashlib.sha512(_TARBALL).digest()).decode()}",
                },
            }
            told = {"name": "lib", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": one}}
            return "application/json", json.dumps(told).encode()
        if path == "/npm/lib/-/lib-1.0.0.tgz":
            return "application/octet-stream", _TARBALL
        if path == "/pip/tool/":
            name = "tool-1.0-py3-none-any.whl"
            return "text/html", f"<a href='{self.url}/files/{name}'>{name}</a>".encode()
        if path.startswith("/files/"):
            return "application/zip", _WHEEL
        return "text/plain", b"something"


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _tarball() -> bytes:
    out = io.BytesIO()
    files = {"package.json": '{"name": "lib", "version": "1.0.0"}', "index.js": "console.log('from npm')"}
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mode = len(text), 0o644
            made.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def _wheel() -> bytes:
    out = io.BytesIO()
    about = "tool-1.0.dist-info"
    files = {
        "tool.py": "print('from pip')\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(out, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return out.getvalue()


_TARBALL, _WHEEL = _tarball(), _wheel()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: Registry, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_GET(self) -> None:
        owner = self.server.owner
        path = self.path
        given = ", ".join(self.headers.get_all("Authorization") or [])
        changed = [self.headers.get_all(f"X-{name}", []) for name in ("HTTP-Method-Override", "Original-URL")]
        method = " ".join([self.command, *changed[0], *changed[1]])
        owner.asked.append((method, path, given))
        kind, body = owner.answer(path)
        if owner.elsewhere and path == "/npm/moved":
            self.send_response(302)
            self.send_header("Location", f"{owner.elsewhere}/got")
        elif given != owner.wanted(path):
            kind, body = "text/plain", b"no login"
            self.send_response(401)
        else:
            self.send_response(200)
        self.send_header("Set-Cookie", "session=of-the-user")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_CONNECT = do_GET  # noqa: N815
