"""Other directories that sandboxes have beside the project (``--with``): repositories, and plain files.

They lie beside the workspace, so that ``../lib`` is the same inside.  A repository goes in as a submodule
does, at a commit and with its history; what is done in a writable one comes to ``refs/realm/<name>`` in it
(:mod:`realm.session.inner`).  Plain files are copied: the engine may be on another machine.

A record from elsewhere can name any path.  No repository is opened for it that was not approved.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import shlex
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError, UsageError
from realm.model import Neighbour
from realm.session import approvals, homes
from realm.session import run as running
from realm.store import repo, stores, submodules, worktree
from realm.store.schema import MOST_NEIGHBOURS
from realm.store.submodules import Submodule
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.model import Project, Run, Session
    from realm.session.requests import UI
    from realm.session.run import Plan

MOST_FILES = 20_000
MOST_BYTES = 512 * 1024**2
"""The most bytes copied of a plain directory."""
_HINT = "--with DIR, DIR:ro or DIR:rw"


def named(project: Project, session: Session, words: Sequence[str], start: Path) -> Session:
    """Return the session with the directories that ``words`` add.

    Each word is ``DIR[:ro|:rw]``, relative to ``start``.  Raises :class:`RealmError` for a directory that
    cannot be given, or not in this way.
    """
    found = {one.name: one for one in session.neighbours}
    for word in words:
        session = session._replace(neighbours=tuple(found.values()))
        one = _read_word(project, session, word, start)
        known = _known_as(project, session, one)
        if known is not None:
            one = _named_again(project, known, one)
        elif one.name in found or one.name == posixpath.basename(session.workspace):
            raise UsageError(
                f"the container has another {session.beside(one.name)}",
                f"ln -s {shlex.quote(clean(one.path))} OTHER-NAME, then --with OTHER-NAME",
            )
        found[one.name] = one
    if len(found) > MOST_NEIGHBOURS:
        raise UsageError(f"a session has at most {MOST_NEIGHBOURS} directories beside the project", _HINT)
    return session._replace(neighbours=tuple(homes.with_ref(project, session, one) for one in found.values()))


def _known_as(project: Project, session: Session, one: Neighbour) -> Neighbour | None:
    """Return the directory that the session already has for ``one``: the same one, or one moved to there."""
    for other in session.neighbours:
        if other.path == one.path:
            return other
        if not _is_directory(other.path) and (other.name == one.name or _is_of(project, other, one)):
            return other
    return None


def _is_of(project: Project, known: Neighbour, one: Neighbour) -> bool:
    """Tell whether ``one`` is a repository with the commit that ``known`` began on."""
    both = known.base and one.base
    return bool(both) and homes.clone_of(project, known._replace(path=one.path)) is not None


def _named_again(project: Project, known: Neighbour, one: Neighbour) -> Neighbour:
    """Return it in its new form: a writable one continues from its last state, if that exists."""
    is_there = _is_of(project, known, one)
    if is_there and known.writable and one.writable:
        return known._replace(path=one.path)
    return one._replace(name=known.name, ref=known.ref if is_there else "")


def _read_word(project: Project, session: Session, word: str, start: Path) -> Neighbour:
    path, _, mode = word.rpartition(":")
    if mode not in ("ro", "rw"):
        path, mode = word, ""
    full = _full(start, path)
    shown = clean(str(full), limit=200)
    if not path or not _is_directory(full):
        raise UsageError(f"--with {shlex.quote(clean(word, limit=200))}: there is no such directory", _HINT)
    one = Neighbour(str(full), repo.project_name(full, full, full))
    if _is_repository(full):
        return _with_base(project, session, one, writable=mode != "ro")
    if mode == "rw":
        raise UsageError(
            f"{shown} is not a repository, so it can only be read",
            f"{_mount(one)} lets the agent change it",
        )
    _check_plain(project, one)
    return one


def _is_directory(path: Path | str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - a mount that is gone raises nothing here


def _is_repository(path: Path) -> bool:
    return os.path.lexists(path / ".git") or all(
        os.path.lexists(path / name) for name in ("HEAD", "objects", "refs")
    )


def _check_plain(project: Project, one: Neighbour) -> None:
    """Raise :class:`UsageError` unless it is a plain directory beside the project, whatever a record says."""
    path, shown = Path(one.path), clean(one.path, limit=200)
    if not _is_directory(path):
        raise UsageError(f"{shown} is not here", _HINT)
    real, root = path.resolve(), project.root.resolve()
    if _is_repository(path):
        raise UsageError(f"{shown} is a repository", _HINT)
    if root.is_relative_to(real):
        raise UsageError(f"{shown} holds the project", "name a directory beside it")
    if real.is_relative_to(root):
        raise UsageError(f"{shown} is part of the project", "--include PATH copies what git ignores")


def plain(
    project: Project, session: Session, known: Sequence[Neighbour] = ()
) -> dict[str, Sequence[tuple[Path, str]]]:
    """Return the files to copy of plain directories, by the directories' names, without empty ones.

    Raises :class:`RealmError` for an unsuitable directory, unless it is ``known``, which was suitable once.
    """
    found = {}
    for one in session.neighbours:
        with suppress(RealmError) if one in known else nullcontext():
            if not one.base:
                _check_plain(project, one)
                found[one.name] = list(_files(one))
    return {name: files for name, files in found.items() if files}


def _with_base(project: Project, session: Session, one: Neighbour, *, writable: bool) -> Neighbour:
    """Return it with its HEAD as base; raises :class:`RealmError` if it is unsuitable."""
    shown = clean(one.path, limit=200)
    clone = repo.discover(Path(one.path))
    if clone.common_dir == project.common_dir:
        raise UsageError(f"{shown} is the project's own repository", "realm.historyRefs shows more of it")
    inside = (one.clone for one in submodules.find(project, session.base, session.base))
    if clone.common_dir.is_relative_to(project.common_dir) or any(
        one is not None and one.common_dir == clone.common_dir for one in inside
    ):
        raise UsageError(f"{shown} is a submodule: the container has it", "leave --with out")
    if clone.object_format != project.object_format:
        raise RealmError(
            f"{shown} has the object format {clone.object_format}, the project {project.object_format}",
            "--with takes repositories of one format",
        )
    others = [homes.opened(Path(other.path)) for other in session.neighbours if other.path != one.path]
    if clone.common_dir in (other.common_dir for other in others if other is not None):
        raise UsageError(f"{shown} is a repository that was named already", "name one work tree of it")
    try:
        base = repo.resolve_commit(clone, "HEAD")
        stores.ensure_readable(clone, base)
    except RealmError as error:
        raise type(error)(f"{shown}: {error.message}", error.hint) from error
    return one._replace(base=base, writable=writable)


# -- in a run --------------------------------------------------------------------


def beginning(
    session: Session, there: Sequence[tuple[Neighbour, Project | None]]
) -> tuple[tuple[str, str], ...]:
    """Return a starting run's repositories by name, and their commits.

    ``there`` is the result of :func:`realm.session.homes.repositories`.
    """
    found = []
    for one, clone in there:
        if clone is not None:
            own = homes.tip_of(clone, session, one.ref) if one.writable else None
            found.append((one.name, own or one.base))
    return tuple(found)


def of_run(run: Run, there: Sequence[tuple[Neighbour, Project | None]]) -> tuple[Submodule, ...]:
    """Return a run's repositories; without a clone for those that are no longer here."""
    from realm.sandbox.repositories import BESIDE, READ_ONLY  # imports tarfile, which a remove does not need

    tips = dict(run.neighbours)
    return tuple(
        Submodule(
            hashlib.sha256(f"../{one.name}".encode()).hexdigest()[:16], BESIDE if one.writable else READ_ONLY,
            f"../{one.name}", f"../{one.name}", tips[one.name], one.base, one.name,
            place=f"with/{one.name}", clone=clone,
        )
        for one, clone in there if one.name in tips
    )  # fmt: skip


def _files(one: Neighbour) -> Iterator[tuple[Path, str]]:
    """Yield files and links of a plain directory, without any ``.git``, and their names below it."""
    top, shown = Path(one.path).resolve(), clean(one.path, limit=200)
    size = 0
    for count, name in enumerate(worktree.files(top, ".", _refuse), 1):
        path = top / name
        with suppress(FileNotFoundError):
            size += path.lstat().st_size
        if count > MOST_FILES or size > MOST_BYTES:
            raise RealmError(
                f"{shown} has more than {MOST_FILES:,} files or {MOST_BYTES >> 20} MB, too much for a copy",
                f"{_mount(one, ':ro')} mounts it",
            )
        if not path.is_symlink() and not os.access(path, os.R_OK):
            _refuse(PermissionError(errno.EACCES, "", str(path)))
        yield path, name


def _refuse(error: OSError) -> None:
    path = clean(str(error.filename))
    raise RealmError(f"{path} cannot be read", f"ls -ld {shlex.quote(path)}")


def _full(start: Path, path: str) -> Path:
    """Return the path that a user means who stands in ``start``."""
    return Path(os.path.normpath(start / os.path.expanduser(path)))  # noqa: PTH111 - it knows every user


def _mount(one: Neighbour, mode: str = "") -> str:
    flag = shlex.join(["-v", f"{clean(one.path)}:/data/{one.name}{mode}"])
    return f"git config --add realm.dockerArgs {shlex.quote(flag)}"


def announce(plan: Plan, ui: UI) -> None:
    """Report what is beside the project, and what of that is missing."""
    session, there = plan.session, running.directories(plan)
    clones = {one.name: one.clone for one in plan.neighbours}
    for one in session.neighbours:
        place, shown = session.beside(one.name), clean(one.path, limit=200)
        if place not in there:
            why = f"{absent(plan.project, session, one.name)}: the container starts without it"
            if one.base or not _is_directory(one.path):
                why += (
                    f"; realm resume {session.name} --with DIR says where it is now "
                    f"(a directory called {one.name})"
                )
            ui.warn(why)
            continue
        to = "a copy of its files"
        if one.base:
            to = "commits come home to it" if one.writable else "nothing of it comes home"
        ui.info(f"in the container: {place} ({shown}; {to})")
        if (clone := clones.get(one.name)) is not None:
            with suppress(RealmError):  # a filter of the user's may fail
                if count := len(worktree.dirty(clone)):
                    ui.warn(f"{plural(count, 'file')} of {shown} not committed: left out")
    for word in plan.agent.directories(plan.agent_args):
        if said := _elsewhere(plan, word):
            ui.warn(said)


def _elsewhere(plan: Plan, word: str) -> str:
    """Return where the agent finds the directory ``word`` of this machine, if that is not where it says."""
    root, session, shown = plan.project.root, plan.session, clean(word, limit=200)
    full = _full(root / plan.project.subdir, word)
    if not _is_directory(full):
        return ""
    if full.is_relative_to(root):
        place = posixpath.normpath(posixpath.join(session.workspace, full.relative_to(root)))
    else:
        place = next((session.beside(one.name) for one in session.neighbours if one.path == str(full)), "")
    if not place:
        return f"{shown} is not in the container: --with {shlex.quote(shown)} brings it along"
    asked = posixpath.normpath(posixpath.join(session.workspace, plan.project.subdir, word))
    return "" if asked == place else f"{shown} is {place} in the container"


def absent(project: Project, session: Session, name: str) -> str:
    """Return in words why the directory ``name`` beside the project is missing."""
    one = next(one for one in session.neighbours if one.name == name)
    shown = clean(one.path, limit=200)
    if not _is_directory(one.path):
        return f"{shown} is not here"
    if one.base:
        if not approvals.is_settled(project, session):
            return f"{shown} is named by a record that you have not approved"
        return f"{shown} has no commit {one.base[:10]} any more"
    try:
        _check_plain(project, one)
        return f"{shown} has no files to copy" if not list(_files(one)) else f"{shown} changed a moment ago"
    except RealmError as error:
        return error.message
