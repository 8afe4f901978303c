"""The lock of a run: one process at a time holds the run, and the lock dies with it.

``runs/<session id>/lock`` below realm's directory is locked with ``flock`` and
holds ``{"pid": …, "run": …, "started": <seconds>, "attached": …}``.  The kernel drops the lock
however its holder ends, so a free lock means that nobody holds the run.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from realm.errors import RunningError
from realm.paths import make_private, realm_home, remove_tree

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


_PATIENCE, _PAUSE = 10.0, 0.01
"""Seconds to try for a lock that others only read, and between two tries."""
_WIDTH = 120
"""The fixed length of a lock's text: written in one call, it is always read whole."""
CLAIM = "session"
"""The file in a run's directory with its :class:`Claim` (:mod:`realm.session.claim`)."""


def run_directory(session_id: str) -> Path:
    """Return the directory of a session's current run (it may not exist)."""
    return realm_home() / "runs" / session_id


class Holder(NamedTuple):
    """The process that holds a run; ``started`` is when its first holder took it, in seconds since the epoch.

    ``run`` is 0 when a command holds the session to keep others from changing it.
    """

    pid: int
    run: int
    started: float
    attached: bool = True

    def since(self) -> str:
        """Return when the run was first taken, as local time."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(self.started))


def begun() -> set[str]:
    """Return the ids of sessions with a run directory; only these may have a held run."""
    try:
        return {path.name for path in (realm_home() / "runs").iterdir()}
    except OSError:
        return set()


class Claim(NamedTuple):
    """A session by its name, its project's work tree and its repository."""

    name: str
    project: str
    repository: str


def noted_of(session_id: str) -> Claim | None:
    """Return the session that last had a run here with that id."""
    try:
        noted = json.loads((run_directory(session_id) / CLAIM).read_bytes())
        return Claim(*(str(noted[key]) for key in Claim._fields))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def holder(session_id: str) -> Holder | None:
    """Return the current holder of the session's run, or ``None``."""
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


def forget(session_id: str) -> None:
    """Remove the files of a session that is gone; who holds its lock does that.

    At once, since the next holder, of a session that was restored, has files there again.
    """
    gone = run_directory(f"{session_id}-{os.getpid()}")
    with suppress(OSError):
        run_directory(session_id).rename(gone)
    remove_tree(gone)


def _read(raw: bytes) -> Holder:
    try:
        value = json.loads(raw)
        return Holder(
            int(value["pid"]), int(value["run"]), float(value["started"]), bool(value.get("attached", True))
        )
    except (ValueError, KeyError, TypeError):
        return Holder(0, 0, time.time())


def _locked(handle: int) -> bool:
    """Take the lock, unless somebody holds it; a process that only looks up the holder shares it briefly."""
    deadline = time.monotonic() + _PATIENCE
    while not _tried(handle, fcntl.LOCK_EX):
        if not _tried(handle, fcntl.LOCK_SH) or time.monotonic() > deadline:
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(_PAUSE)
    return True


def _tried(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether ``path`` is still the file that is open."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


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
        self._started = time.time()

    def __enter__(self) -> Self:
        while self._handle < 0:
            path = make_private(self._directory) / "lock"
            with suppress(FileNotFoundError):  # its last holder has just removed it
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if not _locked(handle):
                    os.close(handle)
                    raise self._refusal()
                if _is_at(handle, path):
                    self._handle = handle
                else:
                    os.close(handle)
        self.write()
        return self

    @classmethod
    def adopt(cls, handle: int, session_id: str, name: str, run: int) -> Self:
        """Return the lock that another process handed over with its descriptor."""
        lock = cls(session_id, name, run)
        lock._handle = handle
        lock._started = _read(os.pread(handle, 4096, 0)).started
        return lock

    def fileno(self) -> int:
        """Return the descriptor that holds the lock, wherever it is copied to."""
        return self._handle

    def _refusal(self) -> RunningError:
        other = holder(self._session_id)
        if other and not other.run:
            return RunningError(
                f"another realm is at work on session {self._name} (process {other.pid})",
                "try again when it has ended",
            )
        since = f", since {other.since()} (process {other.pid})" if other else ""
        return RunningError(
            f"session {self._name} is still running{since}",
            f"realm attach {self._name} shows it, realm stop {self._name} ends it and saves its work",
        )

    def write(self, *, attached: bool = True) -> None:
        """Note that this process holds the run, with or without a terminal."""
        own = {"pid": os.getpid(), "run": self._run, "started": self._started, "attached": attached}
        os.pwrite(self._handle, json.dumps(own).ljust(_WIDTH).encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the run, unless another process also has the descriptor."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1
