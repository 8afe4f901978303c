"""A box: the container of one run, whose agent is attached to and whose work is handed over."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from realm.errors import EngineError, RejectedError
from realm.paths import remove_tree, scratch
from realm.sandbox import report
from realm.sandbox.container import Container
from realm.sandbox.policy import OUT
from realm.sandbox.stream import BoxStream
from realm.text import clean

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from realm.sandbox.docker import Engine
    from realm.sandbox.report import BoxReport

DEFAULT_LIMIT = 4 * 1024**3
"""Bytes that a box may hand over unless told otherwise."""
TOKEN_LABEL = "realm.token"  # noqa: S105 - a label's name
"""By what the box's own words are known on its stream (:mod:`realm.sandbox.parcel`)."""
_LINGER = 10.0
"""Seconds that a box has to end after its results."""


class Box(Container):
    """One box, made by :func:`realm.sandbox.creation.create` or found by :func:`realm.sandbox.lookup.find`.

    ``contents`` is what it still has to be given once it has started, ``tty``
    whether it has a terminal, if that is known.
    """

    def __init__(
        self, engine: Engine, container: str, labels: dict[str, str], owned: tuple[str, ...],
        contents: bytes | None = None, *, tty: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(engine, container, labels, owned)
        self._tty = tty
        self._contents = contents
        self._results: Path | None = None
        self._ending: threading.Thread | None = None

    # -- its stream ----------------------------------------------------------

    def attach(self) -> BoxStream:
        """Return the box's stream; attached before the start, nothing of it is missed."""
        sock, begun = self.engine.attach(self.id)
        return self.stream(sock, begun, tty=self.tty)

    def stream(self, sock: socket.socket, begun: bytes, *, tty: bool) -> BoxStream:
        """Return the stream of an attachment that was made before."""
        return BoxStream(sock, begun, tty=tty, token=self.labels.get(TOKEN_LABEL, ""))

    def deliver(self, stream: BoxStream) -> None:
        """Give the started box the files that it was not made with, if there are any."""
        if self._contents:
            stream.deliver(self._contents, lambda: self.state() == "running")

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
            with self.engine.get(self.id, OUT) as pieces:
                report.receive(pieces, directory, limit)
        except EngineError as error:
            if error.kind != "not found":
                raise

    def prefetch(self) -> None:
        """Bring a complete report to the host while the box still ends; what is not complete is left."""
        with contextlib.suppress(EngineError, RejectedError, OSError):
            if not self.reported():
                self.forget()

    def accept(self, results: bytes | None) -> int | None:
        """Take results that came over the stream; return the exit code when they are complete.

        The box still ends then: :meth:`remove` waits some seconds for that.
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
            remove_tree(self._results)
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
        remove_tree(fetched)
        self._results = None
        return report.load(dest)

    def remove(self) -> None:
        """Remove container and volumes, running or not, and results that nobody collected."""
        self.forget()
        if self._ending is not None:
            self._ending.join(_LINGER)
        super().remove()
