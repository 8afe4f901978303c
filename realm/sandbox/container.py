"""A container on the engine with the volumes that are its own: what state it is in, its life, its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.sandbox import archive, files, image, volumes
from realm.sandbox.docker import KILLED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.sandbox.docker import Engine, Facts


class Container:
    """One container.  ``id`` is empty when only volumes are left of it."""

    def __init__(
        self, engine: Engine, container: str, labels: dict[str, str], owned: tuple[str, ...]
    ) -> None:
        self.engine = engine
        self.id = container
        self.labels = labels
        self.volumes = owned
        self._known: Facts | None = None
        self._tty: bool | None = None

    # -- what it is ----------------------------------------------------------

    def _facts(self) -> Facts:
        if self._known is None:
            self._known = self.engine.facts(self.id)
        return self._known

    @property
    def tty(self) -> bool:
        """Whether the container has a terminal."""
        if self._tty is None:
            self._tty = bool(self.id and self._facts().tty)
        return self._tty

    @property
    def image(self) -> str:
        """The image that the container runs, or ran; realm's own when the container is gone."""
        try:
            return self._facts().image if self.id else image.REFERENCE
        except EngineError as error:
            if error.kind == "not found":
                return image.REFERENCE
            raise

    def state(self) -> str:
        """Return ``running``, ``exited``, ``created`` or ``gone`` (its work may still be in its volumes)."""
        if not self.id:
            return "created" if self._is_unmade() else "gone"
        return self.engine.state(self.id)

    def _is_unmade(self) -> bool:
        """Return whether there are only an overlay's volumes, which are made before the container."""
        _, *rest = self.volumes
        return len(rest) > 1 and self.engine.volume(rest[0]) is None

    # -- its life ------------------------------------------------------------

    def start(self) -> None:
        """Start the container's program."""
        self.engine.start(self.id)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the container's terminal its size; one that has ended does not mind."""
        self.engine.resize(self.id, rows, columns)

    def signal(self, name: str) -> None:
        """Send a signal such as ``SIGINT``; a container that has ended does not mind."""
        self.engine.signal(self.id, name)

    def stop(self, grace: float) -> None:
        """Ask the container to end, and end it after ``grace`` seconds."""
        self.engine.stop(self.id, grace)

    def wait(self) -> int:
        """Wait for the container to end; return its exit code (137, killed, for one that is gone)."""
        return self.engine.wait(self.id) if self.id else KILLED

    def remove(self) -> None:
        """Remove container and volumes, running or not; what is gone already is fine."""
        if self.id:
            self.engine.remove(self.id)
        volumes.remove(self.engine, self.volumes)

    # -- its files -----------------------------------------------------------

    def read_file(self, path: str, limit: int) -> bytes | None:
        """Return a file, running or not; ``None`` when it is none or larger than ``limit``."""
        if self.state() == "gone":
            return None
        try:
            with self.engine.get(self.id, path) as pieces:
                return _first_file(pieces, limit)
        except EngineError as error:
            if error.kind == "not found":
                return None
            raise

    def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Put a file of the container's user into the directory that is there for it."""
        directory, _, name = path.rpartition("/")
        uid, gid = (int(part) for part in self._facts().user.split(":"))
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
