"""The files of a sandbox whose work git does not have, written to a new directory of the host.

It is the last way out, when a run can be neither saved nor gone on with.  What
comes is an archive that a hostile program had its hands on: its names and links
are judged as those of a tree that enters the project (:mod:`realm.store.names`),
nothing is ever written through a link, and nothing that git would take for a
repository is made, since git obeys what stands in one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tarfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from realm.errors import (
    EngineError,
    NoSuchSessionError,
    NotARepositoryError,
    RealmError,
    RejectedError,
    RunningError,
)
from realm.paths import current_directory
from realm.sandbox import docker, lookup
from realm.sandbox.creation import readable
from realm.sandbox.layout import WORK
from realm.sandbox.sandbox import Sandbox
from realm.session import registry
from realm.session.find import find
from realm.store import names, record, refs
from realm.store.repo import discover
from realm.text import clean, listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realm.model import Project, Session
    from realm.sandbox.docker import Engine
    from realm.session.requests import UI

MOST_BYTES = 256 * 1024**3
MOST_ENTRIES = 10_000_000
_CHUNK = 1024 * 1024
_LONGEST = 80
"""Characters shown of a cleaned name."""
_HEAD = "HEAD.rescued"
_NAMES = 8
"""The most names shown of those left out."""


class Rescued(NamedTuple):
    """The number of files and links written, and notes."""

    files: int
    notes: tuple[str, ...] = ()


def rescue(name: str, target: Path, directory: Path | None, ui: UI) -> Rescued:
    """Write the files in the container of a session that is over to the new directory ``target``.

    Those of a repository beside the project go to ``<target>-<name>``.  Where the project's directory has
    no file, all that lies beside it goes to ``target``.

    It works from the volumes alone, and for a session whose refs are gone.
    Raises :class:`RealmError` when there is no container, when its agent still
    runs, or when ``target`` exists and is not empty.
    """
    refs.check_name(name)
    target = Path(os.path.abspath(target))  # noqa: PTH100 - one that is `.` has no name
    sandbox, prefix, beside = _found(name, directory)
    places = {prefix: target} | {f"{WORK}/{one}": target.with_name(f"{target.name}-{one}") for one in beside}
    for place in places.values():
        _check_target(place)
    writers = [Writer(place, path.removeprefix(WORK)) for path, place in places.items()]
    with ui.progress(f"writing the files of {name}"), readable(sandbox.engine, sandbox) as opened:
        try:
            for writer in writers:
                # Engines name the mounted directory itself differently.
                with opened.engine.get(opened.id, f"{WORK}/.") as pieces:
                    writer.write(pieces)
            if not writers[0].files and prefix != WORK:
                # The agent moved or removed its project's directory: its files may lie anywhere beside.
                writers.append(Writer(target, ""))
                with opened.engine.get(opened.id, f"{WORK}/.") as pieces:
                    writers[-1].write(pieces)
        except OSError as error:
            raise RealmError(
                f"{clean(str(error.filename or target))}: {error.strerror or error}",
                f"what was written so far is in {clean(str(target))}; the container is kept",
            ) from error
    return Rescued(
        sum(writer.files for writer in writers), tuple(note for writer in writers for note in writer.notes())
    )


def _check_target(target: Path) -> None:
    try:
        if any(target.iterdir()):
            raise RealmError(f"{clean(str(target))} is not empty", "name a directory that does not exist yet")
    except FileNotFoundError:
        return
    except OSError as error:
        raise RealmError(
            f"{clean(str(target))}: {error.strerror}", "name a directory that does not exist yet"
        ) from None


def _found(name: str, directory: Path | None) -> tuple[Sandbox, str, list[str]]:
    """Return the newest container of a session, its paths' prefix, and the directories beside it.

    Raises :class:`RunningError` while its agent runs.
    """
    project, session = _recorded(name, directory)
    session_id, workspace = (session.id, session.workspace) if session else (None, WORK)
    beside = [one.name for one in session.neighbours if one.writable] if session else []
    connection = docker.connect()
    ours, sandboxes = _called(connection, name, session_id)
    if session_id is None:
        sandboxes = _unrecorded(sandboxes, project, directory)
    elif project and not sandboxes:  # those of an earlier session of this name, whose refs are gone
        session, workspace, beside = None, WORK, []
        ours, sandboxes = _called(connection, name, None)
        sandboxes = _unrecorded(sandboxes, project, project.root)
    if not sandboxes:
        raise EngineError(
            f"no container of {name} is left",
            f"git log {refs.CODE}{name} shows what is in git, realm list all sessions",
        )
    newest = max(sandboxes, key=lambda sandbox: (sandbox.state() != "created", sandbox.owner.started))
    if newest.state() == "running":
        end = f"realm stop {name} ends it and saves its work"
        raise RunningError(
            f"the agent of {name} still runs",
            end if newest in ours and session else f"docker stop {newest.id[:12]} ends it",
        )
    return newest, workspace, beside


def _called(connection: Engine, name: str, session_id: str | None) -> tuple[list[Sandbox], list[Sandbox]]:
    """Return this realm's containers of the session (``None``: of any), and all of these called ``name``."""
    ours = lookup.find(connection, session_id=session_id)
    # One of an earlier version or another REALM_HOME may be read; its files are checked like all others.
    others = (
        Sandbox(connection, stranger.id, stranger.owner, stranger.volumes)
        for stranger in lookup.strangers(connection, session_id=session_id)
    )
    return ours, [sandbox for sandbox in (*ours, *others) if sandbox.owner.session == name]


def _unrecorded(found: Iterable[Sandbox], project: Project | None, directory: Path | None) -> list[Sandbox]:
    """Return those of the project here, else those of projects whose directory is gone."""
    root = project.root if project else None
    with suppress(NotARepositoryError):
        root = root or discover(directory or current_directory()).root
    here = [sandbox for sandbox in found if sandbox.owner.project == str(root)]
    if here or directory is not None:
        return here
    return [sandbox for sandbox in found if registry.is_gone(Path(sandbox.owner.project))]


def _recorded(name: str, directory: Path | None) -> tuple[Project | None, Session | None]:
    """Return a session and its project, if they can be read."""
    try:
        project = find(name, directory)
    except NoSuchSessionError:
        return None, None
    try:
        return project, record.read_session(project, name)
    except RealmError:
        return project, None


class _Pieces:
    """An archive that comes in pieces, as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        while len(self._buffer) < size and (piece := next(self._pieces, b"")):
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


class Writer:
    """Writes what an archive holds to a new directory; ``prefix`` is where the paths wanted begin."""

    def __init__(self, target: Path, prefix: str) -> None:
        self._target = target
        self._prefix = [part for part in prefix.split("/") if part]
        self._links: list[tuple[list[str], str]] = []
        self._written: dict[str, Path] = {}
        self._left_out: dict[str, list[str]] = {}
        self._renamed = 0
        self._size = self._entries = 0
        self._heads: dict[Path, str] = {}
        self.files = 0

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write all safe members; raises :class:`RejectedError` for a malformed or too large archive."""
        self._target.mkdir(parents=True, exist_ok=True)
        self._target = self._target.resolve()
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", _Pieces(iter(pieces))), mode="r|") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # they would all be kept
                    self._entries += 1
                    self._count(member.size)
                    self._take(archive, member)
        except tarfile.TarError as error:
            raise RejectedError(f"the container's files cannot be read: {clean(str(error))}") from error
        # Only now: nothing is written through a link.
        for parts, link in self._links:
            with self._costing(parts):
                self._link(parts, link)
        self._name_heads()

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MOST_BYTES or self._entries > MOST_ENTRIES:
            raise RejectedError("the container holds more than can be rescued")

    def notes(self) -> Iterator[str]:
        """Yield notes for the user."""
        for why, paths in sorted(self._left_out.items()):
            shown = [clean(path, limit=200) for path in paths[:_NAMES]]
            more = [f"{len(paths) - _NAMES} more"] if len(paths) > _NAMES else []
            yield f"{why}: {listed([*shown, *more], _NAMES + 1)}"
        if self._renamed:
            yield f"{plural(self._renamed, 'name')} had harmful characters, which became _"

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        found = [part for part in member.name.split("/") if part not in ("", ".")]
        if found[: len(self._prefix)] != self._prefix or ".." in found or found == self._prefix:
            return
        parts = found[len(self._prefix) :]
        if any(_is_git(part) for part in parts):
            if _is_git(parts[-1]) and len(parts) > 1:
                self._leave("left out as git's own", parts)
            return
        parts = [self._cleaned(part) for part in parts]
        with self._costing(parts):
            self._make(archive, member, parts)

    @contextmanager
    def _costing(self, parts: list[str]) -> Iterator[None]:
        """Skip only the path that cannot be created."""
        try:
            yield
        except (FileExistsError, NotADirectoryError):
            self._leave("left out, since the name is taken", parts)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            self._leave("left out, since the name is too long", parts)

    def _make(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str]) -> None:
        path = self._place(parts)
        if member.issym():
            self._links.append((parts, member.linkname))
        elif member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.islnk() and member.linkname in self._written:
            before = self._written[member.linkname]
            self._count(before.stat().st_size)
            with before.open("rb") as content:
                self._file(path, content, runs=os.access(before, os.X_OK))
        elif member.isreg():
            if (inside := archive.extractfile(member)) is not None:
                self._file(path, inside, runs=bool(member.mode & 0o100))
                self._written[member.name] = path
        else:
            self._leave("left out, neither a file nor a link", parts)

    def _cleaned(self, part: str) -> str:
        if not names.name_problem(os.fsencode(part)):
            return part
        self._renamed += 1
        text = os.fsencode(part).decode("utf-8", "replace")
        return "".join(char if clean(char) == char != "\\" else "_" for char in text)[:_LONGEST]

    def _leave(self, why: str, parts: list[str]) -> None:
        self._left_out.setdefault(why, []).append("/".join(parts))

    def _file(self, path: Path, content: IO[bytes], *, runs: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while data := content.read(_CHUNK):
                file.write(data)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if runs:
                os.fchmod(file.fileno(), mode | (mode & 0o444) >> 2)
        self.files += 1

    def _link(self, parts: list[str], target: str) -> None:
        """Create a symbolic link, if it leads nowhere else."""
        if names.link_problem(os.fsencode(parts[-1]), os.fsencode(target), len(parts) - 1):
            self._leave("left out, a link that leads elsewhere", parts)
            return
        path = self._place(parts)
        if os.path.realpath(path.parent) != str(path.parent) or os.path.lexists(path):
            self._leave("left out, since the name is taken", parts)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        self.files += 1

    def _place(self, parts: list[str]) -> Path:
        """Return where to write something; nothing is called HEAD before all is there.

        git takes a directory for a repository by that name, and obeys the
        configuration in there: none is one at any moment, whatever cuts us off.
        """
        place = self._target
        for part in parts:
            if names.folded(os.fsencode(part)) == "head":
                place = place / f"{_HEAD}-{hashlib.sha256(os.fsencode(part)).hexdigest()[:8]}"
                self._heads[place] = part
            else:
                place = place / part
        return place

    def _name_heads(self) -> None:
        """Give files called HEAD their name, unless git would then take a directory for a repository."""
        for place, part in sorted(self._heads.items(), reverse=True):  # what is inside another goes first
            if not os.path.lexists(place):
                continue
            others = [name for name in os.listdir(place.parent) if name != place.name]  # noqa: PTH208 - names
            final = place.with_name(part)
            if names.is_repository(map(os.fsencode, [*others, part])) or os.path.lexists(final):
                shown = str(place.relative_to(self._target))
                self._leave(f"HEAD, called {_HEAD} now, so that git takes nothing for a repository", [shown])
            else:
                place.rename(final)


def _is_git(part: str) -> bool:
    return names.folded(os.fsencode(part)) in (".git", "git~1")
