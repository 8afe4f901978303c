"""Searching the prompts, answers and screens of all sessions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.errors import RealmError, UsageError
from realm.paths import current_directory
from realm.session import secrets, words
from realm.session.find import elsewhere, locate
from realm.session.review import CommitRange
from realm.store import listing, record, repo
from realm.store import turns as numbered
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realm.agents.base import Exchange
    from realm.model import Project, Run
    from realm.store.listing import MetaRow

_SCREEN_LIMIT = 1_000_000
LONGEST = 2000
"""Characters of a line that are searched."""


class Hit(NamedTuple):
    """A line that matches, cleaned; ``where`` is ``prompt``, ``answer`` or ``screen``."""

    project: Path
    name: str
    turn: int
    where: str
    line: str


def search(
    pattern: str,
    names: Sequence[str],
    directory: Path | None,
    *,
    ignore_case: bool = False,
    everywhere: bool = False,
) -> Iterator[Hit]:
    """Yield every line that matches the regular expression ``pattern``, session by session, turn by turn.

    All sessions of the project are searched, only those called ``names``, or with ``everywhere`` those of
    every project that realm was used in.  A screen's line is yielded once, even if the next turn's screen
    still shows it.  Damaged records are skipped.  Raises :class:`UsageError` for an invalid pattern.
    """
    try:
        wanted = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise UsageError(f"'{clean(pattern, limit=80)}' is not a regular expression: {error}", "") from None
    here = repo.discover(directory or current_directory())
    for name in names:
        locate(name, here.root)
    for project in [here, *(elsewhere(here) if everywhere else [])]:
        for row in listing.rows(project, list(names) or None):
            if not row.problem:
                yield from _in_session(project, row, wanted)


def _in_session(project: Project, row: MetaRow, wanted: re.Pattern[str]) -> Iterator[Hit]:
    try:
        with record.Record(project, row.name) as found:
            session, runs = found.session(), {run.number: run for run in found.runs()}
            agent, redactor = agents.find(session.agent), secrets.of_session(project, session)
            ends = row.summary.base, row.code or row.summary.base
            whole = CommitRange(project, row.name, *ends, row.summary.id)
            said = {
                number: list(agent.exchanges(kept.splitlines()))
                for number in runs
                if (kept := found.said(number))
            }
            before: dict[tuple[str, str], None] = {}
            for turn in numbered.turns(project, whole.base, whole.tip, list(runs.values())):
                texts = list(_texts(found, turn, runs.get(turn.run), said.get(turn.run, [])))
                lines = dict.fromkeys(
                    (where, line)
                    for where, text in texts
                    for line in redactor.text(clean(text, multiline=True)).splitlines()
                )
                for where, line in lines:
                    shown_still = where == "screen" and (where, line) in before
                    if not shown_still and wanted.search(line[:LONGEST]):
                        yield Hit(project.root, row.name, turn.number, where, line.strip())
                before = lines
    except RealmError:
        return


def _texts(
    found: record.Record, turn: numbered.Turn, run: Run | None, said: Sequence[Exchange]
) -> Iterator[tuple[str, str]]:
    place = words.find(said, run.prompts, turn.turn) if run is not None and turn.turn else None
    yield "prompt", said[place].prompt if place is not None else turn.prompt
    if place is not None:
        yield "answer", said[place].answer
    if run is None:
        return
    directory = record.run_directory(run.number)
    names = [f"turns/{turn.turn:04d}.screen.txt"] if turn.turn else []
    if turn.turn >= len(run.prompts):
        names.append("screen.txt")
    for name in names:
        if kept := found.file(f"{directory}/{name}", _SCREEN_LIMIT):
            yield "screen", kept.decode("utf-8", "replace")
