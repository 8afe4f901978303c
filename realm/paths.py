"""Where realm keeps its own files: everything lies below one directory."""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import re
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STALE = 86400.0
"""Seconds after which another machine's realm is assumed to have forgotten what it held."""
_SCRATCH = r"[a-z]+@(\S*)@(\d{1,12})@\w+"
"""The name of a scratch directory: what it is for, the machine, the process."""
_UNFINISHED = r"\..+\.[0-9a-f]{12}"
"""The name of a file that :func:`replace` has not renamed into place yet."""


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
    """Create ``directory`` (and parents) readable by its owner only, and return it.

    Git ignores realm's own directory in a work tree, as where the home directory is a
    repository: ``--wip`` or ``git add --all`` would put its key into a commit.
    """
    try:
        for path in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
            path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        # The system's files, below /proc for example, say so of a directory that they do not let be made.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory)) from None
    home = realm_home()
    ignored = home / ".gitignore"
    if home in (directory, *directory.parents) and home != Path.home() and not ignored.exists():
        with suppress(OSError):
            replace(ignored, b"*\n")
    return directory


def replace(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file atomically, readable by its owner only: readers see the old content or the new.

    With ``durable`` it is on the disk when this returns.  Raises ``OSError``, and then leaves nothing.
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


class Scratch(NamedTuple):
    """A directory for one use, and the lock that tells others that it is in use."""

    path: Path
    lock: int

    def remove(self) -> None:
        """Remove it with all that is in it; once."""
        remove_tree(self.path)
        os.close(self.lock)


def scratch(kind: str, within: Path | None = None) -> Scratch:
    """Create a private directory for one use ``within`` another (default: realm's own ``tmp``).

    Its name has ``kind`` (letters), this machine and this process.  The caller removes it; those of killed
    processes are removed now.
    """
    tidy(within)
    parent = within or make_private(realm_home() / "tmp")
    while True:
        path = parent / f"{kind}@{os.uname().nodename}@{os.getpid()}@{os.urandom(6).hex()}"
        path.mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # there are file systems that lock no directories
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return Scratch(path, lock)
            os.close(lock)  # another took it for left over before it was locked


def tidy(within: Path | None = None) -> int:
    """Remove the directories of :func:`scratch` that killed processes left; return their number."""
    parent = within or make_private(realm_home() / "tmp")
    removed = sum(_is_forgotten(path) and _remove_unused(path, path) for path in parent.iterdir())
    return removed if within else removed + _tidy_former(realm_home() / "quarantine")


def tidy_files() -> int:
    """Remove what :func:`replace`, when it was killed, left in realm's directory; return their number."""
    removed = 0
    for directory, _, names in os.walk(realm_home()):
        for path in (Path(directory, name) for name in names if re.fullmatch(_UNFINISHED, name)):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _STALE:
                    path.unlink()
                    removed += 1
    return removed


def _tidy_former(parent: Path) -> int:
    """Remove what is left where earlier versions had their quarantines, each with a locked file.

    They had any names: behind a link, directories of others would be taken for them.
    """
    if parent.is_symlink():
        return 0
    try:
        quarantines = [path for path in parent.iterdir() if path.is_dir()]
    except OSError:  # as a rule there is none, or another has just removed it
        return 0
    locks = ((path, path / "lock") for path in quarantines)
    removed = sum(_remove_unused(path, lock if lock.exists() else path) for path, lock in locks)
    if removed == len(quarantines):
        remove_tree(parent)
    return removed


@contextmanager
def scratched(kind: str, within: Path | None = None) -> Iterator[Path]:
    """Yield a directory of :func:`scratch`, and remove it afterwards."""
    made = scratch(kind, within)
    try:
        yield made.path
    finally:
        made.remove()


def remove_tree(directory: Path) -> None:
    """Remove a directory and its content, if it exists and as far as possible."""
    if os.path.exists(directory):  # noqa: PTH110 - Path's own raises where nothing may be looked at
        import shutil  # milliseconds that a run without leftovers does not wait for

        shutil.rmtree(directory, ignore_errors=True)


def _is_forgotten(path: Path) -> bool:
    owner = re.fullmatch(_SCRATCH, path.name)
    try:
        return bool(owner and is_forgotten(owner[1], int(owner[2]), path.stat().st_mtime))
    except OSError:
        return False


def _remove_unused(path: Path, held: Path) -> bool:
    """Remove a directory unless ``held``, which its user locks, is locked; return whether it went."""
    try:
        lock = os.open(held, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    except OSError:
        pass  # a file system that locks no directories
    remove_tree(path)
    os.close(lock)
    return True


def is_forgotten(host: str, pid: int, since: float) -> bool:
    """Tell whether a process left what it marked as its own: the process is gone, or the mark is old.

    ``host`` is the machine's name, also in the form of :func:`machine`; ``since`` is in seconds.
    """
    if machine(host) == machine():
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:
            pass
    return time.time() - since > _STALE


def machine(name: str = "") -> str:
    """Return a machine's name, this one's without any, with letters, digits and ``-`` only."""
    return re.sub(r"[^A-Za-z0-9]", "-", name or os.uname().nodename) or "unknown"


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


def itself() -> tuple[str, ...]:
    """Return the command that runs this very realm.

    ``python -m realm`` would run a project's own ``realm``, if the current directory has one.
    """
    program = f"import sys; sys.path[:] = {sys.path!r}; from realm.__main__ import main; main()"
    return (sys.executable, "-I", "-c", program)
