"""Where realm keeps its own files: everything lies below one directory."""

from __future__ import annotations

import os
from pathlib import Path

from realm.errors import RealmError


def realm_home() -> Path:
    """Return realm's directory: ``$REALM_HOME``, else ``~/.realm`` (it may not exist yet)."""
    home = os.environ.get("REALM_HOME")
    return Path(home) if home else Path.home() / ".realm"


def current_directory() -> Path:
    """Return the current directory; :class:`RealmError` when it was deleted meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise RealmError(
            "the current directory does not exist any more", "go to another one, or use -C DIR"
        ) from None


def make_private(directory: Path) -> Path:
    """Create ``directory`` (and parents) readable by its owner only, and return it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def data_dir(name: str) -> Path:
    """Return the directory of shipped files called ``name`` (``container`` or ``hooks``).

    In an installed package they lie inside it, in a checkout beside it.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_data" / name
    return installed if installed.is_dir() else package.parent / name
