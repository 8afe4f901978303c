"""What the user approved: pattern files that a project carries, and records that came from elsewhere.

What this machine pushed is noted in the same way, since a record from elsewhere could name any commit as
one that may be overwritten. ``approvals/`` below realm's directory has one small file for each approval.
Its name is the SHA-256 of the kind, the repository and the digest of the exact content, so that changed
content has to be approved again. The text in the file is for people to read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.config import INCLUDE, Config
from realm.errors import RealmError
from realm.paths import make_private, realm_home, replace
from realm.store import worktree
from realm.store.repo import discover
from realm.text import clean, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from realm.model import Project, Session
    from realm.session.requests import UI
    from realm.store.worktree import Include

_PATTERNS, _RECORD, _PUSHED, _SHARED = "patterns", "record", "pushed", "shared"
_DEVCONTAINER, _BESIDE = "devcontainer", "beside"
_SHOWN = 500
"""Characters of a program or an image that a question shows."""


def _repository(project: Project) -> list[str]:
    """Return what identifies a repository: its path, and its directory on the disk, so that it may be moved.

    The latter is device and inode of its common directory, plus inode and change time of the file
    ``description``, which git creates once and never changes: a clone, a copy, and a directory that reuses
    the inode differ in these.
    """
    place = project.common_dir
    found = [os.fsencode(place.resolve()).decode("utf-8", "backslashreplace")]
    with suppress(OSError):
        own, made = place.stat(), (place / "description").lstat()
        found.append(f"{own.st_dev}:{own.st_ino}:{made.st_ino}:{made.st_ctime_ns}")
    return found


def _places(kind: str, project: Project, content: bytes) -> list[tuple[Path, dict[str, str]]]:
    """Return the files of an approval and their contents; any one of them is enough."""
    found = []
    for repository in _repository(project):
        about = {"kind": kind, "repository": repository, "content": hashlib.sha256(content).hexdigest()}
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        found.append((realm_home() / "approvals" / name, about))
    return found


def _approve(kind: str, project: Project, content: bytes) -> None:
    for path, about in _places(kind, project, content):
        make_private(path.parent)
        replace(path, json.dumps(about, indent=2).encode() + b"\n")


def _is_approved(kind: str, project: Project, content: bytes) -> bool:
    return any(path.exists() for path, _ in _places(kind, project, content))


def patterns_approved(project: Project) -> bool:
    """Tell whether ``.worktreeinclude`` is approved as it is now, or missing."""
    content = worktree.pattern_file(project)
    return content is None or _is_approved(_PATTERNS, project, content)


def approve_patterns(project: Project) -> None:
    """Approve ``.worktreeinclude`` as it is now."""
    content = worktree.pattern_file(project)
    if content is not None:
        _approve(_PATTERNS, project, content)


def note_devcontainer(project: Project, content: bytes) -> None:
    """Note that the user took settings from a ``devcontainer.json`` with this content."""
    for one in (b"", content):
        _approve(_DEVCONTAINER, project, one)


def devcontainer_changed(project: Project) -> bool:
    """Tell whether the ``devcontainer.json`` that settings were taken from has changed."""
    if not _is_approved(_DEVCONTAINER, project, b""):
        return False
    from realm.session import devcontainer

    return not _is_approved(_DEVCONTAINER, project, devcontainer.text(project.root).encode())


def included(
    project: Project, paths: Sequence[str], settings: Sequence[str], before: Sequence[str] = ()
) -> tuple[Include, ...]:
    """Return the files that a container gets copies of, sorted by path.

    Arguments and errors are those of :func:`realm.store.worktree.included`; the
    files that an approved ``.worktreeinclude`` names are added.
    """
    found = worktree.included(project, paths, settings, before)
    carried = worktree.matched(project) if patterns_approved(project) else []
    return tuple(sorted({*found, *carried}))


class IncludeRow(NamedTuple):
    """A file that ``realm include`` lists; ``source`` is what names it."""

    path: str
    source: str
    approved: bool


def listing(directory: Path, *, approve: bool = False) -> list[IncludeRow]:
    """Return the files that every container of the project at ``directory`` gets copies of, or would.

    With ``approve`` the project's ``.worktreeinclude`` counts from now on;
    :class:`RealmError` where there is none.
    """
    project = discover(directory)
    if approve and worktree.pattern_file(project) is None:
        raise RealmError(
            f"{clean(str(project.root))} has no file {worktree.INCLUDE_FILE}",
            "git config --add realm.include PATH names a file for every container",
        )
    if approve:
        approve_patterns(project)
    own = worktree.included(project, (), Config(project.root).values(INCLUDE))
    approved = patterns_approved(project)
    rows = [IncludeRow(clean(item.path), "realm.include", approved=True) for item in own]
    carried = [clean(item.path) for item in worktree.matched(project) if item not in own]
    return sorted(rows + [IncludeRow(path, worktree.INCLUDE_FILE, approved) for path in carried])


def settle_patterns(project: Project, ui: UI) -> None:
    """Ask once whether to approve a ``.worktreeinclude`` that names files; without a terminal it is not."""
    content = worktree.pattern_file(project)
    if content is None or _is_approved(_PATTERNS, project, content):
        return
    names = [clean(item.path) for item in worktree.matched(project)]
    if not names:
        return
    if ui.confirm(f"{worktree.INCLUDE_FILE} asks for copies of {listed(names)} in the container. Allow it?"):
        # The content that was asked about, even if it has changed since.
        _approve(_PATTERNS, project, content)
        return
    ui.warn(
        f"{listed(names)} stayed out of the container: you have not approved this {worktree.INCLUDE_FILE} "
        "(realm include lists them, realm include --approve approves it)"
    )


def announce(include: Sequence[Include], notes: Iterable[str], ui: UI) -> None:
    """Say which ignored files a container gets copies of, and which of the home (``notes``)."""
    counted = Counter(item.place for item in include if item.place != item.path)
    single = {item.place: clean(item.place) for item in include}
    names = [
        name + (f"/ ({counted[place]} files)" if counted[place] else "") for place, name in single.items()
    ]
    if names:
        ui.info(f"copied into the container: {listed(names)}")
    for note in notes:
        ui.info(note)


def _asked(session: Session) -> list[str]:
    """Return the parts of a record about programs, images and files; empty if they have their defaults."""
    asked = []
    if session.agent:
        asked.append(f"run {clean(shlex.join(session.agent), limit=_SHOWN)}")
    if session.image:
        asked.append(f"use the image {clean(session.image, limit=_SHOWN)}")
    if session.include:
        asked.append(f"copy {listed([clean(path) for path in session.include])} into the container")
    for one in session.neighbours:
        path = clean(one.path, limit=_SHOWN)
        if one.writable:
            asked.append(f"take commits into {path}")
        else:
            what = f"the history of {path}" if one.base else f"all files of {path}"
            asked.append(f"show the container {what}")
    return asked


def _content(session: Session) -> bytes:
    fields = (session.id, session.agent, session.image, session.include, session.base)
    # The form without neighbours is unchanged, so that earlier approvals stay valid.
    return json.dumps([*fields, *([session.neighbours] if session.neighbours else [])]).encode()


def approve_record(project: Project, session: Session) -> None:
    """Approve a session's record, because this machine wrote it."""
    if _asked(session):
        _approve(_RECORD, project, _content(session))


def is_settled(project: Project, session: Session) -> bool:
    """Tell whether a session's record was written by this machine, or approved."""
    return not _asked(session) or _is_approved(_RECORD, project, _content(session))


def approve_alike(project: Project, session: Session, made: Session) -> None:
    """Approve the record of ``made`` if that of ``session``, its origin, was approved."""
    if _is_approved(_RECORD, project, _content(session)):
        approve_record(project, made)


def forget_record(project: Project, session: Session) -> None:
    """Undo :func:`approve_record` for a session that was not created in the end."""
    with suppress(OSError):
        for path, _ in _places(_RECORD, project, _content(session)):
            path.unlink(missing_ok=True)


def settle_record(project: Project, session: Session, ui: UI, *, approve: bool) -> None:
    """Ask the user to approve what a session's record requests, unless this machine wrote it.

    ``approve`` means that the user has agreed.  Raises :class:`RealmError` when nobody approves it; a record
    that requests nothing special needs no approval.
    """
    if is_settled(project, session):
        return
    message = (
        f"the record of {session.name} was written by another user, on another machine, or by an "
        f"earlier version of realm, and asks to {', to '.join(_asked(session))}"
    )
    if not approve and not ui.confirm(f"{message}. Allow it?"):
        raise RealmError(
            message,
            f"git show refs/realm-meta/{session.name}:session.json shows it, "
            f"realm resume {session.name} --approve approves it",
        )
    approve_record(project, session)


def note_ref(clone: Project, session: Session, name: str) -> None:
    """Note that ``refs/realm/<name>`` of another repository is this session's, and no other's any more."""
    for path, about in _places(_BESIDE, clone, name.encode()):
        make_private(path.parent)
        replace(path, json.dumps({**about, "session": session.id}, indent=2).encode() + b"\n")


def is_own_ref(clone: Project, session: Session, name: str) -> bool:
    """Tell whether this machine made ``refs/realm/<name>`` of another repository for this session."""
    for path, _ in _places(_BESIDE, clone, name.encode()):
        with suppress(OSError, ValueError):
            if json.loads(path.read_bytes())["session"] == session.id:
                return True
    return False


def is_anothers_ref(clone: Project, name: str) -> bool:
    """Tell whether this machine made ``refs/realm/<name>`` there for a session of another project."""
    return any(path.exists() for path, _ in _places(_BESIDE, clone, name.encode()))


def _push(session: Session, place: str, oid: str) -> bytes:
    return json.dumps([session.id, place, oid]).encode()


def note_push(project: Project, session: Session, place: str, oid: str) -> None:
    """Note that this machine puts ``oid`` at ``place``, a remote and a branch, if it can be written."""
    with suppress(OSError):
        _approve(_PUSHED, project, _push(session, place, oid))


def last_push(project: Project, session: Session, place: str) -> str | None:
    """Return what the record says was pushed to ``place`` last, where this machine did it."""
    oid = session.pushed.get(place)
    return oid if oid and is_pushed(project, session, place, oid) else None


def is_pushed(project: Project, session: Session, place: str, oid: str) -> bool:
    """Tell whether it was this machine that put ``oid``, if that is there, at ``place``."""
    return _is_approved(_PUSHED, project, _push(session, place, oid))


def note_shared(project: Project, session: Session, place: str, oids: Iterable[str]) -> None:
    """Note that this machine put a session's commits at ``place``, or took them from there."""
    with suppress(OSError):
        for oid in oids:
            _approve(_SHARED, project, _push(session, place, oid))


def is_shared(project: Project, session: Session, place: str, oid: str) -> bool:
    """Tell whether this machine has put ``oid`` at ``place``, or taken it from there."""
    return _is_approved(_SHARED, project, _push(session, place, oid))
