"""Checks that a session is as realm writes one: each commit, the record, and that they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RejectedError
from realm.model import State
from realm.session.find import locate, state
from realm.store import chain, foreign, record, signing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import Project, Run
    from realm.store.chain import Written


class Problem(NamedTuple):
    """A problem with a commit or, if that is empty, with the session."""

    commit: str
    what: str


class Verified(NamedTuple):
    """The number of checked and of signed commits, the problems, and notes."""

    name: str
    commits: int
    runs: int
    signed: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def verify(name: str, directory: Path | None) -> Verified:
    """Check every commit of a session, and its record.

    Raises :class:`RealmError` if there is no such session, or its refs cannot be read.
    """
    project, row = locate(name, directory).sound()
    tip, meta = row.code or "", row.meta or ""
    with record.Record(project, name, meta) as found:
        session, runs = found.session(), found.runs()
    base = session.base
    commits = chain.read(project, base, tip)
    problems = [Problem(commit.oid, commit.problem) for commit in commits if commit.problem]
    problems += _order(commits, len(runs))
    problems += _agreement(commits, base, tip, runs)
    summary = row.summary
    if (summary.base, summary.id, summary.runs) != (base, session.id, len(runs)):
        problems.append(Problem("", "the record's summary does not match the session in it"))
    is_wanted = signing.is_wanted(project)
    asked = is_wanted or any(commit.signed for commit in commits)
    wrong = chain.signatures(project, base, tip) if asked else {}
    problems += [
        Problem(commit.oid, wrong[commit.oid])
        for commit in commits
        if wrong.get(commit.oid) and (is_wanted or commit.signed)
    ]
    problems += [Problem("", what) for what in _contents(project, base, commits, [tip, meta])]
    notes = []
    if runs and runs[-1].ended is None:
        what = (
            "is still going on"
            if state(row) is State.RUNNING
            else "was cut off, and its work is not in git yet"
        )
        notes.append(f"run {runs[-1].number} {what}")
    signed = sum(commit.signed and not wrong.get(commit.oid) for commit in commits)
    return Verified(name, len(commits), len(runs), signed, tuple(problems), tuple(notes))


def _contents(project: Project, base: str, commits: Sequence[Written], tips: Sequence[str]) -> list[str]:
    """Return problems with the objects, and files that realm would not have taken from a sandbox."""
    if unsound := chain.unsound(project, base, tips):
        return [f"git fsck: {unsound}"]
    try:
        return foreign.findings(project, [(commit.tree, *commit.parents) for commit in commits])
    except RejectedError as error:
        return [error.message]


def _order(commits: Sequence[Written], runs: int) -> list[Problem]:
    """Return commits whose numbers of run and turn do not rise, or whose run is not in the record."""
    found = []
    last = (0, 0)
    for commit in commits:
        if commit.key is None:
            continue
        if commit.key < last:
            found.append(Problem(commit.oid, "it is of an earlier turn than the one before it"))
        if commit.key[0] > runs:
            found.append(Problem(commit.oid, f"it is of run {commit.key[0]}, which the record does not have"))
        last = max(last, commit.key)
    return found


def _agreement(commits: Sequence[Written], base: str, tip: str, runs: Sequence[Run]) -> list[Problem]:
    """Return where the commits differ from those that the record has for each run.

    The commits of earlier runs may have been rewritten since (``--rebase``, ``realm drop``): then the
    record's are not in the chain, and only the last run's tip has to be.
    """
    places = {base: -1} | {commit.oid: place for place, commit in enumerate(commits)}
    found = []
    for run in runs:
        begin, end = places.get(run.before), places.get(run.after or run.before)
        if begin is None or end is None:
            continue
        for place, commit in enumerate(commits):
            number = commit.key[0] if commit.key else None
            if begin < place <= end and number != run.number:
                found.append(Problem(commit.oid, f"the record has it in run {run.number}"))
            elif not begin < place <= end and number == run.number:
                found.append(Problem(commit.oid, f"the record of run {run.number} does not have it"))
    if not runs:
        return [Problem("", "the record has no run")] if commits else []
    expected = runs[-1].after or runs[-1].before
    at = places.get(expected)
    if expected != tip and (at is None or any(commit.key for commit in commits[at + 1 :])):
        found.append(Problem("", f"the record ends at {expected[:10]}, the commits at {tip[:10]}"))
    return found
