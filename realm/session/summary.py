"""The summary after a run: the result, and what to do with it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from realm.config import NETWORK
from realm.sandbox.repositories import is_beside
from realm.session import homes, refusals
from realm.store import record
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.model import Kept, Project, Refusal, Run, Session, Totals
    from realm.session.homes import Held
    from realm.session.requests import UI
    from realm.session.run import Outcome, Plan
    from realm.store.listing import MetaRow

_HOSTS = 5
"""The most refused hosts that are named."""


def describe(totals: Totals) -> str:
    """Return a session's size as one phrase."""
    lines = f"+{totals.insertions} −{totals.deletions}"  # noqa: RUF001 - a minus as wide as the plus
    return f"{plural(totals.turns, 'turn')}, {plural(totals.files, 'file')}, {lines}"


def unasked(name: str, kinds: Sequence[str]) -> str:
    """Return one line about changes of files that programs run or obey unasked."""
    return f"{name} changes what is run or obeyed unasked: {', '.join(kinds)}; realm diff {name} --risky"


def tell(plan: Plan, outcome: Outcome, ui: UI) -> None:
    """Report what the run left: one line, what needs attention, the next commands."""
    name = plan.session.name
    _tell_notes(outcome.notes, ui)
    beside = homes.work(plan.project, plan.session)
    run = plan.run._replace(
        risky=outcome.risky, kept=outcome.kept, network=plan.network.policy,
        refused=refusals.recorded(plan.session.id),
    )  # fmt: skip
    if not outcome.new_commits:
        then = "" if beside else f"   realm remove {name}"
        if outcome.code != plan.session.base or any(not is_beside(path) for path, _ in outcome.inside):
            then = f"   realm push {name}"
        ui.info(f"{name}: no changes   realm resume {name}{then}")
        _tell_beside(plan.session, run, outcome.inside, beside, ui)
        return
    commits = plural(outcome.new_commits, "commit")
    whole = f"in all {describe(outcome.totals)}" if plan.run.number > 1 else describe(outcome.totals)
    ui.info(f"{name}: {commits} ({whole}) on refs/realm/{name}")
    ui.info(f"  git log -p {plan.session.base[:10]}..refs/realm/{name}")
    ui.info(f"  realm resume {name}   realm push {name}")
    _tell_beside(plan.session, run, outcome.inside, beside, ui)


def tell_recorded(project: Project, row: MetaRow, how: str, ui: UI, *, advises: bool = True) -> None:
    """Report what the last run left, as its record has it: its holder had no terminal to report it on.

    ``how`` says how it ended; the next commands are named if this ``advises``.
    """
    name = row.name
    with record.Record(project, name) as found:
        last, session = found.last(), found.session()
    if last is None:
        return
    beside = homes.work(project, session)
    _tell_notes(last.notes, ui)
    if row.code == row.summary.base:
        then = "" if beside else f"   realm remove {name}"
        ui.info(f"{name}: {how}, no changes" + (f"   realm resume {name}{then}" if advises else ""))
    else:
        ui.info(f"{name}: {how} ({describe(row.summary.totals)}) on refs/realm/{name}")
        if advises:
            ui.info(f"  realm resume {name}   realm push {name}")
    _tell_beside(session, last, [(one.path, 0) for one in beside], beside, ui)


def _tell_notes(notes: Sequence[str], ui: UI) -> None:
    """Report a run's notes: as warnings, unless they only say what the user asked for."""
    for note in notes:
        from realm.session import lending  # imports an engine's library

        if lending.is_login(note):
            ui.info(f"  {note}")
        else:
            ui.warn(note)


def _tell_beside(
    session: Session, run: Run, inside: Sequence[tuple[str, int]], held: Sequence[Held], ui: UI
) -> None:
    """Report what was kept beside the work, and where; what to look at first; weakened protection.

    ``inside`` are the paths of other repositories with the run's number of commits there, 0 if unknown.
    """
    if run.risky:
        ui.warn(unasked(session.name, run.risky))
    if run.network not in ("", NETWORK.default):
        ui.info(f"  network: {run.network}")
    if run.refused:
        ui.info(f"  refused: {_refused(run.refused)}   realm net {session.name}")
    if run.weakened:
        ui.info(f"  ran with less protection: {clean(', '.join(run.weakened))}")
    for path, commits in inside:
        if commits:
            ui.info(f"  also in {clean(path, limit=200)}: {plural(commits, 'commit')}")
    done = {path for path, _ in inside}
    for one in (one for one in held if one.path in done):
        place = shlex.quote(clean(str(one.clone.root)))
        ui.info(f"  git -C {place} log -p {one.base[:10]}..refs/realm/{one.name}")
    _tell_kept(session, run.kept, ui)


def _tell_kept(session: Session, kept: Sequence[Kept], ui: UI) -> None:
    """Report what is kept beside the work, in which repository, and the command that lists it."""
    from realm.store.branches import described

    places = {f"../{one.name}": one.path for one in session.neighbours}
    for path, text in described(kept).items():
        if path:
            ui.info(f"  also kept in {path}: {text}")
            place = clean(places.get(path, f"{session.project}/{path}"))
            ui.info(f"  git -C {shlex.quote(place)} for-each-ref refs/realm-branches")
        else:
            ui.info(f"  also kept: {text}")
            ui.info(f"  git for-each-ref refs/realm-branches/{session.name}")


def _refused(found: Sequence[Refusal]) -> str:
    """Return in words what a run could not reach."""
    hosts = list(dict.fromkeys(refusal.host for refusal in found))
    more = f" and {len(hosts) - _HOSTS} more" if len(hosts) > _HOSTS else ""
    times = plural(sum(refusal.times for refusal in found), "request")
    return f"{times} to {', '.join(hosts[:_HOSTS])}{more}"
