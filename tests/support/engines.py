"""The Docker engine for tests: whether there is one, where, and what is in it."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from docker import APIClient

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def missing() -> str:
    """Return why no engine answers, or the empty string when one does."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return "no docker program on PATH"
    except subprocess.TimeoutExpired:
        return "the engine did not answer within a minute"
    return "" if done.returncode == 0 else done.stderr.strip() or "docker version failed"


def require() -> None:
    """Skip the running test when no engine answers."""
    if why := missing():
        pytest.skip(f"no Docker engine: {why}")


def docker(*arguments: str, check: bool = True) -> str:
    """Run the docker program and return its standard output without the last line end."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


@functools.cache
def limits_volumes() -> bool:
    """Return whether the engine can limit the size of a volume."""
    name = f"realm-test-{os.urandom(6).hex()}"
    can = docker("volume", "create", "--opt", "size=1m", name, check=False) == name
    docker("volume", "rm", "-f", name)
    return can


def touch(container: str, path: str = "/workspace/project/go") -> None:
    """Create a file in a container, which may end because of it before docker has the result."""
    docker("exec", container, "touch", path, check=False)


SHARED = ("realm-base-", "realm-history-", "realm-cache-")
"""The prefixes of volumes that stay for the next sandbox of a project."""


_SHORT = 12
"""Characters of a container's id as the docker program shows it."""


@functools.cache
def _client(address: str) -> APIClient:
    return APIClient(address, version="auto", timeout=120)


def with_label(kind: str, *labels: str) -> dict[str, dict[str, str]]:
    """Return the labels of each ``kind`` (``container`` or ``volume``) that has all ``labels``, by id.

    Over the SDK: a start of the docker program costs more than all else in most tests' looks at the engine.
    """
    client = _client(os.environ.get("DOCKER_HOST") or _address())
    wanted = {"label": list(labels)}
    if kind == "container":
        found = client.containers(all=True, filters=wanted)
        return {each["Id"][:_SHORT]: each["Labels"] for each in found}
    return {each["Name"]: each["Labels"] for each in client.volumes(filters=wanted)["Volumes"] or ()}


def labelled(kind: str, *labels: str) -> list[str]:
    """Return ids of ``kind`` (``container`` or ``volume``) that carry every one of ``labels``."""
    return list(with_label(kind, *labels))


@functools.cache
def _address() -> str:
    """Return the address of the engine that the docker program uses."""
    return docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")


@functools.cache
def gateway() -> str:
    """Return the host's address on the engine's default bridge, reachable from every sandbox."""
    pools = json.loads(docker("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"))
    # Without a configured gateway the engine uses the subnet's first address.
    return str(pools[0].get("Gateway") or ipaddress.ip_network(pools[0]["Subnet"])[1])


def socket_path() -> Path:
    """Return the engine's unix socket; skip the running test when it is reached another way."""
    address = os.environ.get("DOCKER_HOST") or _address()
    if not address.startswith("unix://"):
        pytest.skip("the engine has no unix socket here")
    return Path(address.removeprefix("unix://"))


class Passage:
    """A socket that forwards to the engine until it is cut, after which the engine seems gone."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self._path = path
        self._engine = str(socket_path())
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    self._start(_carry, *pair)

    def drop(self) -> None:
        """Close all connections; new ones can be made, as after a restart of the engine."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Close all connections, and refuse new ones."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.drop()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes one way until they end, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
