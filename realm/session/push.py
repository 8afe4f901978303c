"""A session to a branch on a remote, with the user's own git."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from realm.config import Config
from realm.errors import RealmError
from realm.session.find import find, sound
from realm.session.requests import PushRequest, PushResult
from realm.store import record, refs, remote
from realm.store.git import git

if TYPE_CHECKING:
    from realm.model import Project, Session
    from realm.session.ui import UI


def push(request: PushRequest, ui: UI) -> PushResult:
    """Put the session's commits on a branch of a remote and remember what was put there.

    By default the remote branch must be what realm last pushed (or not exist),
    so that nobody's commit is overwritten; ``force`` lifts that.  Local
    branches and the work tree are never touched.  Raises :class:`RealmError`
    when the remote refuses, when there is no such remote, or nothing to push.
    """
    project = sound(find(request.name, request.directory), request.name)
    session = record.read_session(project, request.name)
    tips = refs.tips(project, request.name)
    where = request.remote or Config(project.root).get("remote")
    branch = request.branch or request.name
    _check(project, where, branch)
    code = tips.code or session.base
    count = _count(project, session.base, code)
    if count == 0:
        raise RealmError(
            f"session {request.name} has no commits to push", f"realm resume {request.name} goes on with it"
        )
    known = session.pushed.get(f"{where} {branch}")
    oid = _squashed(project, session, code, known) if request.squash else code
    with ui.progress(f"pushing to {where}"):
        outcome = remote.push(project, oid=oid, remote=where, branch=branch, lease=known, force=request.force)
    _remember(project, session, f"{where} {branch}", oid, tips.meta)
    return PushResult(where, branch, oid, 1 if request.squash else count, known == oid, tuple(outcome.lines))


def _check(project: Project, where: str, branch: str) -> None:
    remotes = remote.remotes(project)
    if where not in remotes:
        known = f"this repository has: {', '.join(remotes)}" if remotes else "git remote add origin URL"
        raise RealmError(f"there is no remote called {where}", known)
    if git("check-ref-format", f"refs/heads/{branch}", check=False).code or branch.startswith("-"):
        raise RealmError(f"{branch!r} cannot be the name of a branch", "choose another one with --as BRANCH")


def _count(project: Project, base: str, tip: str) -> int:
    return int(git("rev-list", "--count", f"{base}..{tip}", project=project).out)


def _squashed(project: Project, session: Session, code: str, known: str | None) -> str:
    """One commit of everything; the one pushed last time when it has the same tree and base."""
    if known and _same(project, known, code, session.base):
        return known
    return remote.squash(project, session.base, code, f"{session.name}\n")


def _same(project: Project, one: str, other: str, base: str) -> bool:
    wanted = git("rev-parse", f"{one}^{{tree}}", f"{one}^", project=project, check=False)
    actual = git("rev-parse", f"{other}^{{tree}}", base, project=project, check=False)
    return wanted.code == 0 and wanted.out == actual.out


def _remember(project: Project, session: Session, key: str, oid: str, meta: str | None) -> None:
    """Note what the remote branch is now: the next push's lease."""
    if meta is None or session.pushed.get(key) == oid:
        return
    changed = dataclasses.replace(session, pushed=session.pushed | {key: oid})
    new = record.update_session(project, session.name, meta, changed)
    refs.transact(project, [refs.RefUpdate(refs.META + session.name, meta, new)], "realm: push")
