"""Who holds a run: one process at a time, by a lock that dies with it.

``runs/<session id>/lock`` below realm's directory is locked with ``flock`` and
holds ``{"pid": …, "run": …, "started": <seconds>}``.  The kernel drops the lock
however its holder ends, so a free lock means that nobody holds the run.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from realm.errors import RunningError
from realm.paths import make_private, realm_home

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


def run_directory(session_id: str) -> Path:
    """Return the directory of a session's current run (it may not exist)."""
    return realm_home() / "runs" / session_id


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a run; ``started`` is in seconds since the epoch."""

    pid: int
    run: int
    started: float

    def since(self) -> str:
        """Return when it took the run, as local time."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(self.started))


def holder(session_id: str) -> Holder | None:
    """Return who holds the session's run now, or ``None``."""
    try:
        handle = os.open(run_directory(session_id) / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(os.read(handle, 4096))
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


def _read(raw: bytes) -> Holder:
    try:
        value = json.loads(raw)
        return Holder(int(value["pid"]), int(value["run"]), float(value["started"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, 0, time.time())


class RunLock:
    """Holds a session's run for this process; use it as a context.

    Raises :class:`RunningError` on entry when another process has it.
    """

    def __init__(self, session_id: str, name: str, run: int) -> None:
        self._directory = run_directory(session_id)
        self._session_id = session_id
        self._name = name
        self._run = run
        self._handle = -1

    def __enter__(self) -> Self:
        make_private(self._directory)
        handle = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise self._refusal() from None
        self._handle = handle
        self._write()
        return self

    def _refusal(self) -> RunningError:
        other = holder(self._session_id)
        since = f" since {other.since()} (process {other.pid})" if other else ""
        return RunningError(
            f"a run of session {self._name} is going on{since}",
            "wait for it to end, or go to the terminal where it runs and leave the agent",
        )

    def _write(self) -> None:
        text = json.dumps({"pid": os.getpid(), "run": self._run, "started": time.time()})
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, text.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
