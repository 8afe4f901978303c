"""The refs of sessions: their names, and moving them all or not at all.

``refs/realm/<name>`` is the code, ``refs/realm-meta/<name>`` the record; both
move in one transaction of git's, each only from the value that was read.
``refs/realm-trash/<name>/<unix>/{code,meta}`` keeps what was removed.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import GitError, RealmError, RefRaceError, UsageError
from realm.git import GitResult, failure, git, reason
from realm.store.names import CODE, META, TRASH, check_name, temporary
from realm.store.rows import MetaRow, rows
from realm.store.trash import (
    Trash,
    expire_trash,
    keep_updates,
    latest_trash,
    list_trash,
    restore_updates,
    trash_updates,
)
from realm.store.updates import RefUpdate, Tips
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realm.model import Project

__all__ = [
    "CODE",
    "META",
    "TRASH",
    "MetaRow",
    "RefUpdate",
    "Tips",
    "Trash",
    "check_name",
    "check_new",
    "expire_trash",
    "keep_updates",
    "latest_trash",
    "list_trash",
    "restore_updates",
    "rows",
    "tips",
    "transact",
    "trash_updates",
]

PATIENCE = 2.0
"""Seconds to wait for another git's lock."""

_LOCKED = re.compile(rb"Unable to create '([^']+\.lock)': File exists")
_BROKEN = re.compile(rb"unable to resolve reference '([^']+)': reference broken")
_LOST = re.compile(
    rb"is at [0-9a-f]+ but expected|reference already exists"
    rb"|unable to resolve reference|is missing but expected"
)


def check_new(project: Project, name: str) -> None:
    """Check that a session may be made with this name.

    Raises :class:`UsageError` for a bad name or one that differs from an
    existing one only by case, :class:`RealmError` when the session exists.
    """
    check_name(name)
    result = git("for-each-ref", "--format=%(refname)", CODE, META, project=project)
    for ref in result.text.splitlines():
        prefix = CODE if ref.startswith(CODE) else META
        taken = ref.removeprefix(prefix).split("/")[0]
        if taken == name and prefix == CODE:
            raise RealmError(
                f"the session '{name}' exists already", f"realm resume {name}, or choose another name"
            )
        if taken != name and taken.casefold() == name.casefold():
            raise UsageError(
                f"the name '{name}' differs from the session '{clean(taken)}' only by case",
                "choose another name",
            )


def tips(project: Project, name: str) -> Tips:
    """Return where the session's two refs point."""
    code, meta = CODE + name, META + name
    found = _values(project, (code, meta))
    return Tips(found.get(code), found.get(meta))


def _values(project: Project, names: Iterable[str]) -> dict[str, str]:
    """Return what the refs point to; those that are not there are left out."""
    wanted = list(names)
    result = git("for-each-ref", "--format=%(objectname) %(refname)", *wanted, project=project)
    pairs = (line.split(" ", 1) for line in result.text.splitlines())
    return {ref: oid for oid, ref in pairs if ref in wanted}


def transact(project: Project, updates: Sequence[RefUpdate], reason: str, held: Sequence[str] = ()) -> None:
    """Move all refs or none: each must still be what the update's ``old`` says.

    The temporary refs that held what they point to now go with it; ``held`` are
    objects whose temporary refs go too.  ``reason`` goes to the reflog where the user keeps one.  Raises
    :class:`RefRaceError` when a ref is not what was expected and
    :class:`RealmError` when one is symbolic or stays locked.
    """
    _refuse_symbolic(project, [update.ref for update in updates])
    orders = [b"start\0", *(_order(project, update) for update in updates)]
    let_go = dict.fromkeys([*(update.new for update in updates if update.new), *held])
    orders += [b"delete %s\0\0" % temporary(oid).encode() for oid in let_go]
    text = b"".join([*orders, b"prepare\0commit\0"])
    deadline = time.monotonic() + PATIENCE
    while True:
        result = git("update-ref", "-m", reason, "--stdin", "-z", project=project, stdin=text, check=False)
        if result.code == 0:
            return
        lock = _LOCKED.search(result.err)
        if lock is None:
            raise _refused(project, updates, result)
        if time.monotonic() > deadline:
            raise _locked(Path(lock[1].decode("utf-8", "surrogateescape")))
        from random import uniform

        time.sleep(uniform(0.01, 0.1))  # noqa: S311 - jitter, not a secret


def _order(project: Project, update: RefUpdate) -> bytes:
    """Return one command of ``git update-ref --stdin -z`` that does not follow symbolic refs."""
    ref, old, new = update.ref, update.old or project.zero, update.new
    if new is not None:
        text = f"option no-deref\0update {ref}\0{new}\0{old}\0"
    elif update.old is not None:
        text = f"option no-deref\0delete {ref}\0{old}\0"
    else:
        text = f"option no-deref\0verify {ref}\0{old}\0"
    return text.encode()


def _refuse_symbolic(project: Project, names: list[str]) -> None:
    """Raise when a ref is symbolic: writing through one would move another ref, such as a branch.

    Symbolic refs are never packed, so the files tell, even about a dangling
    one; only a reftable has to be asked.
    """
    targets = [_symbolic_target(project.common_dir / name) for name in names]
    if (project.common_dir / "reftable").is_dir():
        shown = git("for-each-ref", "--format=%(symref)", *names, project=project).text.splitlines()
        targets += [line for line in shown if line]
    for target in targets:
        if target:
            raise RealmError(
                f"a ref of the session is a symbolic ref to {clean(target)}, which realm does not follow",
                "git symbolic-ref --delete REF, after a look at: git for-each-ref refs/realm refs/realm-meta",
            )


def _symbolic_target(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(1000)
    except OSError:
        return ""
    return head[4:].decode("utf-8", "replace").strip() if head.startswith(b"ref:") else ""


def _refused(project: Project, updates: Sequence[RefUpdate], result: GitResult) -> RealmError:
    """Return the error for a transaction that git refused."""
    broken = _BROKEN.search(result.err)
    if broken:
        ref = clean(broken[1])
        path = clean(str(project.common_dir / ref))
        return RealmError(f"{ref} is broken", f"rm '{path}', or choose another name")
    if not _LOST.search(result.err):
        if re.search(
            rb"Permission denied|Read-only file system|No space left|unable to create directory", result.err
        ):
            return GitError(
                f"the repository cannot be written: {reason(result.err)}",
                f"ls -ld '{clean(str(project.common_dir))}'",
            )
        return failure("update-ref", result.err)
    now = _values(project, [update.ref for update in updates])
    moved = [update.ref for update in updates if now.get(update.ref) != update.old] or [updates[0].ref]
    name = moved[0].split("/", 2)[2]
    what = f"{moved[0]} points to {now[moved[0]][:12]}" if moved[0] in now else f"{moved[0]} is gone"
    return RefRaceError(
        f"the session '{clean(name)}' was changed by somebody else: {what} now{_winner(project, name)}",
        "realm list",
    )


def _winner(project: Project, name: str) -> str:
    """Return which run moved the session, as the end of a sentence."""
    for row in rows(project, [name]):
        if row.runs and row.started is not None:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.started))
            return f" (run {row.runs}, started {when})"
    return ""


def _locked(path: Path) -> RealmError:
    shown = clean(str(path))
    try:
        age = f", {max(0, time.time() - path.stat().st_mtime):.0f} seconds old"
    except OSError:
        age = ""
    return RealmError(
        f"a ref is locked by another git: {shown}{age}", f"if no git is running any more: rm '{shown}'"
    )
