"""Where realm keeps its own files: everything lies below one directory."""

from __future__ import annotations

import errno
import functools
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PARTS = 4
"""Parts of a scratch directory's name, between ``@``."""


def realm_home() -> Path:
    """Return realm's directory: ``$REALM_HOME``, else ``~/.realm`` (it may not exist yet).

    A path that is not absolute is seen from the home directory: it is the same wherever realm is run.
    """
    home = Path(os.environ.get("REALM_HOME") or ".realm")
    return home if home.is_absolute() else Path.home() / home


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
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileNotFoundError:
        # The system's files, below /proc for example, say so of a directory that they do not let be made.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory)) from None
    return directory


def replace(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file in one step, readable by its owner only: who reads it sees the old one or the new one.

    With ``durable`` it is on the disk when this returns.  Raises ``OSError``,
    and leaves nothing then.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def scratch(kind: str) -> Path:
    """Make a private directory for one use, called after ``kind``, this machine and this process.

    Whoever makes it removes it; those of processes that were killed go now.
    """
    tidy()
    name = f"{kind}@{os.uname().nodename}@{os.getpid()}@{os.urandom(6).hex()}"
    directory = make_private(realm_home() / "tmp") / name
    directory.mkdir(mode=0o700)
    return directory


def tidy() -> int:
    """Remove the directories of :func:`scratch` that killed processes left; return their number."""
    left = [path for path in make_private(realm_home() / "tmp").iterdir() if _is_forgotten(path.name)]
    for path in left:
        remove_tree(path)
    return len(left)


@contextmanager
def scratched(kind: str) -> Iterator[Path]:
    """Give a directory as :func:`scratch` makes it, and remove it afterwards."""
    directory = scratch(kind)
    try:
        yield directory
    finally:
        remove_tree(directory)


def remove_tree(directory: Path) -> None:
    """Remove a directory with all that is in it, if it is there and as far as that goes."""
    if os.path.exists(directory):  # noqa: PTH110 - Path's own raises where nothing may be looked at
        import shutil  # milliseconds that a run without leftovers does not wait for

        shutil.rmtree(directory, ignore_errors=True)


def _is_forgotten(name: str) -> bool:
    """Tell whether a directory of that name belongs to a process of this machine that is gone."""
    parts = name.split("@")
    if len(parts) != _PARTS or parts[1] != os.uname().nodename or not parts[2].isdigit():
        return False
    try:
        os.kill(int(parts[2]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@functools.cache
def shipped(name: str) -> Mapping[str, bytes]:
    """Return the files that come with realm in the directory ``name``, such as ``container``, by their names.

    In an installed package it lies inside that, in a checkout beside it.  They are read once: a
    run goes on while realm is upgraded.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_data" / name
    directory = installed if installed.is_dir() else package.parent / name
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}
