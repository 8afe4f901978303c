"""The summary after a run: the result, and what to do with it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from realm.config import NETWORK
from realm.sandbox.repositories import is_beside
from realm.session import homes
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.model import Kept, Session, Totals
    from realm.session.homes import Held
    from realm.session.requests import UI
    from realm.session.run import Outcome, Plan

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
    tell_notes(outcome.notes, ui)
    beside = homes.work(plan.project, plan.session)
    if not outcome.new_commits:
        then = "" if beside else f"   realm remove {name}"
        if outcome.code != plan.session.base or any(not is_beside(path) for path, _ in outcome.inside):
            then = f"   realm push {name}"
        ui.info(f"{name}: no changes   realm resume {name}{then}")
        _tell_beside(plan, outcome, beside, ui)
        return
    commits = plural(outcome.new_commits, "commit")
    whole = f"in all {describe(outcome.totals)}" if plan.run.number > 1 else describe(outcome.totals)
    ui.info(f"{name}: {commits} ({whole}) on refs/realm/{name}")
    ui.info(f"  git log -p {plan.session.base[:10]}..refs/realm/{name}")
    ui.info(f"  realm resume {name}   realm push {name}")
    _tell_beside(plan, outcome, beside, ui)


def tell_notes(notes: Sequence[str], ui: UI) -> None:
    """Report a run's notes: as warnings, unless they only say what the user asked for."""
    for note in notes:
        from realm.session import lending  # imports an engine's library

        if lending.is_login(note):
            ui.info(f"  {note}")
        else:
            ui.warn(note)


def _tell_beside(plan: Plan, outcome: Outcome, held: Sequence[Held], ui: UI) -> None:
    """Report what was kept beside the work, and where; what to look at first; weakened protection."""
    if outcome.risky:
        ui.warn(unasked(plan.session.name, outcome.risky))
    if plan.network.policy != NETWORK.default:
        ui.info(f"  network: {plan.network.policy}")
    if text := refused(plan):
        ui.info(f"  refused: {text}   realm net {plan.session.name}")
    if plan.run.weakened:
        ui.info(f"  ran with less protection: {', '.join(plan.run.weakened)}")
    for path, commits in outcome.inside:
        ui.info(f"  also in {clean(path, limit=200)}: {plural(commits, 'commit')}")
    done = {path for path, _ in outcome.inside}
    tell_work([one for one in held if one.path in done], ui)
    tell_beside(plan.session, outcome.kept, ui)


def tell_beside(session: Session, kept: Sequence[Kept], ui: UI) -> None:
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


def tell_work(held: Sequence[Held], ui: UI) -> None:
    """Report the commands that show a session's work beside the project."""
    for one in held:
        place = shlex.quote(clean(str(one.clone.root)))
        ui.info(f"  git -C {place} log -p {one.base[:10]}..refs/realm/{one.name}")


def refused(plan: Plan) -> str:
    """Return in words what the run could not reach; empty if it was refused nothing."""
    from realm.session import refusals

    found = refusals.recorded(plan.session.id)
    hosts = list(dict.fromkeys(refusal.host for refusal in found))
    more = f" and {len(hosts) - _HOSTS} more" if len(hosts) > _HOSTS else ""
    times = plural(sum(refusal.times for refusal in found), "request")
    return f"{times} to {', '.join(hosts[:_HOSTS])}{more}" if found else ""
