"""The projects that realm was used in, so that a session is found from anywhere.

One file below realm's directory, ``projects.json``: ``{"version": 1,
"projects": {"<work tree>": <seconds since the epoch of the last use>}}``, the
last used first.  It is a convenience: losing it loses no session.  Who changes
it holds a lock on ``projects.lock`` beside it, so that no other's note is lost.
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

    from realm.model import Project

_PATIENCE, _STEP = 5.0, 0.01
"""Seconds to wait for another process's change, and between two tries; then go on without the lock."""


def _file() -> Path:
    return realm_home() / "projects.json"


def _read() -> dict[str, float]:
    try:
        projects = json.loads(_file().read_bytes())["projects"]
        return {str(path): float(used) for path, used in projects.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def remember_project(project: Project) -> None:
    """Note that realm was used in a project: in its main work tree, if it has one.

    A linked work tree comes and goes; the sessions stay with the main one.
    """
    main = project.common_dir.parent
    is_main_there = project.common_dir.name == ".git" and (project.common_dir / "index").exists()
    if is_gone(project.root):  # the user's GIT_DIR names the repository: it is not found without that
        return
    remember(main if is_main_there else project.root)


def remember(*roots: Path) -> None:
    """Note that realm was used in work trees, the first one most recently.

    A full disk is no reason to fail.
    """
    try:
        with _alone():
            used = dict.fromkeys(map(str, roots), time.time())
            _write({**used, **{path: when for path, when in _read().items() if path not in used}})
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
    """Lock the file against other processes; raises OSError where nothing can be written."""
    lock = make_private(realm_home()) / "projects.lock"
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(handle)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int) -> None:
    """Take the lock; go on without it if the file system has no locks or its holder hangs."""
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
    content = json.dumps({"version": 1, "projects": projects}, indent=2)
    replace(_file(), content.encode())


def is_gone(root: Path) -> bool:
    """Tell whether a work tree is missing: removed, moved, or on a disk that is not mounted."""
    try:
        (root / ".git").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it may be there: this user may not look
        return False
    return False


def known() -> list[Path]:
    """Return the remembered work trees, last used first; some may not exist any more."""
    projects = _read()
    return [Path(path) for path in sorted(projects, key=lambda path: -projects[path])]
