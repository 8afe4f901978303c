"""The words after a run: what there is now, and what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realm.model import Totals
    from realm.session.begin import Started
    from realm.session.finish import Outcome
    from realm.session.ui import UI


def plural(count: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def describe(totals: Totals) -> str:
    """Return a session's size as one phrase."""
    lines = f"+{totals.insertions} −{totals.deletions}"  # noqa: RUF001 - a minus as wide as the plus
    return f"{plural(totals.turns, 'turn')}, {plural(totals.files, 'file')}, {lines}"


def tell(started: Started, outcome: Outcome, ui: UI) -> None:
    """Say what the run left behind: one line, what needs attention, the next commands."""
    name = started.session.name
    for note in outcome.notes:
        ui.warn(note)
    if not outcome.new_commits:
        then = "push" if outcome.totals.turns or outcome.totals.files else "remove"
        ui.info(f"{name}: nothing new   realm resume {name}   realm {then} {name}")
        return
    commits = plural(outcome.new_commits, "commit")
    whole = f"in all {describe(outcome.totals)}" if started.run.number > 1 else describe(outcome.totals)
    ui.info(f"{name}: {commits} ({whole}) on refs/realm/{name}")
    ui.info(f"  git log -p {started.session.base[:10]}..refs/realm/{name}")
    ui.info(f"  realm resume {name}   realm push {name}")
