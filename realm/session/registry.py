"""The projects that realm was used in, so that a session is found from anywhere.

One file below realm's directory, ``projects.json``: ``{"version": 1,
"projects": {"<work tree>": <seconds since the epoch of the last use>}}``.  It is
a convenience: losing it loses no session.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from realm.paths import make_private, realm_home, replace


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
    _write({**_read(), str(root): time.time()})


def forget(*roots: Path) -> None:
    """Forget work trees."""
    before = _read()
    projects = {path: used for path, used in before.items() if Path(path) not in roots}
    if projects != before:
        _write(projects)


def _write(projects: dict[str, float]) -> None:
    content = json.dumps({"version": 1, "projects": projects}, indent=2, sort_keys=True)
    try:
        make_private(realm_home())
        replace(_file(), content.encode())
    except OSError:
        return


def is_gone(root: Path) -> bool:
    """Tell whether a work tree is not there any more: removed, moved, or on a disk that is not mounted."""
    return not os.path.lexists(root / ".git")


def known() -> list[Path]:
    """Return the remembered work trees, last used first; some may not exist any more."""
    projects = _read()
    return [Path(path) for path in sorted(projects, key=lambda path: -projects[path])]
