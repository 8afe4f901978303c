"""Keeping some of the engine's disk free: a run that fills it is paused until there is room again.

If the engine's files are on this machine the disk is checked here, else from inside the sandbox with ``df``.
That is the image's program; at worst the agent can prevent its answer.

It is also noticed here that the user has paused a sandbox.
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
"""Seconds between two checks of the disk, on this machine and from inside a sandbox."""
_ROOM = 1.1
"""The multiple of the reserve that must be free before a paused run continues."""
_MARK = "paused"
"""The file in the run's directory that says that realm has paused it, not the user."""
FULL = "the disk is nearly full"
"""Why realm pauses a run."""
_FULL, _USERS, _OVER = b"1", b"2", b"0"
_DF = ("df", "-Pk", layout.STATE)
"""Not of the workspace, whose size may be limited."""
_FREE = re.compile(rb"^\S.*\s\d+\s+\d+\s+(\d{1,15})\s+\d+%\s", re.MULTILINE)


class Reserve:
    """While entered, pauses a sandbox as long as less than the reserve is free on the engine's disk.

    Its descriptor becomes readable when a pause begins or ends, the user's own too, which :meth:`news`
    returns once.  ``free`` returns bytes, ``None`` if unknown.  ``heard`` returns the bytes of output so far:
    the engine is asked for a pause only while there is none.  ``paused`` is whether the last holder knew of a
    pause.
    """

    def __init__(
        self, engine: Engine, plan: Plan, sandbox: Sandbox, free: Callable[[], int | None] | None = None, *,
        heard: Callable[[], int] = int, paused: bool = False,
    ) -> None:  # fmt: skip
        self._engine, self._sandbox = engine, sandbox
        self._mark = run_directory(sandbox.owner.id) / _MARK
        self._least = plan.config.value(DISK_RESERVE)
        self._free = free or self._look
        self._heard, self._before = heard, heard()
        self._halted = paused
        """Whether the user's own pause was reported."""
        self._pause = _SOON if engine.endpoint.local else _RARELY
        self._is_here = True
        self._read, self._write = -1, -1
        self._beside: Beside | None = None
        self.paused = False

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        self._beside = Beside(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        if self._beside is None or self._beside.end(2):  # otherwise the thread may still write to it
            os.close(self._read)
            os.close(self._write)
        if self.paused:  # the run's next holder pauses it again, and a paused sandbox could not end
            self._go_on()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._read

    def news(self) -> str:
        """Return why the sandbox is paused, empty if it continues; call only when readable."""
        own = f"docker unpause {self._sandbox.id[:12]}"
        return {_FULL: FULL, _USERS: own}.get(os.read(self._read, 1), "")

    def _watch(self, stop: threading.Event) -> None:
        self.paused = self._is_paused()  # by a holder that was killed
        while not stop.wait(self._pause):
            with suppress(EngineError, OSError):
                if self._least:
                    self._compare(self._free())
            with suppress(EngineError, OSError):
                self._notice()

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
                return  # by the user, who must unpause it
            with suppress(OSError):
                self._mark.touch()
            self._engine.pause(self._sandbox.id)
            self.paused = True
            os.write(self._write, _FULL)
        elif self.paused and free >= self._least * _ROOM:
            self._go_on()
            os.write(self._write, _OVER)

    def _notice(self) -> None:
        """Report that the user has paused the sandbox, or that it goes on."""
        before, self._before = self._before, self._heard()
        halted = not self.paused and self._before == before and self._engine.is_paused(self._sandbox.id)
        if halted != self._halted:
            self._halted = halted
            if not self.paused:
                os.write(self._write, _USERS if halted else _OVER)

    def _go_on(self) -> None:
        with suppress(EngineError):
            self._engine.unpause(self._sandbox.id)
            self._mark.unlink(missing_ok=True)
            self.paused = False

    def _look(self) -> int | None:
        """Return how many bytes are free on the engine's disk."""
        if self._is_here and (free := self._engine.free()) is not None:
            return free
        self._is_here, self._pause = False, _RARELY
        if self.paused:  # nothing runs in a paused sandbox: unpause it for a moment to check
            self._engine.unpause(self._sandbox.id)
        said: list[bytes] = []
        try:
            self._engine.exec(self._sandbox.id, _DF, said.append, patience=10, limit=10_000)
        finally:
            if self.paused:
                self._engine.pause(self._sandbox.id)
        answer = _FREE.search(b"".join(said))
        return int(answer[1]) * 1024 if answer else None
