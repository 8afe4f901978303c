"""Keeping some of the engine's disk free: a run that fills it is paused until there is room again.

The engine's disk is looked at on this machine where the engine's files lie here, else from inside the
sandbox, with ``df``, whose program is the image's and which can only be kept from answering.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from realm.config import DISK_RESERVE
from realm.errors import EngineError
from realm.sandbox import layout
from realm.session.lock import run_directory
from realm.together import Beside

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan

_SOON, _RARELY = 2.0, 15.0
"""Seconds between two looks at a disk of this machine, and from inside a sandbox."""
_ROOM = 1.1
"""How much of the reserve has to be free before a paused run goes on."""
_MARK = "paused"
"""The file in the run's directory that says that it is us who pause it, and not the user."""
_DF = ("df", "-Pk", layout.WORK)
_FREE = re.compile(rb"^\S.*\s\d+\s+\d+\s+(\d{1,15})\s+\d+%\s", re.MULTILINE)


class Reserve:
    """Who pauses a sandbox, while entered, as long as less than the reserve is free on the engine's disk.

    Its descriptor can be read when that has begun or ended, which :meth:`news` tells once.  ``free``
    gives bytes, ``None`` when nobody knows.
    """

    def __init__(
        self, engine: Engine, plan: Plan, sandbox: Sandbox, free: Callable[[], int | None] | None = None
    ) -> None:
        self._engine, self._sandbox = engine, sandbox
        self._mark = run_directory(sandbox.owner.id) / _MARK
        self._least = plan.config.value(DISK_RESERVE)
        self._free = free or self._look
        self._pause = _SOON
        self._root: str | None = None
        self._read, self._write = -1, -1
        self._beside: Beside | None = None
        self.paused = False

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        if self._least:
            self._beside = Beside(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        if self._beside is None or self._beside.end(2):  # else it may still write there
            os.close(self._read)
            os.close(self._write)
        if self.paused:  # the run's next holder pauses it again; a sandbox that is to end has to hear of that
            self._go_on()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._read

    def news(self) -> bool:
        """Return whether the sandbox was paused, or goes on; only when there are news."""
        return os.read(self._read, 1) == b"1"

    def _watch(self, stop: threading.Event) -> None:
        self.paused = self._is_paused()  # by a holder that was killed
        while not stop.wait(self._pause):
            with suppress(EngineError, OSError):
                self._compare(self._free())

    def _is_paused(self) -> bool:
        with suppress(EngineError):
            if self._mark.exists() and self._engine.is_paused(self._sandbox.id):
                return True
            self._mark.unlink(missing_ok=True)
        return False

    def _compare(self, free: int | None) -> None:
        if free is None:
            return
        if not self.paused and free < self._least:
            if self._engine.is_paused(self._sandbox.id):
                return  # by the user, who goes on with it
            with suppress(OSError):
                self._mark.touch()
            self._engine.pause(self._sandbox.id)
            self.paused = True
            os.write(self._write, b"1")
        elif self.paused and free >= self._least * _ROOM:
            self._go_on()
            os.write(self._write, b"0")

    def _go_on(self) -> None:
        with suppress(EngineError):
            self._engine.unpause(self._sandbox.id)
            self._mark.unlink(missing_ok=True)
            self.paused = False

    def _look(self) -> int | None:
        """Return how many bytes are free on the engine's disk."""
        if self._root is None:
            root = self._engine.machine().root if self._engine.endpoint.local else ""
            self._root = root if root and os.path.isdir(root) else ""  # noqa: PTH112 - may be forbidden to look
            self._pause = _SOON if self._root else _RARELY
        if self._root:
            found = os.statvfs(self._root)
            return found.f_bavail * found.f_frsize
        if self.paused:  # nothing can be asked in there: look whether there is room for a moment
            self._engine.unpause(self._sandbox.id)
        said: list[bytes] = []
        try:
            self._engine.exec(self._sandbox.id, _DF, said.append, patience=10, limit=10_000)
        finally:
            if self.paused:
                self._engine.pause(self._sandbox.id)
        answer = _FREE.search(b"".join(said))
        return int(answer[1]) * 1024 if answer else None
