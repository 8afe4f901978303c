"""Pushes a session to a branch on a remote, with the user's own git."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from realm.config import REMOTE, Config
from realm.errors import NothingToPushError, RealmError, RefRaceError
from realm.paths import current_directory
from realm.session import approvals, homes, integrate, summary, untold
from realm.session.find import further, locate
from realm.session.requests import At, PushRequest, PushResult
from realm.session.review import find_turn
from realm.store import branches, record, refs, remote, repo, risky, submodules, turns, unusual
from realm.store.schema import is_address
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from realm.model import Project, Session
    from realm.session.requests import UI


_SHOWN = 5
"""The most unusual changes named in a question."""
_TRIES = 5
"""How often noting a push is tried when the record moves meanwhile."""


def push(request: PushRequest, ui: UI) -> PushResult:
    """Push the session's commits to a branch of a remote and record what was pushed.

    By default the remote branch must be what realm last pushed (or not exist), so that nobody's commit is
    overwritten; ``force`` lifts that.  A URL or a path may be given instead of a remote's name, as with git.
    Local branches and the work tree are never touched.  Raises :class:`RealmError` when the remote refuses,
    when there is no such remote, or nothing to push.
    """
    project, row = locate(request.name, request.directory).sound()
    session = record.read_session(project, request.name)
    where = destination(project, request.remote, request.directory)
    branch = (request.branch or request.name).removeprefix("refs/heads/")
    code = row.code or session.base
    if request.turn is not None:
        code = find_turn(At(request.name, request.turn), request.directory).after
    count = repo.count_commits(project, code, [session.base])
    if count == 0:
        pushes = [_work_by_hand(held) for held in homes.work(project, session)]
        hint = further(request.name, session.id)
        if pushes:
            hint = f"{'; '.join(pushes)} pushes its work there"
        raise NothingToPushError(f"session {request.name} has no commits to push", hint)
    untold.tell_of(project, request.name, session.id, ui)
    if not request.yes:
        look = unusual.find if request.squash else unusual.find_to_push
        _ask(session, look(project, session.base, code), ui)
    if found := risky.kinds(risky.find(project, session.base, code)):
        ui.warn(summary.unasked(request.name, found))
    known = approvals.last_push(project, session, f"{remote.shown(where)} {branch}")
    oid = code
    if request.squash:
        text = request.message or _message(project, session, code)
        same = None if request.message else known
        oid = remote.squash(project, session.base, code, text, same)
    _push_inner(project, session, request, branch, code, ui)
    done = _send(project, session, request, where, branch, oid, code, ui)
    for held in homes.work(project, session):
        if repo.count_commits(held.clone, held.oid, [held.base], shared=False):
            ui.info(f"not pushed, commits in {clean(held.path)}: {_work_by_hand(held)}")
    return done._replace(commits=1 if request.squash else count)


def _push_inner(
    project: Project, session: Session, request: PushRequest, branch: str, code: str, ui: UI
) -> None:
    """Push the session's commits in submodules to their own remotes first, unless a branch there has them."""
    for one in reversed(submodules.find(project, session.base, code)):
        if one.clone is None or one.link == one.base:
            continue
        count = repo.count_commits(one.clone, one.link, [one.base], shared=False)
        if not count:
            continue
        where = _usual(one.clone)
        shown, path = remote.shown(where), clean(one.path, limit=200)
        by_hand = f"git -C {shlex.quote(path)} push {shlex.quote(shown)} {one.link}:refs/heads/{branch}"
        try:
            with ui.progress(f"pushing {path} to {shown}"):
                remote.push(
                    one.clone, oid=one.link, remote=where, branch=branch, lease=None, force=request.force
                )
        except RealmError as error:
            raise RealmError(
                f"{plural(count, 'commit')} of {request.name} in the submodule {path} cannot be pushed: "
                f"{error.message}",
                f"{by_hand}, then realm push {request.name} again",
            ) from error
        ui.info(f"pushed {plural(count, 'commit')} in {path} to {shown} {clean(branch)}")


def push_beside(request: PushRequest, ui: UI) -> list[PushResult]:
    """Push the branches that the agent left beside its work, each as ``<branch>-<its name>``.

    Those that the session's own commits reach are left out.  Errors as :func:`push`.
    """
    project, row = locate(request.name, request.directory).sound()
    session = record.read_session(project, request.name)
    where = destination(project, request.remote, request.directory)
    own = (request.branch or request.name).removeprefix("refs/heads/")
    done = []
    for ref, oid in branches.listed(project, request.name).items():
        kind, part = branches.parts(ref) or ("", "")
        count = repo.count_commits(project, oid, [session.base, *([row.code] if row.code else [])])
        if kind == "heads" and count:
            branch = f"{own}-{branches.unescape(part) or part}"
            sent = _send(project, session, request, where, branch, oid, "", ui)
            done.append(sent._replace(commits=count))
    for held in homes.everywhere(project, session, row.code or session.base):
        kept = {oid for ref, oid in held.kept().items() if (branches.parts(ref) or "")[0] == "heads"}
        if any(repo.count_commits(held.clone, oid, [held.oid], shared=False) for oid in kept):
            by_hand = _by_hand(held, f"{refs.BRANCHES}{held.name}/heads/*:refs/heads/{held.name}-*")
            ui.info(f"not pushed, branches in {clean(held.path)}: {by_hand}")
    return done


def tell_not_shared(project: Project, session: Session, code: str, ui: UI) -> None:
    """Report a session's work in other repositories, which is not shared, and the command that pushes it."""
    for held in homes.everywhere(project, session, code):
        own = [f"{refs.CODE}{held.name}"] if held.oid != held.base else []
        own += [f"{refs.BRANCHES}{held.name}/*"] if held.kept() else []
        if own:
            ui.info(f"not shared, work in {clean(held.path)}: {_by_hand(held, *own)}")


def _work_by_hand(held: homes.Held) -> str:
    return _by_hand(held, f"{refs.CODE}{held.name}:refs/heads/{held.name}")


def _by_hand(held: homes.Held, *what: str) -> str:
    """Return the command that pushes a session's work in another repository."""
    return shlex.join(["git", "-C", clean(str(held.clone.root)), "push", "origin", *what])


def _send(
    project: Project, session: Session, request: PushRequest, where: str, branch: str, oid: str, tip: str,
    ui: UI,
) -> PushResult:  # fmt: skip
    """Push a commit to a branch that nobody else has moved, and record it.

    ``tip`` is the session's, if so.
    """
    shown = remote.shown(where)
    key = f"{shown} {branch}"
    put = partial(remote.push, project, oid=oid, remote=where, branch=branch, force=request.force)
    # Noted first: after an interrupted push only the remote knows whether it arrived.
    approvals.note_push(project, session, key, oid)
    try:
        with ui.progress(f"pushing to {shown}"):
            try:
                outcome = put(lease=approvals.last_push(project, session, key))
            except remote.RefusedError as error:
                if not approvals.is_pushed(project, session, key, error.there):
                    raise
                outcome = put(lease=error.there)
    except remote.RefusedError as error:
        error.hint = _advice(request, moved=error.moved)
        raise
    _remember(project, session, key, oid, tip)
    return PushResult(shown, branch, oid, 0, outcome.unchanged, tuple(outcome.lines))


def _ask(session: Session, found: list[unusual.Unusual], ui: UI) -> None:
    """Ask the user before pushing what may be an accident."""
    name = session.name
    if not found:
        return
    sentence = f"{name}: {'; '.join(one.what for one in found[:_SHOWN])}"
    paths = " ".join(shlex.quote(clean(one.path)) for one in found[:_SHOWN] if one.path)
    if not ui.interactive:
        dropping = f", realm drop {name} {paths} leaves it out" if paths else ""
        raise RealmError(sentence, f"realm push {name} --yes pushes it anyway{dropping}")
    if not ui.confirm(f"{sentence}. Push it?"):
        raise RealmError(f"{name} was not pushed", f"realm drop {name} {paths}" if paths else "")


def _advice(request: PushRequest, *, moved: bool) -> str:
    """Return advice about a branch that the remote refuses."""
    command = f"realm push {request.name}" + (" --squash" if request.squash else "")
    if request.remote is not None:
        command += f" --to {shlex.quote(remote.shown(request.remote))}"
    beside = f"{command} --as OTHER-BRANCH"
    if not moved:
        return beside
    same = f" --as {shlex.quote(clean(request.branch))}" if request.branch else ""
    return f"{beside} pushes it beside that, {command}{same} --force overwrites it"


def _message(project: Project, session: Session, code: str) -> str:
    """Return a message for all commits as one: the prompts, or the commits' subjects."""
    with record.Record(project, session.name) as found:
        every = turns.turns(project, session.base, code, found.runs())
    prompts = [turn.prompt for turn in every if turn.commits and turn.prompt]
    subjects = prompts or repo.subjects(project, session.base, code)
    return integrate.message(session.name, subjects, titled=bool(prompts) or len(subjects) == 1)


def destination(project: Project, given: str | None, directory: Path | None) -> str:
    """Return the remote, URL or path to use: the given one, else the setting's."""
    if given is None:
        return _usual(project)
    return remote.place(project, given, directory or current_directory())


def _usual(project: Project) -> str:
    """Return the remote of the settings, else git's own for pushes."""
    config = Config(project.root)
    if config.lookup(REMOTE).source == "default":
        return REMOTE.read(config.of_git().get("remote.pushdefault") or REMOTE.default)
    return config.value(REMOTE)


def _remember(project: Project, session: Session, key: str, oid: str, tip: str) -> None:
    """Record the remote branch's new commit, the next push's lease; ``tip`` is what was pushed."""

    def noted(found: record.Record) -> str | None:
        now, before = found.session(), found.summary()
        told = before
        if tip:
            request = before.request if before.pushed == key else ""
            told = before._replace(pushed_tip=tip, pushed=key, request=request)
        if now.id != session.id or (now.pushed.get(key) == oid and (told == before or not before.id)):
            return None
        return found.amend(now._replace(pushed={**now.pushed, key: oid}), told)

    _amend(project, session.name, noted, [oid])


def note_request(project: Project, name: str, url: str) -> None:
    """Record the address of the pull or merge request opened for the session's last push."""

    def noted(found: record.Record) -> str | None:
        before = found.summary()
        if before.request == url or not is_address(url):
            return None
        return found.amend(found.session(), before._replace(request=url))

    _amend(project, name, noted)


def _amend(
    project: Project, name: str, noted: Callable[[record.Record], str | None], held: Sequence[str] = ()
) -> None:
    """Move a session's record to the commit that ``noted`` makes of it, unless that is ``None``.

    If a run moves the record meanwhile, this is repeated on the new one.
    """
    for last in (False,) * (_TRIES - 1) + (True,):
        with record.Record(project, name) as found:
            meta, new = found.commit(), noted(found)
        if new is None:
            return
        try:
            refs.transact(project, [refs.RefUpdate(refs.META + name, meta, new)], "realm: push", held=held)
        except RefRaceError:
            if last:
                raise
        else:
            return
