"""A box on the engine: made, attached, started, collected, removed; and found again."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from realm.box import archive, flags, image, parcel, policy, report, volumes
from realm.box.archive import BoxFile
from realm.box.dockerargs import DockerArgs
from realm.box.engine import ApiError
from realm.box.policy import OUT, STATE, WORK, BoxSpec, Volumes
from realm.box.stream import BoxStream
from realm.errors import EngineError, RejectedError, UsageError
from realm.paths import data_dir, scratch
from realm.text import clean

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from realm.box.engine import Engine
    from realm.box.report import BoxReport

DEFAULT_LIMIT = 4 * 1024**3
"""Bytes that a box may hand over unless told otherwise."""
_NOT_FOUND, _CONFLICT, _NOT_MODIFIED = 404, 409, 304
_KILLED = 137
TOKEN_LABEL = "realm.token"  # noqa: S105 - a label's name
"""By what the box's own words are known on its stream (:mod:`realm.box.parcel`)."""
_MADE_THERE = (f"{STATE}/entry", f"{STATE}/git/unready")
"""Files that a box of an image with an entry script has, or makes itself."""
_REMOVAL = 30.0
"""Seconds that the engine is given to remove a container."""


def _user(spec: BoxSpec, args: DockerArgs) -> BoxSpec:
    """Return the box with the user that the docker flags ask for, since files belong to it."""
    wanted = args.last("user")
    if wanted is None:
        return spec
    first, _, second = wanted.replace("root", "0").partition(":")
    if not first.isdigit() or (second and not second.isdigit()):
        raise UsageError(f"docker flag --user {wanted}: a box's user is a number", "--user UID:GID")
    return spec.update(uid=int(first), gid=int(second or (0 if first == "0" else spec.gid)))


def _with_environment(files: Iterable[BoxFile], args: DockerArgs) -> list[BoxFile]:
    """Return the files with the entry script, and with ``-e`` values behind the other secrets."""
    path = f"{STATE}/env"
    found = [_entry_script(), BoxFile(f"{STATE}/git/unready", b"yes\n", 0o600)]
    secret = policy.secrets(flags.environment(args))
    for file in files:
        if file.path == path:
            secret = (file.data if isinstance(file.data, bytes) else file.data.read_bytes()) + secret
        else:
            found.append(file)
    if secret:
        found.append(BoxFile(path, secret, 0o600))
    return found


def _parcel(engine: Engine, spec: BoxSpec, files: Sequence[BoxFile]) -> bytes | None:
    """Return the files as a box takes them that waits for them; ``None`` when it could not."""
    if not spec.stdin or not image.brings_entry(engine, spec.image):
        return None
    own = [file for file in files if file.path not in _MADE_THERE]
    return parcel.pack(own, spec.uid, spec.gid)


def _entry_script() -> BoxFile:
    return BoxFile(f"{STATE}/entry", data_dir("container") / "entry", 0o555, owner="root")


class Box:
    """One box.  ``id`` is its container's, empty when only volumes are left of it."""

    def __init__(
        self, engine: Engine, container: str, labels: dict[str, str], owned: tuple[str, ...]
    ) -> None:
        self.engine = engine
        self.id = container
        self.labels = labels
        self.volumes = owned
        self._inspected: dict[str, Any] | None = None
        self._results: Path | None = None
        self._tty: bool | None = None
        self._contents: bytes | None = None
        self._ending: threading.Thread | None = None

    @classmethod
    def create(
        cls,
        engine: Engine,
        spec: BoxSpec,
        files: Sequence[BoxFile] = (),
        *,
        args: DockerArgs | None = None,
        attended: bool = False,
    ) -> Self:
        """Make a box with ``files`` in it, ready to be attached and started.

        One that is ``attended`` may get them later: by :meth:`deliver`, which
        its maker promises to call when it has started.
        Raises ``EngineError`` when the engine refuses; nothing is left then.
        """
        args = args or DockerArgs()
        spec = _user(spec, args)
        files = _with_environment(files, args)
        contents = _parcel(engine, spec, files) if attended else None
        if contents is not None:
            token = os.urandom(8).hex()
            spec = spec.update(token=token, waits=bool(contents), entry=parcel.ENTRY)
            spec = spec.update(labels={**spec.labels, TOKEN_LABEL: token})
        name = volumes.box_name(spec)
        owned = volumes.make(engine, spec, name)
        try:
            return cls._create(engine, spec, name, owned, files, args, contents)
        except EngineError as error:
            if not owned.base or spec.volumes == "overlay":
                raise
            # The engine tells only now that it cannot mount an overlay.
            volumes.remember_failure(engine, error.message)
            return cls._create(engine, spec, name, volumes.plain(name), files, args, contents)

    @classmethod
    def _create(
        cls, engine: Engine, spec: BoxSpec, name: str, owned: Volumes, files: list[BoxFile], args: DockerArgs,
        contents: bytes | None,
    ) -> Self:  # fmt: skip
        labels = volumes.labels(spec, owned)
        spec = spec.update(labels=labels)
        box = cls(engine, "", labels, owned.all)
        box._tty = spec.tty
        try:
            options = policy.create_options(spec, owned, args)
            # By its name a container is removed whose id we were not told any more.
            box.id = name
            box.id = engine.call("POST", "/containers/create", {"name": name}, options)["Id"]
            box._contents = contents
            if contents is None:
                box._put_all(spec, owned, files)
        except BaseException:
            with contextlib.suppress(EngineError):
                box.remove()
            raise
        return box

    def _put_all(self, spec: BoxSpec, owned: Volumes, files: list[BoxFile]) -> None:
        directories = policy.DIRECTORIES
        self._put(STATE, archive.entries(STATE, files, directories, spec.uid, spec.gid))
        inside = [file for file in files if file.path.startswith(WORK + "/")]
        if inside or not (owned.open or image.opens_workspace(self.engine, spec.image)):
            self._put(WORK, archive.entries(WORK, inside, [spec.workspace], spec.uid, spec.gid))

    def _put(self, path: str, entries: Iterable[archive.Entry]) -> None:
        volumes.put(self.engine, self.id, path, list(entries))

    # -- what it is ----------------------------------------------------------

    def _inspect(self) -> dict[str, Any]:
        self._inspected = self.engine.call("GET", f"/containers/{self.id}/json")
        return self._inspected or {}

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = (self._inspected or self._inspect())["Config"]
        return config

    @property
    def tty(self) -> bool:
        """Whether the box has a terminal."""
        if self._tty is None:
            self._tty = bool(self.id and self._config()["Tty"])
        return self._tty

    @property
    def image(self) -> str:
        """The image that the box runs, or ran; realm's own when the box is gone."""
        try:
            return str((self._inspected or self._inspect())["Image"]) if self.id else image.REFERENCE
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
        """Return whether there are only an overlay's volumes, which are made before the box itself."""
        _, *rest = self.volumes
        return len(rest) > 1 and not volumes.exists(self.engine, rest[0])

    # -- its life ------------------------------------------------------------

    def attach(self) -> BoxStream:
        """Return the box's stream; attached before the start, nothing of it is missed."""
        query = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        sock, begun = self.engine.hijack(f"/containers/{self.id}/attach", query)
        return self.stream(sock, begun, tty=self.tty)

    def stream(self, sock: socket.socket, begun: bytes, *, tty: bool) -> BoxStream:
        """Return the stream of an attachment that was made before."""
        return BoxStream(sock, begun, tty=tty, token=self.labels.get(TOKEN_LABEL, ""))

    def deliver(self, stream: BoxStream) -> None:
        """Give the started box the files that it was not made with, if there are any."""
        if self._contents:
            stream.deliver(self._contents, lambda: self.state() == "running")

    def start(self) -> None:
        """Start the box's program."""
        self.engine.call("POST", f"/containers/{self.id}/start")

    def resize(self, rows: int, columns: int) -> None:
        """Tell the box's terminal its size; a box that has ended does not mind."""
        self._unless_ended("POST", f"/containers/{self.id}/resize", {"h": rows, "w": columns})

    def signal(self, name: str) -> None:
        """Send a signal such as ``SIGINT``; a box that has ended does not mind."""
        self._unless_ended("POST", f"/containers/{self.id}/kill", {"signal": name})

    def stop(self, grace: float) -> None:
        """Ask the box to end, and end it after ``grace`` seconds."""
        self._unless_ended("POST", f"/containers/{self.id}/stop", {"t": round(grace)})

    def _unless_ended(self, method: str, path: str, query: dict[str, str | int | bool]) -> None:
        try:
            self.engine.call(method, path, query)
        except ApiError as error:
            ended = error.status in {_NOT_FOUND, _CONFLICT} or "not running" in error.message
            if not ended:
                raise

    def wait(self) -> int:
        """Wait for the box to end; return its exit code (137, killed, for one that is gone)."""
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
        self.forget()
        if self._ending is not None:
            self._ending.join()
        if self.id:
            self._delete_container()
        volumes.remove(self.engine, self.volumes)

    def _delete_container(self) -> None:
        try:
            self.engine.call("DELETE", f"/containers/{self.id}", {"force": True, "v": True})
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    # -- what it hands over --------------------------------------------------

    def _fetch(self, limit: int) -> Path:
        """Bring the results to the host once."""
        if self._results is None:
            self._results = scratch("results")
            try:
                self._receive(self._results, limit)
            except BaseException:
                self.forget()
                raise
        return self._results

    def _receive(self, directory: Path, limit: int) -> None:
        """Save what the box has to report; nothing where there is no box, or none of its files, any more."""
        if self.state() == "gone":
            return
        try:
            with self._archive(OUT) as pieces:
                report.receive(pieces, directory, limit)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    @contextlib.contextmanager
    def _archive(self, path: str) -> Iterator[Iterator[bytes]]:
        """Give what is at ``path`` as an archive.

        However the reading ends, the connection is closed then: an answer that
        nobody reads keeps the container locked in the engine, for everybody.
        """
        query = {"path": path}
        _, pieces = self.engine.stream("GET", f"/containers/{self.id}/archive", query)
        with contextlib.closing(pieces):
            yield pieces

    def prefetch(self) -> None:
        """Bring a complete report to the host while the box still ends; what is not complete is left."""
        with contextlib.suppress(EngineError, RejectedError, OSError):
            if not self.reported():
                self.forget()

    def accept(self, results: bytes | None) -> int | None:
        """Take results that came over the stream; return the exit code when they are complete.

        The box still ends then: :meth:`remove` waits for that.
        """
        if results is None:
            return None
        directory = self._results = scratch("results")
        with contextlib.suppress(RejectedError):
            report.receive(iter([results]), directory, DEFAULT_LIMIT)
            found = report.load(directory)
            if found.complete and found.exit_code is not None:
                self._ending = threading.Thread(target=self._end, daemon=True)
                self._ending.start()
                return found.exit_code
        self.forget()
        return None

    def _end(self) -> None:
        with contextlib.suppress(EngineError):
            self.wait()

    def hand_over(self, other: Box) -> None:
        """Fetch the results, and let them be ``other``'s."""
        other._results, self._results = self._fetch(DEFAULT_LIMIT), None

    def forget(self) -> None:
        """Drop the results that were fetched but not collected."""
        if self._results is not None:
            import shutil

            shutil.rmtree(self._results, ignore_errors=True)
            self._results = None

    def reported(self) -> bool:
        """Return whether the stopped box finished its report; if not it wants :func:`salvage`."""
        return report.load(self._fetch(DEFAULT_LIMIT)).complete

    def complaint(self) -> str:
        """Return why the report is not complete, in the box's own words, cleaned."""
        errors = report.load(self._fetch(DEFAULT_LIMIT)).errors
        reason = clean("; ".join(errors) or "it gave no reason", limit=400)
        return f"the work in the box could not be saved: {reason}"

    def collect(self, dest: Path, limit: int = DEFAULT_LIMIT) -> BoxReport:
        """Return what the stopped box reports; its pack and transcript are put into ``dest``.

        Raises ``RejectedError`` when there is more than ``limit`` bytes of it.
        """
        import shutil

        fetched = self._fetch(limit)
        for path in fetched.iterdir():
            shutil.move(path, dest / path.name)
        shutil.rmtree(fetched, ignore_errors=True)
        self._results = None
        return report.load(dest)

    def read_file(self, path: str, limit: int) -> bytes | None:
        """Return a file of the box, running or not; ``None`` when it is none or larger than ``limit``."""
        if self.state() == "gone":
            return None
        try:
            with self._archive(path) as pieces:
                return _first_file(pieces, limit)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Put a file of the box's user into the directory that is there for it."""
        directory, _, name = path.rpartition("/")
        uid, gid = (int(part) for part in self._config()["User"].split(":"))
        entry = archive.Entry(name.encode(), mode, uid, gid, data, len(data))
        self._put(directory, [entry])


def _first_file(pieces: Iterator[bytes], limit: int) -> bytes | None:
    reader = archive.Reader(pieces, limit + 64 * 1024)
    found = None
    for member in reader.files():
        if found is None and member.size <= limit:
            found = member.read()
    reader.drain()
    return found


def _of(engine: Engine, listed: dict[str, Any]) -> Box:
    labels = dict(listed.get("Labels") or {})
    try:
        owned = tuple(str(name) for name in json.loads(labels.get(volumes.VOLUMES_LABEL, "[]")))
    except ValueError:
        owned = ()
    return Box(engine, str(listed.get("Id", "")), labels, owned)


def find(engine: Engine, *, session_id: str | None = None, role: str = "box") -> list[Box]:
    """Return the boxes that are on the engine, also those of which only the volumes are left."""
    wanted = [f"realm.role={role}"] + ([f"realm.id={session_id}"] if session_id else [])
    return [box for box, _ in _listed(engine, wanted)]


def unstarted(engine: Engine, home: str) -> list[Box]:
    """Return the boxes of the realm directory labelled ``home`` that were made and never started."""
    found = _listed(engine, ["realm.role=box", f"realm.home={home}"])
    return [box for box, status in found if (status or box.state()) == "created"]


def _listed(engine: Engine, wanted: list[str]) -> list[tuple[Box, str]]:
    """Return the boxes with all labels ``wanted`` and their containers' status, empty without a container."""
    filters = json.dumps({"label": wanted})
    listed = engine.call("GET", "/containers/json", {"all": True, "filters": filters})
    boxes = [(_of(engine, item), str(item["State"])) for item in listed]
    seen = {name for box, _ in boxes for name in box.volumes}
    for item in engine.call("GET", "/volumes", {"filters": filters}).get("Volumes") or []:
        if item["Name"] not in seen:
            box = _of(engine, {"Labels": item["Labels"]})
            seen.update(box.volumes)
            boxes.append((box, ""))
    return boxes


def clear(engine: Engine, session_id: str) -> None:
    """Remove containers that did some work for a session and were killed over it.

    One that salvaged goes alone: the volumes that it had are the dead box's.
    """
    for box in find(engine, session_id=session_id, role="tool"):
        box.remove()
    for box in find(engine, session_id=session_id, role="salvage"):
        Box(engine, box.id, box.labels, ()).remove()


def _create_again(engine: Engine, spec: BoxSpec, owned: Volumes) -> str:
    """Return a new container on a dead box's volumes, of realm's own image where the box's is gone."""
    for name in dict.fromkeys((spec.image, image.REFERENCE)):
        options = policy.create_options(spec.update(image=name), owned)
        try:
            return str(engine.call("POST", "/containers/create", None, options)["Id"])
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            missing = error
    raise EngineError(f"no image to save the box's work with: {missing.message}", "realm build")


def salvage(engine: Engine, box: Box, spec: BoxSpec) -> None:
    """Take the end-of-run snapshot of a box that died before it could: in a second container on its volumes.

    ``spec`` says where the object stores are now; the box's own container may be
    gone, or unreadable because they were elsewhere.  ``box.collect`` works afterwards.
    ``EngineError`` when the snapshot failed: the box must not be removed then.
    """
    if not box.volumes:
        raise EngineError("nothing is left of the box to salvage")
    work, state, *others = box.volumes
    owned = Volumes(state, work, tuple(others))
    spec = spec.update(command=("snapshot",), network="none", tty=False, stdin=False,
        labels={**box.labels, "realm.role": "salvage"},
    )  # fmt: skip
    box.forget()
    second = Box(engine, _create_again(engine, spec, owned), dict(box.labels), ())
    try:
        entry = archive.entries(STATE, [_entry_script()], policy.DIRECTORIES, spec.uid, spec.gid)
        volumes.put(engine, second.id, STATE, entry)
        second.start()
        second.wait()
        second.hand_over(box)
    finally:
        second.remove()
    if not box.reported():
        raise EngineError(
            box.complaint(), "the box is kept; see to disk space and memory, then do the same again"
        )
