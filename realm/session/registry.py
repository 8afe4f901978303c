"""The projects that realm was used in, so that a session is found from anywhere.

One file below realm's directory, ``projects.json``: ``{"version": 1,
"projects": {"<work tree>": <seconds since the epoch of the last use>}}``.  It is
a convenience: losing it loses no session.  Who changes it holds a lock on
``projects.lock`` beside it, so that no other's note is lost.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from realm.paths import make_private, realm_home, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE, _STEP = 5.0, 0.01
"""Seconds to wait for another's change, and between two looks: a process that hangs must not hang us."""


def _file() -> Path:
    return realm_home() / "projects.json"


def _read() -> dict[str, float]:
    try:
        projects = json.loads(_file().read_bytes())["projects"]
        return {str(path): float(used) for path, used in projects.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def remember(root: Path) -> None:
    """Note that realm was used in the work tree ``root``; a full disk is no reason to fail."""
    try:
        with _alone():
            _write({**_read(), str(root): time.time()})
    except OSError:
        return


def forget(*roots: Path) -> None:
    """Forget work trees."""
    try:
        with _alone():
            before = _read()
            projects = {path: used for path, used in before.items() if Path(path) not in roots}
            if projects != before:
                _write(projects)
    except OSError:
        return


@contextmanager
def _alone() -> Iterator[None]:
    """Keep others from changing the file meanwhile; raises OSError where nothing can be written."""
    lock = make_private(realm_home()) / "projects.lock"
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(handle)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int) -> None:
    """Take the lock; go on without it where the disk knows no locks or its holder hangs."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_STEP)
        except OSError:
            return
        else:
            return


def _write(projects: dict[str, float]) -> None:
    content = json.dumps({"version": 1, "projects": projects}, indent=2, sort_keys=True)
    replace(_file(), content.encode())


def is_gone(root: Path) -> bool:
    """Tell whether a work tree is not there any more: removed, moved, or on a disk that is not mounted."""
    return not os.path.lexists(root / ".git")


def known() -> list[Path]:
    """Return the remembered work trees, last used first; some may not exist any more."""
    projects = _read()
    return [Path(path) for path in sorted(projects, key=lambda path: -projects[path])]
