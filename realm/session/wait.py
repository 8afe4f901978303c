"""Waits for agents to end, by the locks of their holders, without an engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.model import Activity, State
from realm.session import account, untold
from realm.session.find import cut_off, ended, locate, state
from realm.session.lock import holder
from realm.store import listing
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from realm.model import Project
    from realm.session.requests import UI

_STEP = 0.1
"""Seconds between two looks at the locks."""
_AT_PROMPT = 60.0
"""Seconds after a turn's end within which an agent that ends by itself has, its work saved."""


class _Awaited(NamedTuple):
    name: str
    project: Project
    id: str


def wait(names: Iterable[tuple[str, Path | None]], ui: UI, *, first: bool = False) -> int:
    """Wait until the runs of sessions, names with directories, are over; return the first exit code but 0.

    With ``first`` it is that of the first that is over.  Each one's summary is said when it is, and
    meanwhile a question that an agent asks, and that one is at its prompt.  Raises :class:`RealmError` when a
    run was cut off.
    """
    pending = []
    for name, directory in names:
        found = locate(name, directory).sound()
        pending.append(_Awaited(name, found.project, found.row.summary.id))
    codes: list[int] = []
    said: dict[str, str] = {}
    several = len(pending) > 1
    while pending:
        for one in [one for one in pending if holder(one.id) is None]:
            pending.remove(one)
            codes.append(_concluded(one, ui, several=several))
            if first:
                return codes[0]
        for one in pending:
            news = _news(one.name, account.read(one.id))
            if news and news != said.get(one.id):
                ui.info(news)
            said[one.id] = news
        if pending:
            time.sleep(_STEP)
    return next((code for code in codes if code), 0)


def _news(name: str, now: account.Account | None) -> str:
    """Return what the user must do for an agent that does not end by itself; empty for nothing."""
    if now is None:
        return ""
    if now.paused:
        return f"{name} is paused: {now.paused}"
    if now.activity is Activity.ASKS:
        return f"{name} asks: {now.question}"
    if now.activity is Activity.STUCK:
        return f"{name} is stuck: {now.words}"
    if now.activity in (Activity.DONE, Activity.READY) and time.time() - now.since > _AT_PROMPT:
        return f"{name} is at its prompt, and does not end by itself: realm stop {name}"
    return ""


def _concluded(one: _Awaited, ui: UI, *, several: bool) -> int:
    """Report what a session's last run, which nobody holds, left; return its exit code."""
    row = next(iter(listing.rows(one.project, [one.name])), None)
    if row is None:
        raise RealmError(f"session {one.name} was removed", f"realm restore {one.name}")
    if state(row) is State.INTERRUPTED:
        untold.tell_of(one.project, one.name, one.id, ui)
        raise cut_off(one.name)
    from realm.session import claim, summary  # takes milliseconds, and there is time until now

    if claim.is_own(one.project, one.name, one.id):
        untold.drop(one.id)  # the record has it
    known = row.summary
    how: str = ended(known)
    failed = how == Activity.FAILED
    if failed:
        how = f"failed ({clean(known.died) or f'exit {known.exit_code}'})"
    summary.tell_recorded(one.project, row, how, ui, advises=not several)
    if failed:
        ui.info(f"  realm logs {one.name}")
    return known.exit_code or 0
