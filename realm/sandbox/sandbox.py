"""A sandbox: the container of one run with its own volumes, and the results that it hands over."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, TypeVar

from realm.errors import EngineError, RejectedError
from realm.paths import Scratch, scratch
from realm.sandbox import docker_inside, layout, network, report, transfer, workspace
from realm.sandbox.docker import KILLED
from realm.sandbox.image import recipe
from realm.sandbox.stream import Attachment
from realm.text import clean

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from realm.sandbox.answers import Conditions, End, Facts
    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner
    from realm.sandbox.report import Report
    from realm.sandbox.stream import Lines

_T = TypeVar("_T")
_LONG_LINE = 16 * 1024**2
"""Longest line, in bytes, of a followed file."""
_FOLLOW_ALL = """
seen=/tmp/.followed.$$ newer=
while :; do
  : > "$seen.next"
  find "$1" -type f $newer -exec grep -h -F -e "$2" {} + 2> /dev/null
  mv "$seen.next" "$seen" && newer="-newer $seen"
  sleep 2
done
"""
_RESULTS = 4 * 1024**3
_PAUSE, _GRACE = 3.0, 7.0
"""Seconds that an agent has to end after SIGINT, and after SIGTERM."""
STOPPING = _PAUSE + _GRACE
"""Most seconds that stopping a sandbox takes."""


class Sandbox:
    """One sandbox, created by :func:`creation.create` or found by :func:`lookup.find`.

    ``id`` is empty when only volumes are left of it; ``volumes`` are its existing own volumes; ``tty`` is
    whether it has a terminal, if known; ``mapper_image`` is its :attr:`SandboxSpec.mapper_image`, needed to
    start it.
    """

    def __init__(
        self, engine: Engine, container: str, owner: Owner, owned: tuple[str, ...], *,
        tty: bool | None = None, mapper_image: str = "",
    ) -> None:  # fmt: skip
        self.engine = engine
        self.id = container
        self.owner = owner
        self.volumes = owned
        self._tty = tty
        self._mapper_image = mapper_image
        self._known: Facts | None = None
        self._results: Scratch | None = None
        self._attached: Attachment | None = None
        self.limit = _RESULTS
        """Most bytes that it may hand over at once."""

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
        """The container's image; realm's own when the container is gone."""
        try:
            return self._facts().image if self.id else recipe.REFERENCE
        except EngineError as error:
            if error.kind == "not found":
                return recipe.REFERENCE
            raise

    def state(self) -> str:
        """Return ``running``, ``exited``, ``created`` or ``gone`` (its work may still be in its volumes)."""
        if self.id:
            return self.engine.state(self.id)
        # The work volume is created last and removed first.
        has_work = any(name.endswith(workspace.WORK_SUFFIX) for name in self.volumes)
        return "gone" if has_work or not self.volumes else "created"

    def _asked(self, ask: Callable[[str], _T]) -> _T | None:
        """Return the engine's answer about the container, ``None`` when that is gone."""
        try:
            return ask(self.id) if self.id else None
        except EngineError as error:
            if error.kind == "not found":
                return None
            raise

    # -- its life ------------------------------------------------------------

    def attach(self) -> Attachment:
        """Return the container's stream, which is complete if attached before the start."""
        sock, begun = self.engine.attach(self.id)
        self._attached = self.stream(sock, begun, tty=self.tty)
        return self._attached

    def stream(self, sock: socket.socket, begun: bytes, *, tty: bool) -> Attachment:
        """Return the stream of an existing connection."""
        return Attachment(sock, begun, tty=tty)

    def run(
        self, command: Sequence[str], *, tty: bool, directory: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> tuple[str, Attachment]:  # fmt: skip
        """Start another program in the running container; return its id for the engine, and its stream."""
        process, sock, begun = self.engine.begin(
            self.id, command, tty=tty, directory=directory, environment=environment
        )
        return process, Attachment(sock, begun, tty=tty)

    def start(self) -> None:
        """Start the container's program; repair the open network if it was pruned or created twice since."""
        try:
            self.engine.start(self.id)
        except EngineError as error:
            found = self.engine.networks(layout.OPEN_NETWORK)
            if len(found) == 1 or not (found or error.kind == "not found"):
                raise
            network.ensure_open(self.engine)
            if self._attached is not None:  # a failed start ends a container's streams
                self._attached.replace(self.engine.attach(self.id)[0])
            self.engine.start(self.id)
        if self._mapper_image:
            user = self._facts().user
            docker_inside.map_users(self.engine, self.id, self._mapper_image, user, self.owner)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the container's terminal; no error if the container has ended."""
        self.engine.resize(self.id, rows, columns)

    def signal(self, name: str) -> None:
        """Send a signal such as ``SIGINT``; no error if the container has ended."""
        self.engine.signal(self.id, name)

    def stop(self, *, interrupt: bool = True) -> None:
        """End the container step by step: SIGINT, SIGTERM, SIGKILL, with pauses between them."""
        end = time.monotonic() + STOPPING
        self.signal(signal.SIGCONT.name)  # a stopped process handles no signals
        if interrupt:
            self.signal(signal.SIGINT.name)
            deadline = time.monotonic() + _PAUSE
            while time.monotonic() < deadline and self.state() == "running":
                time.sleep(0.1)
        self.engine.stop(self.id, end - time.monotonic())

    def wait(self) -> int:
        """Wait for the container to end; return its exit code (137, killed, if it is gone)."""
        return self.engine.wait(self.id) if self.id else KILLED

    def conditions(self) -> Conditions | None:
        """Return the conditions that the container runs under; ``None`` when it is gone."""
        return self._asked(self.engine.conditions)

    def wait_at_most(self, seconds: float) -> int:
        """Return the container's exit code when it has ended; ``EngineError`` if it does not in time."""
        deadline = time.monotonic() + seconds
        pause = 0.01
        while self.state() == "running":
            if time.monotonic() > deadline:
                self.signal("SIGKILL")
                raise EngineError(
                    f"the container was not done within {seconds:.0f} seconds: realm.limit.seconds"
                )
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)
        return self.wait()

    def end(self) -> End | None:
        """Return how the container ended, ``None`` when it is gone."""
        return self._asked(self.engine.end)

    def remove(self) -> None:
        """Remove container and volumes, running or not, and results that were not collected.

        The last sandbox of a sidecar removes that too.
        """
        self.forget()
        with workspace.unsettled(self.engine, self.owner, self.volumes):
            if self.id:
                self.engine.remove(self.id)
            workspace.remove(self.engine, self.volumes)
        if self.owner.egress:
            from realm.sandbox.egress import sidecar

            with contextlib.suppress(EngineError):
                sidecar.sweep(self.engine)

    # -- its files -----------------------------------------------------------

    def read_file(self, path: str, limit: int) -> bytes | None:
        """Return a file's content, running or not; ``None`` when it is missing or larger than ``limit``."""
        if self.state() == "gone":
            return None
        try:
            with self.engine.get(self.id, path) as pieces:
                return transfer.first_file(pieces, limit)
        except EngineError as error:
            if error.kind == "not found":
                return None
            raise

    def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file, owned by the container's user, into an existing directory."""
        directory, _, name = path.rpartition("/")
        uid, gid = (int(part) for part in self._facts().user.split(":"))
        transfer.put(self.engine, self.id, directory, [transfer.entry(name, (uid, gid), mode, data)])

    # -- what it hands over --------------------------------------------------

    def watch(self, first: int, *, quiet: bool) -> Lines:
        """Return lines with the numbers of the results handed over while it runs, from ``first`` on.

        With ``quiet`` it hands over whenever nothing has changed for some seconds.
        """
        words = ["sh", layout.ENTRY, "watch", str(first), *(["quiet"] if quiet else [])]
        return self.engine.listen(self.id, words)

    def follow(self, path: str) -> Lines:
        """Return the lines of a file in the running container as they are added; it may not exist yet."""
        return self.engine.listen(self.id, ["tail", "-c", "+1", "-F", path], longest=_LONG_LINE)

    def follow_all(self, directory: str, word: str) -> Lines:
        """Return the lines with ``word`` in a directory's files; a file's lines again when it changes."""
        command = ["sh", "-c", _FOLLOW_ALL, "sh", directory, word]
        return self.engine.listen(self.id, command, longest=_LONG_LINE)

    def handed_over(self, number: int, dest: Path) -> Report | None:
        """Return the results with that number from the running sandbox; ``None`` when there are none.

        Their files are put into ``dest``.  Raises ``RejectedError`` when they are malformed.
        """
        try:
            with self.engine.get(self.id, f"{layout.LIVE}/{number:04d}") as pieces:
                return report.receive_turn(pieces, dest, self.limit)
        except EngineError as error:
            if error.kind == "not found":
                return None
            raise

    def end_turn(self) -> None:
        """Let the sandbox hand over an interrupted turn's work shortly, unless the next turn has begun."""
        self.engine.exec(self.id, ["sh", layout.ENTRY, "turn", "interrupted"], lambda _: None, patience=300)

    def ask_for_all(self) -> None:
        """Let the next results cover the whole run, as earlier ones were not stored."""
        words = ["rm", "-f", f"{layout.GIT}/last", f"{layout.GIT}/said", f"{layout.GIT}/beside"]
        self.engine.exec(self.id, words, lambda _: None, patience=10)

    def _fetch(self) -> Path:
        """Fetch the results to the host once."""
        if self._results is None:
            self._results = scratch("results")
            try:
                self._receive(self._results.path)
            except BaseException:
                self.forget()
                raise
        return self._results.path

    def _receive(self, directory: Path) -> None:
        """Save the results; nothing if the container or its files are gone."""
        if self.state() == "gone":
            return
        try:
            with self.engine.get(self.id, layout.OUT) as pieces:
                report.receive(pieces, directory, self.limit)
        except EngineError as error:
            if error.kind != "not found":
                raise

    def prefetch(self) -> None:
        """Fetch the report to the host if it is complete, while the container is still ending."""
        with contextlib.suppress(EngineError, RejectedError, OSError):
            if not self.reported():
                self.forget()

    def hand_over(self, other: Sandbox) -> None:
        """Fetch the results, and pass them to ``other``."""
        self._fetch()
        other._results, self._results = self._results, None

    def forget(self) -> None:
        """Delete results that were fetched but not collected."""
        if self._results is not None:
            self._results.remove()
            self._results = None

    def reported(self) -> bool:
        """Return whether the stopped sandbox finished its report; if not, use :func:`creation.snapshot`."""
        return report.load(self._fetch()).complete

    def was_signalled(self) -> bool:
        """Return whether the stopped sandbox, which finished its report, was sent a signal to end."""
        return report.load(self._fetch()).signalled

    def complaint(self) -> str:
        """Return why the report is incomplete, with the sandbox's own message, cleaned."""
        errors = report.load(self._fetch()).errors
        reason = clean("; ".join(errors) or "it gave no reason", limit=400)
        return f"the work in the container could not be saved: {reason}"

    def collect(self, dest: Path) -> Report:
        """Return the stopped sandbox's report; its pack and transcript are put into ``dest``.

        Raises ``RejectedError`` when it is longer than :attr:`limit` bytes.
        """
        import shutil

        fetched = self._fetch()
        for path in fetched.iterdir():
            shutil.move(path, dest / path.name)
        self.forget()
        return report.load(dest)
