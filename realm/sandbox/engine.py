"""The Docker engine: connecting, asking, and saying what is wrong when it does not answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote, urlencode

from realm.errors import EngineError
from realm.sandbox import http
from realm.sandbox.endpoint import Endpoint, dial, resolve
from realm.text import clean

if TYPE_CHECKING:
    import socket

NEWEST_API = (1, 47)
"""The newest version of the Engine API that realm was written for."""
OLDEST_API = (1, 40)
"""Docker 19.03; volumes as mounts with labels and device requests need it."""

Query = Mapping[str, str | int | bool]
_HTTP_ERROR = 400


class ApiError(EngineError):
    """The engine refused a request; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


class Info(NamedTuple):
    """What an engine says of itself; sizes in bytes."""

    name: str
    version: str
    api: str
    system: str
    architecture: str
    cpus: int
    memory: int
    storage: str
    root: str
    rootless: bool
    endpoint: str
    source: str


def _target(version: str, path: str, query: Query | None) -> str:
    pairs = {k: (str(int(v)) if isinstance(v, bool) else str(v)) for k, v in (query or {}).items()}
    prefix = f"/v{version}" if version else ""
    return prefix + path + ("?" + urlencode(pairs, quote_via=quote) if pairs else "")


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    try:
        return int(major), int(minor or 0)
    except ValueError:
        return NEWEST_API


class Engine:
    """A connected engine.  Calls may come from several threads; idle connections are kept."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.api = ""
        self.image_labels: dict[str, dict[str, str]] = {}
        """What is known of images, by id (see ``image.inspect``)."""
        self._idle: list[http.Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        while (connection := self._take()) is not None:
            connection.close()

    def _take(self) -> http.Connection | None:
        """Return an idle connection; of two threads that ask at the same time one may get none."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _dial(self) -> http.Connection:
        try:
            return http.Connection(dial(self.endpoint))
        except OSError as error:
            raise unreachable(self.endpoint, error) from error

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes]
    ) -> tuple[http.Connection, http.Head]:
        """Send on an idle connection, on a new one when the engine had closed that."""
        while True:
            connection = self._take() or self._dial()
            try:
                connection.send(method, target, headers, body)
                return connection, connection.head()
            except (http.ClosedError, BrokenPipeError, ConnectionResetError) as error:
                again = connection.used and isinstance(body, bytes)
                connection.close()
                if not again:
                    raise unreachable(self.endpoint, error) from error
            except OSError as error:
                connection.close()
                raise unreachable(self.endpoint, error) from error
            except BaseException:
                connection.close()
                raise

    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[http.Head, Generator[bytes, None, None]]:
        """Send a request and return its answer's head and body; ``ApiError`` for a refusal."""
        connection, head = self._send(method, _target(self.api, path, query), headers or {}, body)
        pieces = self._body(connection, head)
        if head.status >= _HTTP_ERROR:
            raise refusal(head.status, b"".join(pieces))
        return head, pieces

    def _body(self, connection: http.Connection, head: http.Head) -> Generator[bytes, None, None]:
        done = False
        try:
            yield from connection.body(head)
            done = head.headers.get("connection", "").lower() != "close"
        except OSError as error:
            raise unreachable(self.endpoint, error) from error
        finally:
            if done:
                self._idle.append(connection)
            else:
                connection.close()

    def call(self, method: str, path: str, query: Query | None = None, body: object = None) -> Any:
        """Send JSON, return JSON (``None`` for an empty answer)."""
        data = b"" if body is None else json.dumps(body).encode()
        _, pieces = self.stream(method, path, query, data, {"Content-Type": "application/json"})
        answer = b"".join(pieces)
        return json.loads(answer) if answer.strip() else None

    def hijack(self, path: str, query: Query) -> tuple[socket.socket, bytes]:
        """Turn a connection into the stream of a container: its socket, and what already came."""
        connection = self._dial()
        try:
            connection.send(
                "POST", _target(self.api, path, query), {"Upgrade": "tcp", "Connection": "Upgrade"}
            )
            head = connection.head()
        except BaseException:
            connection.close()
            raise
        if head.status >= _HTTP_ERROR:
            body = b"".join(connection.body(head))
            connection.close()
            raise refusal(head.status, body)
        return connection.socket, connection.leftover()

    def negotiate(self) -> None:
        """Agree on the API's version in one cheap request; ``EngineError`` when none fits."""
        head, pieces = self.stream("GET", "/_ping")
        for _ in pieces:
            pass
        theirs = _version(head.headers.get("api-version", ""))
        if theirs < OLDEST_API:
            raise EngineError(
                f"the Docker engine is too old: it speaks API {theirs[0]}.{theirs[1]}, "
                f"realm needs {OLDEST_API[0]}.{OLDEST_API[1]}",
                "upgrade Docker to 19.03 or newer",
            )
        self.api = "{}.{}".format(*min(theirs, NEWEST_API))

    def describe(self) -> str:
        """Return one line on the engine for people: version, system, address."""
        info = self.info()
        return f"Docker {info.version} on {info.system} ({info.architecture}), {info.endpoint}"

    def info(self) -> Info:
        """Return what the engine says of itself."""
        answer = self.call("GET", "/info")
        options = answer.get("SecurityOptions") or []
        return Info(
            name=clean(answer.get("Name", "")),
            version=clean(answer.get("ServerVersion", "")),
            api=self.api,
            system=clean(answer.get("OperatingSystem", "")),
            architecture=clean(answer.get("Architecture", "")),
            cpus=int(answer.get("NCPU", 0)),
            memory=int(answer.get("MemTotal", 0)),
            storage=clean(answer.get("Driver", "")),
            root=clean(answer.get("DockerRootDir", "")),
            rootless=any("rootless" in option for option in options),
            endpoint=self.endpoint.url,
            source=self.endpoint.source,
        )


def connect(environ: Mapping[str, str] | None = None) -> Engine:
    """Return the user's engine, reached and of a version that fits; else ``EngineError`` with advice."""
    engine = Engine(resolve(environ))
    try:
        engine.negotiate()
    except BaseException:
        engine.close()
        raise
    return engine


def refusal(status: int, body: bytes) -> ApiError:
    """Return the error for an answer that says no, in the engine's own words."""
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body
    text = clean(message if isinstance(message, (str, bytes)) else "", limit=1000).strip()
    return ApiError(
        status,
        f"the Docker engine refused: {text or f'HTTP status {status}'}",
        "realm doctor shows how the engine is, realm config the settings and docker flags of the boxes",
    )


def _start_hint(platform: str) -> str:
    if platform == "darwin":
        return "start Docker Desktop (open -a Docker), OrbStack, or Colima (colima start)"
    return "sudo systemctl start docker"


def _install_hint(platform: str) -> str:
    if platform == "darwin":
        return "install Docker Desktop, OrbStack or Colima; or point DOCKER_HOST to an engine"
    return (
        "sudo apt-get install docker.io (or your distribution's package); or point DOCKER_HOST to an engine"
    )


def unreachable(endpoint: Endpoint, error: OSError, platform: str = sys.platform) -> EngineError:
    """Return the advice that fits why ``endpoint`` did not answer."""
    where = f"the Docker engine at {endpoint.url}"
    if endpoint.source != "default":
        where += f" ({endpoint.source})"
    if isinstance(error, PermissionError):
        hint = "sudo usermod -aG docker $USER, then log in again"
        return EngineError(
            f"no permission to use {where}", hint if platform != "darwin" else _start_hint(platform)
        )
    if not endpoint.local:
        reason = clean(error.strerror or str(error))
        return EngineError(
            f"cannot reach {where}: {reason}", "check the address, or unset DOCKER_HOST and DOCKER_CONTEXT"
        )
    if isinstance(error, FileNotFoundError) and endpoint.source == "default" and not _installed():
        return EngineError("Docker is not installed", _install_hint(platform))
    if isinstance(error, http.ProtocolError):
        return EngineError(f"{where} broke the connection: {clean(str(error))}", "docker version")
    hint = _start_hint(platform)
    if endpoint.source != "default":
        hint = f"start it, or choose another engine: check {endpoint.source} (docker context ls lists them)"
    return EngineError(f"{where} is not running", hint)


def _installed() -> bool:
    places: Sequence[str] = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/Applications/Docker.app")
    import shutil

    return shutil.which("docker") is not None or any(Path(place).exists() for place in places)
