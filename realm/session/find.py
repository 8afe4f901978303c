"""Finds sessions: one by its name, here first, then in every known project; or all of them."""

from __future__ import annotations

import shlex
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from realm.errors import GitError, NoSuchSessionError, NotARepositoryError, RealmError
from realm.git import place
from realm.model import Activity, SessionRow, State
from realm.paths import current_directory
from realm.session import lock, refusals, registry
from realm.session.requests import Listing
from realm.store import listing, refs, repo
from realm.store.repo import discover
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from realm.git import GitResult, Started
    from realm.model import Project, Summary
    from realm.store.listing import MetaRow


_STARTING = 60.0
"""Seconds within which an agent begins a prompt that it was started with, if it is one to work on."""
_BY_SIGNAL = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class Located(NamedTuple):
    """A session and its project; ``row`` is what its refs say."""

    project: Project
    row: MetaRow

    def sound(self) -> Self:
        """Return this; raises :class:`RealmError` when the session's refs or record are damaged."""
        problem = self.row.problem
        if problem:
            raise RealmError(
                f"the session {self.row.name} is damaged: {problem}",
                _advice(self.project, self.row.name, problem),
            )
        return self

    def ended(self) -> Self:
        """Return this; raises :class:`RealmError` when the session's last run is not over."""
        name = self.row.name
        if state(self.row) is not State.EXITED:
            raise RealmError(
                f"the last run of {name} is not over", f"realm stop {name} ends it and saves its work"
            )
        return self


def find(name: str, directory: Path | None) -> Project:
    """Return the project that has the session ``name``, sound or not; see :func:`locate`."""
    return locate(name, directory).project


def locate(name: str, directory: Path | None) -> Located:
    """Return the session ``name`` and its project.

    With ``directory`` only the repository there is searched; without it the current directory's, then the
    others. Raises :class:`NoSuchSessionError` with the closest names, :class:`UsageError` for an invalid
    name, :class:`RealmError` when several projects have it, and :class:`GitError` when git cannot open the
    repository here.
    """
    refs.check_name(name)
    start = directory if directory is not None else current_directory()
    asked = _begun.pop((start, name), None) or _begin(start, name)
    answer = asked.sessions.result() if asked is not None else None
    repository = asked.repository if asked is not None else None
    here = discover(start, repository) if directory is not None else _around(start, repository)
    found = _named(here, name, answer) if here else None
    if found is not None and found.row.code is not None:
        return found
    if directory is not None:
        raise _unknown(name, here, found)
    every = [found for project in elsewhere(here) if (found := _named(project, name)) is not None]
    others = [other for other in every if other.row.code is not None]
    if len(others) > 1:
        places = ", ".join(str(other.project.root) for other in others)
        raise RealmError(
            f"several projects have a session {name}: {places}",
            f"say which one: realm -C {others[0].project.root} …",
        )
    if not others:
        raise _unknown(name, here, found, *every)
    return others[0]


class _Asked(NamedTuple):
    """Parallel queries to git: a directory's repository, and the session, or all sessions, in it."""

    repository: Started
    sessions: Started


_begun: dict[tuple[Path, str], _Asked] = {}
"""Queries started by :func:`look_ahead`, by directory and name; it is empty for all sessions."""


def _begin(start: Path, name: str) -> _Asked | None:
    found = place(start) if start.is_dir() else None
    if found is None:
        return None
    sessions = listing.begin(found, [name]) if name else listing.begin_survey(found)
    return _Asked(repo.begin(found), sessions) if sessions is not None else None


def look_ahead(name: str = "") -> None:
    """Start looking for the session ``name`` in the current directory's project, for :func:`locate`.

    Without a name all sessions are read, for :func:`list_sessions`.  Git runs while Python loads what the
    command line needs.  An error is ignored: it will occur again.
    """
    if not name or refs.is_name(name):
        with suppress(RealmError, OSError):
            start = current_directory()
            if (asked := _begin(start, name)) is not None:
                _begun[start, name] = asked


def _named(project: Project, name: str, answer: GitResult | None = None) -> Located | None:
    try:
        return next((Located(project, row) for row in listing.rows(project, [name], answer)), None)
    except GitError:  # another project's refs may not be readable
        return None


def _advice(project: Project, name: str, problem: str) -> str:
    """Return advice about a damaged session; git itself does not remove the file of a broken ref."""
    ref = f"{refs.CODE}{name}"
    if problem != f"{ref} is broken":
        return f"git for-each-ref refs/realm refs/realm-meta; realm remove {name} puts it away"
    path = shlex.quote(clean(str(project.common_dir / ref)))
    return (
        f"git grep after {refs.META}{name} names its commits; "
        f"rm {path} && git update-ref {ref} COMMIT puts the last one back"
    )


def _around(directory: Path, asked: Started | None = None) -> Project | None:
    try:
        return discover(directory, asked)
    except NotARepositoryError:
        return None


def elsewhere(here: Project | None) -> list[Project]:
    """Return the other remembered projects that are still there, each repository once."""
    seen = {here.common_dir} if here else set()
    found: list[Project] = []
    for root in registry.known():
        with suppress(NotARepositoryError, GitError):
            project = discover(root)
            if project.common_dir not in seen:
                seen.add(project.common_dir)
                found.append(project)
    return found


def _unknown(name: str, here: Project | None, *damaged: Located | None) -> NoSuchSessionError:
    """Return the error for an unknown session; raise a damaged one's own error."""
    for found in damaged:
        if found is not None:
            found.sound()
    names = set()
    for project in [*([here] if here else []), *elsewhere(here)]:
        with suppress(GitError):
            names |= {row.name for row in listing.rows(project)}
    where = f" in {here.root}" if here else ""
    gone = [str(root) for root in registry.known() if registry.is_gone(root)]
    moved = f"; these projects are gone: {', '.join(gone)} (moved? use -C NEW_PLACE)" if gone else ""
    hint = meant(name, names, "realm list --all shows every session")
    with suppress(GitError):
        if here and refs.is_name(name) and refs.latest_trash(here, name):
            hint = f"it was removed: realm restore {name} brings it back"
        elif here and (lost := _lost(here, listing.rows(here), lock.begun()).get(name)):
            return _without_refs(name, lost)
    return NoSuchSessionError(f"there is no session {name}{where}{moved}", hint)


def meant(name: str, names: Iterable[str], otherwise: str) -> str:
    """Return the hint that ``name`` may be one of ``names`` misspelled; ``otherwise`` if like none."""
    import difflib  # takes milliseconds, and only a wrong name needs it

    known = sorted(names)
    same = [other for other in known if other.casefold() == name.casefold()]
    close = same or difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else otherwise


def _lost(project: Project, found: Sequence[MetaRow], begun: set[str]) -> dict[str, str]:
    """Return the ids of a project's sessions that have unsaved work, but no refs, by name.

    ``found`` are those with refs, ``begun`` the ids known on this machine; those in the trash are not lost.
    """
    from realm.session import account

    repository = str(project.common_dir.resolve())
    # Another session may have the name since; a damaged record does not say which session it is.
    known, names = {row.summary.id for row in found}, {row.name for row in found if not row.summary.id}
    unsaved = [one for one in begun - known if account.read(one) is not None]
    claims = {claim: one for one in unsaved if (claim := lock.noted_of(one)) is not None}
    lost = {claim.name: one for claim, one in claims.items() if claim.repository == repository}
    if lost:
        names |= {trash.name for trash in refs.list_trash(project) if trash.code or trash.meta}
    return {name: one for name, one in lost.items() if name not in names}


def _without_refs(name: str, session_id: str) -> NoSuchSessionError:
    """Return the error for a session whose refs were deleted by hand while it had unsaved work."""
    holder = lock.holder(session_id)
    if holder is None:
        return NoSuchSessionError(
            f"the refs of {clean(name)} were deleted before all of its work was in git",
            f"realm rescue {clean(name)} DIRECTORY writes the files in its container there",
        )
    return NoSuchSessionError(
        f"the refs of {clean(name)} were deleted, and its agent is still running",
        f"kill {holder.pid} ends it and saves its work; where git has no more of what that builds on, "
        f"realm rescue {clean(name)} DIRECTORY then writes its files there",
    )


def list_sessions(directory: Path | None, all_projects: bool = False) -> Listing:
    """Return the sessions of the repository at ``directory`` (default: here), newest first.

    Outside any repository, and with ``all_projects``, those of every project
    realm was used in; remembered projects that are gone are named in the
    warnings.  Raises :class:`NotARepositoryError` when ``directory`` was given
    and is no repository.
    """
    warnings: list[str] = []
    asked = None if directory is not None else _begun.pop((current_directory(), ""), None)
    here, projects = _projects(directory, all_projects, warnings, asked)
    gone = sum(registry.is_gone(root) for root in registry.known()) if warnings else 0
    rows: list[SessionRow] = []
    for project in projects:
        answer = asked.sessions.result() if asked is not None and project is here else None
        rows += _rows(project, warnings, answer, others=len(projects) > 1)
    rows.sort(key=lambda row: (-row.summary.created, row.name))
    return Listing(tuple(rows), tuple(warnings), gone)


def forget_gone() -> list[Path]:
    """Forget the projects that no longer exist, and return their paths.

    No session is lost: if a project is found again, so are its sessions.
    """
    gone = [root for root in registry.known() if registry.is_gone(root)]
    registry.forget(*gone)
    return gone


def _projects(
    directory: Path | None, all_projects: bool, warnings: list[str], asked: _Asked | None
) -> tuple[Project | None, list[Project]]:
    """Return the project around the directory, and all that are wanted."""
    if directory is not None and not all_projects:
        return None, [discover(directory)]
    here: Project | None = None
    found: dict[Path, Project] = {}
    try:
        here = discover(directory or current_directory(), asked and asked.repository)
        found[here.common_dir] = here
    except NotARepositoryError:
        all_projects = True
    if all_projects:
        for project in _remembered(warnings):
            found.setdefault(project.common_dir, project)
    return here, list(found.values())


def _remembered(warnings: list[str]) -> list[Project]:
    projects: list[Project] = []
    for root in registry.known():
        try:
            projects.append(discover(root))
        except (NotARepositoryError, GitError) as error:
            gone = registry.is_gone(root)
            warnings.append(f"{root} no longer exists: skipped" if gone else f"skipped: {error.message}")
    return projects


def _rows(
    project: Project, warnings: list[str], answer: GitResult | None, *, others: bool
) -> list[SessionRow]:
    rows: list[SessionRow] = []
    try:
        found, branches = listing.survey(project, answer)
        from realm.store import merged  # not needed for finding one session

        into = merged.merged(project, found, branches)
    except GitError as error:
        if not others:
            raise
        warnings.append(f"skipped {project.root}: {error.message}")
        return []
    begun = lock.begun()
    for name, session_id in _lost(project, found, begun).items():
        lost = _without_refs(name, session_id)
        warnings.append(f"{lost.message}: {lost.hint}")
    for meta in found:
        if meta.meta is None:  # the work that another project's session did here has no record
            from realm.session import approvals  # for few

            if approvals.is_anothers_ref(project, meta.name):
                continue
        if meta.problem:
            warnings.append(f"session {meta.name} in {project.root}: {meta.problem}")
        is_known = meta.summary.id in begun
        row = _row(project, meta, state(meta) if is_known else _noted(meta), into.get(meta.name, ""))
        if is_known:
            row = row._replace(refused=sum(one.times for one in refusals.recorded(meta.summary.id)))
        rows.append(row)
    return rows


def _row(project: Project, meta: MetaRow, now: State, merged_into: str) -> SessionRow:
    summary = meta.summary
    from realm.session import account

    noted = account.read(summary.id) if summary.id and now is not State.EXITED else None
    if noted is not None and noted.run != summary.runs:
        noted = None
    if now is State.RUNNING:
        activity = noted.activity if noted else Activity.WORKING
    else:
        activity = Activity.INTERRUPTED if now is State.INTERRUPTED else ended(summary)
    is_pushed = bool(meta.code) and meta.code == summary.pushed_tip
    row = SessionRow(
        name=meta.name,
        project=project.root,
        tip=meta.code or "",
        state=now,
        summary=summary,
        activity=activity,
        since=summary.ended or summary.started,
        merged_into=merged_into,
        pushed_to=summary.pushed.replace(" ", "/", 1) if is_pushed else "",
    )
    if noted is None:
        return row
    said = summary._replace(prompt=summary.prompt or noted.prompt, words=noted.words or summary.words)
    if now is not State.RUNNING:
        return row._replace(summary=said)
    if noted.paused:
        row = row._replace(activity=Activity.PAUSED, paused=noted.paused)
    elif noted.activity is Activity.READY and noted.prompt and time.time() - noted.since < _STARTING:
        row = row._replace(activity=Activity.WORKING)
    return row._replace(summary=said, since=noted.since, question=noted.question)


def ended(summary: Summary) -> Activity:
    """Return how a run ended: by itself, or stopped by the user in whatever way."""
    if summary.stopped or (summary.exit_code in _BY_SIGNAL and not summary.died):
        return Activity.STOPPED
    return Activity.FAILED if summary.exit_code or summary.died else Activity.DONE


def state(meta: MetaRow) -> State:
    """Return a session's state.

    "running" in the record without a holder means that work is left in a sandbox, which
    :func:`realm.session.intake.recover` saves.
    """
    holder = lock.holder(meta.summary.id) if meta.summary.id else None
    if holder is not None and holder.run:
        return State.RUNNING
    return _noted(meta)


def cut_off(name: str) -> RealmError:
    """Return the error for a session whose last run lost its holder."""
    return RealmError(
        f"the run of {name} was cut off, its work is still in its container",
        f"realm attach {name} returns to a running agent, realm stop {name} saves the work",
    )


def further(name: str, session_id: str) -> str:
    """Return the hint for a session that has nothing to show yet: its agent may still be at work."""
    held = lock.holder(session_id)
    return f"realm attach {name} shows it" if held and held.run else f"realm resume {name} continues it"


def _noted(meta: MetaRow) -> State:
    return State.INTERRUPTED if meta.summary.state is not State.EXITED else State.EXITED
