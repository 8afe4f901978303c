"""A container on the engine with the volumes that are its own: what state it is in, its life, its files."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realm.errors import EngineError
from realm.sandbox import archive, files, image, volumes
from realm.sandbox.engine import ApiError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from realm.sandbox.engine import Engine

_NOT_FOUND, _CONFLICT = 404, 409
_KILLED = 137
_REMOVAL = 30.0
"""Seconds that the engine is given to remove a container."""


class Container:
    """One container.  ``id`` is empty when only volumes are left of it."""

    def __init__(
        self, engine: Engine, container: str, labels: dict[str, str], owned: tuple[str, ...]
    ) -> None:
        self.engine = engine
        self.id = container
        self.labels = labels
        self.volumes = owned
        self._inspected: dict[str, Any] | None = None
        self._tty: bool | None = None

    # -- what it is ----------------------------------------------------------

    def _inspect(self) -> dict[str, Any]:
        self._inspected = self.engine.call("GET", f"/containers/{self.id}/json")
        return self._inspected or {}

    def _known(self) -> dict[str, Any]:
        """Return what an inspection once told: that does not change."""
        return self._inspected or self._inspect()

    @property
    def tty(self) -> bool:
        """Whether the container has a terminal."""
        if self._tty is None:
            self._tty = bool(self.id and self._known()["Config"]["Tty"])
        return self._tty

    @property
    def image(self) -> str:
        """The image that the container runs, or ran; realm's own when the container is gone."""
        try:
            return str(self._known()["Image"]) if self.id else image.REFERENCE
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return image.REFERENCE
            raise

    def state(self) -> str:
        """Return ``running``, ``exited``, ``created`` or ``gone`` (its work may still be in its volumes)."""
        if not self.id:
            return "created" if self._is_unmade() else "gone"
        status = self._status()
        if status in {"created", "gone"}:
            return status
        return "running" if status in {"running", "paused", "restarting"} else "exited"

    def _status(self) -> str:
        """Return the container's status, waiting for the end of a removal that is under way.

        The engine must not be asked for files of a container that it removes: it
        mounts the volumes to read them, and has been seen to delete what is in
        them with the rest.
        """
        deadline = time.monotonic() + _REMOVAL
        while True:
            try:
                status = str(self._inspect()["State"]["Status"])
            except ApiError as error:
                if error.status == _NOT_FOUND:
                    return "gone"
                # A container without its layer, in the middle of a removal, is an error to the engine.
                if "RWLayer" not in error.message or time.monotonic() > deadline:
                    raise
                status = "removing"
            if status not in {"removing", "dead"}:
                return status
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the engine does not finish removing the container {self.id[:12]}", "docker ps -a"
                )
            time.sleep(0.05)

    def _is_unmade(self) -> bool:
        """Return whether there are only an overlay's volumes, which are made before the container."""
        _, *rest = self.volumes
        return len(rest) > 1 and not volumes.exists(self.engine, rest[0])

    # -- its life ------------------------------------------------------------

    def start(self) -> None:
        """Start the container's program."""
        self.engine.call("POST", f"/containers/{self.id}/start")

    def resize(self, rows: int, columns: int) -> None:
        """Tell the container's terminal its size; one that has ended does not mind."""
        self._unless_ended("POST", f"/containers/{self.id}/resize", {"h": rows, "w": columns})

    def signal(self, name: str) -> None:
        """Send a signal such as ``SIGINT``; a container that has ended does not mind."""
        self._unless_ended("POST", f"/containers/{self.id}/kill", {"signal": name})

    def stop(self, grace: float) -> None:
        """Ask the container to end, and end it after ``grace`` seconds."""
        self._unless_ended("POST", f"/containers/{self.id}/stop", {"t": round(grace)})

    def _unless_ended(self, method: str, path: str, query: dict[str, str | int | bool]) -> None:
        try:
            self.engine.call(method, path, query)
        except ApiError as error:
            ended = error.status in {_NOT_FOUND, _CONFLICT} or "not running" in error.message
            if not ended:
                raise

    def wait(self) -> int:
        """Wait for the container to end; return its exit code (137, killed, for one that is gone)."""
        if not self.id:
            return _KILLED
        try:
            answer = self.engine.call("POST", f"/containers/{self.id}/wait")
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return _KILLED
            raise
        return int(answer["StatusCode"])

    def remove(self) -> None:
        """Remove container and volumes, running or not; what is gone already is fine."""
        if self.id:
            self._delete()
        volumes.remove(self.engine, self.volumes)

    def _delete(self) -> None:
        try:
            self.engine.call("DELETE", f"/containers/{self.id}", {"force": True, "v": True})
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    # -- its files -----------------------------------------------------------

    @contextlib.contextmanager
    def archive(self, path: str) -> Generator[Iterator[bytes], None, None]:
        """Give what is at ``path`` as an archive.

        However the reading ends, the connection is closed then: an answer that
        nobody reads keeps the container locked in the engine, for everybody.
        """
        query = {"path": path}
        _, pieces = self.engine.stream("GET", f"/containers/{self.id}/archive", query)
        with contextlib.closing(pieces):
            yield pieces

    def read_file(self, path: str, limit: int) -> bytes | None:
        """Return a file, running or not; ``None`` when it is none or larger than ``limit``."""
        if self.state() == "gone":
            return None
        try:
            with self.archive(path) as pieces:
                return _first_file(pieces, limit)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Put a file of the container's user into the directory that is there for it."""
        directory, _, name = path.rpartition("/")
        uid, gid = (int(part) for part in self._known()["Config"]["User"].split(":"))
        entry = archive.Entry(name.encode(), mode, uid, gid, data, len(data))
        files.put(self.engine, self.id, directory, [entry])


def _first_file(pieces: Iterator[bytes], limit: int) -> bytes | None:
    reader = archive.Reader(pieces, limit + 64 * 1024)
    found = None
    for member in reader.files():
        if found is None and member.size <= limit:
            found = member.read()
    reader.drain()
    return found
