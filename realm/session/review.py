"""Shows a session's changes: the user's own git does it, realm only selects the commits."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from realm import git
from realm.errors import RealmError
from realm.session.find import locate
from realm.store import refs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.agents.base import Exchange
    from realm.model import Project, Session
    from realm.session.requests import At
    from realm.store import record
    from realm.store.turns import Turn


class CommitRange(NamedTuple):
    """A session's chain in its project, from its base to the requested turn."""

    project: Project
    name: str
    base: str
    tip: str
    id: str
    """The session's id."""


def commit_range(at: At, directory: Path | None) -> CommitRange:
    """Return the first and last commit of a session, up to the requested turn."""
    project, row = locate(at.name, directory).sound()
    whole = CommitRange(project, at.name, row.summary.base, row.code or row.summary.base, row.summary.id)
    if at.turn is None:
        return whole
    return whole._replace(tip=picked(whole, turns(whole), at.turn).after)


def find_turn(at: At, directory: Path | None) -> Turn:
    """Return the requested turn, by default the last one."""
    whole = commit_range(at._replace(turn=None), directory)
    found = turns(whole)
    return picked(whole, found, at.turn or max(1, len(found)))


def picked(whole: CommitRange, found: Sequence[Turn], number: int) -> Turn:
    """Return the turn ``number`` of a session's; raises :class:`RealmError` if there is none."""
    from realm.store.turns import pick

    return pick(whole.name, found, number)


def turns(whole: CommitRange) -> list[Turn]:
    """Return every turn of a session, the first one first."""
    from realm.store import record  # not needed for a diff of everything
    from realm.store import turns as numbered
    from realm.together import together

    commits, runs = together(
        lambda: numbered.chain(whole.project, whole.base, whole.tip),
        lambda: record.read_runs(whole.project, whole.name),
    )
    return numbered.among(commits, whole.base, runs)


def diff(
    at: At, directory: Path | None, *, between: tuple[int, int] | None = None, options: Sequence[str] = (),
    tool: bool = False, paths: Sequence[str] = (), risky: bool = False,
) -> NoReturn:  # fmt: skip
    """Replace this process by the user's git, which shows a session's changes against its base.

    With ``between``, the first and the last turn, only these turns' changes are shown; with ``risky`` only
    the files that programs run or obey unasked.  Raises :class:`RealmError` if there is no such session or
    turn, or nothing was changed.
    """
    if between is None:
        whole = commit_range(at, directory)
        _refuse_session(whole.project, at, paths)
        begin, end = whole.base, whole.tip
        ends = [f"{begin}...{end}"]
    else:
        whole = commit_range(at._replace(turn=None), directory)
        found = turns(whole)
        begin = picked(whole, found, between[0]).before
        end = picked(whole, found, between[1]).after
        ends = [begin, end]
    if begin == end:
        raise RealmError(f"{_named(at, between)} changed nothing", f"realm log {at.name}")
    if risky:
        paths = _unasked(whole.project, begin, end)
        if not paths:
            nothing = f"{_named(at, between)} changed nothing that is run or obeyed unasked"
            raise RealmError(nothing, f"realm diff {at.name} shows what it changed")
    verb = "difftool" if tool else "diff"
    git.become(verb, *options, "--end-of-options", *ends, "--", *paths, project=whole.project)


def _refuse_session(project: Project, at: At, paths: Sequence[str]) -> None:
    """Raise :class:`RealmError` if the only path is not a file but a second session's name."""
    name = paths[0] if len(paths) == 1 else ""
    if refs.is_name(name) and not os.path.lexists(name) and refs.tips(project, name).code is not None:
        raise RealmError(
            f"{name} is a session, and no file here",
            f"realm compare {at.name} {name} sets the two side by side; "
            f"realm diff {at} ./{name} shows a file that is gone",
        )


def _unasked(project: Project, begin: str, end: str) -> list[str]:
    """Return pathspecs of the changed files that programs run or obey unasked."""
    from realm.store import risky

    paths = dict.fromkeys(risk.path for risk in risky.find(project, begin, end))
    if sum(map(len, paths)) <= _ARGUMENTS:
        return [f":(top,literal){path}" for path in paths]
    # Too many for a command line: pass directories, which shows too much rather than too little.
    return [f":(top,literal){top}" for top in dict.fromkeys(path.partition("/")[0] for path in paths)]


def _named(at: At, between: tuple[int, int] | None) -> str:
    if between is None or between[0] == between[1]:
        number = at.turn if between is None else between[0]
        return at.name if number is None else f"turn {number} of {at.name}"
    return f"turns {between[0]} to {between[1]} of {at.name}"


class Below(NamedTuple):
    """A turn's work in a submodule, or a repository beside the project; clean text.

    ``commits`` are their subjects, the oldest first.
    """

    path: str
    commits: Sequence[str]
    stat: str


class ShownTurn(NamedTuple):
    """A turn with everything in the record about it; texts are untrusted and not yet cleaned.

    ``exit_code`` and ``notes`` are the run's, if the turn was its last; ``screen`` is the terminal's
    content at the end: text, or with ``drawn`` output that draws it
    (:class:`realm.terminal.render.drawing.Drawing`).
    """

    whole: CommitRange
    turn: Turn
    said: Exchange | None = None
    exit_code: int | None = None
    notes: Sequence[str] = ()
    screen: bytes | None = None
    drawn: bool = False
    stat: str = ""
    below: Sequence[Below] = ()


def show(at: At, directory: Path | None, columns: int, *, drawn: bool = False) -> ShownTurn:
    """Return a turn, by default the last one; ``columns`` is the width for the list of its changes.

    Raises :class:`RealmError` if there is no such session or turn.
    """
    from realm.store import record, repo
    from realm.store import turns as numbered
    from realm.together import Begun, together

    whole = commit_range(at._replace(turn=None), directory)
    with record.Record(whole.project, at.name) as found:
        commits, runs = together(lambda: numbered.chain(whole.project, whole.base, whole.tip), found.runs)
        every = numbered.among(commits, whole.base, runs)
        turn = numbered.pick(at.name, every, at.turn or max(1, len(every)))
        run = next((run for run in runs if run.number == turn.run), None)
        is_last = all(other.run != turn.run for other in every[turn.number :])
        shown = ShownTurn(whole, turn, drawn=drawn)
        changes = partial(repo.changes, whole.project, turn.before, turn.after, columns)
        stat = Begun(changes) if turn.commits else None
        inside = Begun(lambda: _inside(whole.project, turn, columns)) if turn.commits else None
        if run is not None:
            from realm.session import words  # it loads the agents, while git compares the files

            session = found.session()
            if session.neighbours:
                shown = shown._replace(below=_beside(whole.project, session, turn, columns))
            said = words.of_turn(found, session, run, turn.turn)
            if said is not None:
                from realm.session import secrets  # takes milliseconds

                text = secrets.of_session(whole.project, session).text
                said = said._replace(prompt=text(said.prompt), answer=text(said.answer))
            shown = shown._replace(
                said=said,
                exit_code=run.exit_code if is_last else None,
                notes=run.notes if is_last else (),
                screen=_screen(found, turn, "ans" if drawn else "txt", is_last=is_last),
            )
        if stat is not None and inside is not None:
            shown = shown._replace(stat=stat.result(), below=[*inside.result(), *shown.below])
        return shown


def _beside(project: Project, session: Session, turn: Turn, columns: int) -> list[Below]:
    """Return a turn's work in repositories beside the project."""
    from realm.session import homes
    from realm.store import repo
    from realm.store import turns as numbered
    from realm.text import clean

    found = []
    for held in homes.work(project, session):
        commits = numbered.chain(held.clone, held.base, held.oid)
        own = [place for place, commit in enumerate(commits) if commit.key == (turn.run, turn.turn)]
        if own:
            before = commits[own[0] - 1].oid if own[0] else held.base
            stat = repo.changes(held.clone, before, commits[own[-1]].oid, columns)
            found.append(Below(clean(held.path), [commits[place].subject for place in own], stat))
    return found


def _inside(project: Project, turn: Turn, columns: int) -> list[Below]:
    # Without either, no submodule has a clone, which saves asking git.
    if not (project.common_dir / "modules").exists() and not (project.root / ".gitmodules").exists():
        return []
    from realm.store import repo, submodules
    from realm.text import clean

    return [
        Below(
            clean(one.path), repo.subjects(one.clone, one.base, one.link),
            repo.changes(one.clone, one.base, one.link, columns),
        )
        for one in submodules.find(project, turn.before, turn.after)
        if one.clone is not None and one.base != one.link
    ]  # fmt: skip


def _screen(found: record.Record, turn: Turn, kind: str, *, is_last: bool) -> bytes | None:
    """Return the screen recorded at a turn's end (:mod:`realm.store.record` names the files)."""
    names = [f"turns/{turn.turn:04d}.screen.{kind}"] if turn.turn else []
    for name in [*names, *([f"screen.{kind}"] if is_last else [])]:
        kept = found.file(f"runs/{turn.run:04d}/{name}", _SCREEN_LIMIT)
        if kept:
            return kept
    return None


_SCREEN_LIMIT = 4 * 1024 * 1024
_ARGUMENTS = 500_000
"""Characters of paths on git's command line."""
