"""Where the Docker engine is: ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the docker CLI's current context.

A stream of bytes to one on a unix socket or at plain TCP is a socket of ours.
What needs ssh or TLS goes through ``docker system dial-stdio``, the CLI's own
bridge to the engine, which brings the user's keys and certificates, closes one
direction at a time, and leaves a socket that another process can go on with.

The files are the CLI's: ``config.json`` with ``currentContext``, and
``contexts/meta/<sha256 of the name>/meta.json`` with ``Endpoints.docker.Host``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import EngineError
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_PORT, TLS_PORT = 2375, 2376
SCHEMES = ("unix", "tcp", "http", "https", "ssh")
_SOCKET_PATH = 107
"""Bytes of a unix socket's path, at most."""
CONNECT_TIMEOUT = 10.0
"""Seconds to reach an engine over TCP."""


class Endpoint(NamedTuple):
    """An engine's address, and who said so (``DOCKER_HOST``, ``context <name>``, ``default``)."""

    url: str
    source: str
    tls: bool = False
    context: str = ""

    @property
    def scheme(self) -> str:
        """The part before ``://``: ``unix``, ``tcp``, ``ssh``."""
        return self.url.partition("://")[0]

    @property
    def address(self) -> str:
        """The part after ``://``."""
        return self.url.partition("://")[2]

    @property
    def secure_url(self) -> str:
        """The address with TLS, and with its default port if none is given."""
        host, port = _host_and_port(self.address, TLS_PORT)
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    @property
    def local(self) -> bool:
        """Whether the engine is on this machine, as far as its address tells."""
        return self.scheme == "unix"


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _from_context(name: str, source: str, directory: Path) -> Endpoint:
    import hashlib

    meta = directory / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    host: object = _read_json(meta)
    for key in ("Endpoints", "docker", "Host"):
        host = host.get(key) if isinstance(host, dict) else None
    if not isinstance(host, str) or not host:
        raise EngineError(f"docker context {name!r} ({source}) does not exist", "docker context ls")
    tls = (directory / "contexts" / "tls" / meta.parent.name / "docker").is_dir()
    tls = tls or host.startswith("https://")
    return _checked(Endpoint(host, f"context {name}", tls=tls, context=name))


def _checked(endpoint: Endpoint) -> Endpoint:
    """Return ``endpoint`` if its address is valid; otherwise raise ``EngineError``."""
    if endpoint.scheme == "unix":
        fits = endpoint.address.startswith("/") and len(os.fsencode(endpoint.address)) <= _SOCKET_PATH
    elif endpoint.scheme in {"tcp", "http", "https"}:
        host, port = _host_and_port(endpoint.address)
        fits = bool(host) and 0 < port <= 65535  # noqa: PLR2004 - the highest port there is
    else:
        fits = endpoint.scheme in SCHEMES and bool(endpoint.address)
    if fits:
        return endpoint
    shown = clean(endpoint.url, limit=80)
    raise EngineError(
        f"'{shown}' ({endpoint.source}) is not an address of a Docker engine",
        f"unix:///var/run/docker.sock and tcp://HOST:2375 are such addresses; check {endpoint.source}",
    )


def _host_and_port(address: str, usual: int = DEFAULT_PORT) -> tuple[str, int]:
    """Split ``host:port``; without a port it is ``usual``, for an invalid one 0."""
    host, colon, port = address.rstrip("/").rpartition(":")
    if not colon or port.endswith("]"):
        return address.rstrip("/").strip("[]"), usual
    return host.strip("[]"), int(port) if port.isascii() and port.isdigit() else 0


def resolve(environ: Mapping[str, str] | None = None) -> Endpoint:
    """Return the engine's endpoint in the CLI's order; ``EngineError`` for a context that is not there."""
    environ = os.environ if environ is None else environ
    if host := environ.get("DOCKER_HOST"):
        url = host if "://" in host else f"tcp://{host}"
        return _checked(
            Endpoint(
                url, "DOCKER_HOST", tls=bool(environ.get("DOCKER_TLS_VERIFY")) or url.startswith("https://")
            )
        )
    directory = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home(), ".docker"))
    name, source = environ.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        current = _read_json(directory / "config.json").get("currentContext")
        name, source = (current if isinstance(current, str) else ""), "the docker CLI's current context"
    if name and name != "default":
        return _from_context(name, source, directory)
    return Endpoint(f"unix://{DEFAULT_SOCKET}", "default")


def dial(endpoint: Endpoint) -> socket.socket:
    """Return a connected stream socket to ``endpoint``; ``OSError`` as the system gives it."""
    if endpoint.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(endpoint.address)
        except OSError:
            sock.close()
            raise
        return sock
    if endpoint.scheme == "ssh" or endpoint.tls:
        return _dial_through_cli(endpoint)
    sock = socket.create_connection(_host_and_port(endpoint.address), CONNECT_TIMEOUT)
    sock.settimeout(None)
    return sock


def _dial_through_cli(endpoint: Endpoint) -> socket.socket:
    if shutil.which("docker") is None:
        raise EngineError(
            f"the engine at {endpoint.url} is reached through the docker command, which is not installed",
            "install the docker command line, or set DOCKER_HOST to a unix socket",
            kind="unreachable",
        )
    chosen = ["--context", endpoint.context] if endpoint.context else []
    # It ends when our end is closed.  The shell leaves it to the system to wait for,
    # and Ctrl-C, which the whole foreground gets, does not reach it.
    command = ["/bin/sh", "-c", 'exec 3<&0; "$@" <&3 3<&- &', "sh", "docker", *chosen, "system", "dial-stdio"]
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.run(command, stdin=theirs.fileno(), stdout=theirs.fileno(), check=False)
    return ours
