"""``realm list``: sessions, those that need the user first, as a table (``--watch`` updates it) or JSON."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import common, json_option
from realm.model import Activity, State
from realm.text import clean, listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import SessionRow, Totals
    from realm.session.requests import Listing

_NONE = "\N{EN DASH}"
_WAITS = {
    Activity.ASKS: "asks",
    Activity.RANG: "rang the bell",
    Activity.PAUSED: "paused",
    Activity.STUCK: "stuck",
    Activity.READY: "waiting for a prompt",
}
"""The activities that need the user, in words."""
_STYLES = {
    **dict.fromkeys(_WAITS, "bold yellow"),
    Activity.INTERRUPTED: "bold yellow",
    Activity.WORKING: "cyan",
    Activity.DONE: "green",
    Activity.FAILED: "red",
}
_DIGITS = 10
"""More digits than the number of any pull request has."""
_SETTLED, _WORKING, _OVER = 1, 2, 3
"""The ranks of sessions that do not wait; those that wait are 0."""
EXAMPLES = (
    ("list", "the sessions of this project"),
    ("list --watch", "the same, kept up to date"),
    ("list --all", "those of every project"),
    ("list --prune", "first forget the projects that are gone"),
    ("list --json | jq -r '.[].name'", "for scripts"),
)
NOTE = (
    "Sessions that need an answer come first, then finished ones, then those at work, then those "
    "merged or pushed. TASK is the first prompt, or in quotes the agent's last words. Outside a "
    "repository the sessions of all projects are shown. In a pipe the columns are separated by tabs, "
    "without a header, always with the project, and LAST is in UTC. Interrupted (in JSON: salvage) "
    "means that a run was cut off: its work is still in the container, and realm resume saves it. "
    "--prune is for projects that were deleted or moved: their sessions are in their own repositories "
    "and come back with them."
)


@verb("list", EXAMPLES, NOTE)
@click.option("--all", "all_projects", is_flag=True, help="list the sessions of every project")
@click.option("--waiting", is_flag=True, help="list only those that need you")
@click.option("--watch", is_flag=True, help="keep the table up to date until q or Ctrl-C")
@click.option("--prune", is_flag=True, help="first forget the projects that no longer exist")
@json_option
@common
def command(
    directory: Path | None, all_projects: bool, waiting: bool, watch: bool, prune: bool, as_json: bool
) -> None:
    """Show the sessions as a table or as JSON."""
    from realm.session.find import list_sessions

    if watch and (as_json or not output.is_terminal(sys.stdout)):
        raise CommandLineError("--watch draws on a terminal", "realm list --json, as often as you like")
    if prune:
        from realm.session.find import forget_gone
        from realm.session.sandboxes import prune as prune_volumes

        prune_volumes()
        for root in forget_gone():
            output.say(clean(f"forgot {root}"))

    if watch:
        from realm.cli.watch import watched

        def picture() -> list[str]:
            rows = _sorted(list_sessions(directory, all_projects).rows, waiting=waiting)
            return _lines(rows) or ["nothing needs you" if waiting else "no sessions yet"]

        watched(picture)
    else:
        _tell(list_sessions(directory, all_projects), waiting=waiting, as_json=as_json)


def _tell(listing: Listing, *, waiting: bool, as_json: bool) -> None:
    rows = _sorted(listing.rows, waiting=waiting)
    for text in listing.warnings:
        output.warning(text)
    if listing.gone:
        output.hint("realm list --prune forgets projects that are gone; -C finds one that was moved")
    if as_json:
        output.json([_record(row) for row in rows])
    elif rows:
        _show(rows)
    elif waiting:
        output.hint("nothing needs you: realm list shows every session")
    else:
        output.hint("no sessions yet: realm new NAME starts one")


def _show(rows: Sequence[SessionRow]) -> None:
    if not output.is_terminal(sys.stdout):
        output.table((), [_piped(row) for row in rows], [])
        return
    for line in _lines(rows):
        output.data(line)
    cut_off = next((row.name for row in rows if row.state is State.INTERRUPTED), None)
    if cut_off is not None:
        output.hint(f"realm resume {cut_off} saves the work that a run left in its container")
    refused = [row for row in rows if row.refused and not _is_merged(row)]
    if refused:
        times = plural(sum(row.refused for row in refused), "request")
        output.hint(f"{listed([row.name for row in refused])}: {times} refused: realm net {refused[0].name}")
    unasked = [row.name for row in rows if row.summary.risky and not _is_merged(row)]
    if unasked:
        change = "changes" if len(unasked) == 1 else "change"
        output.hint(
            f"{listed(unasked)} {change} what is run or obeyed unasked: realm diff {unasked[0]} --risky"
        )


def _sorted(rows: Sequence[SessionRow], *, waiting: bool) -> list[SessionRow]:
    """Return the rows in the order of the list; with ``waiting`` only those that need the user."""
    kept = [row for row in rows if not waiting or row.activity in _WAITS]
    return sorted(kept, key=lambda row: (_rank(row), -(row.since or row.summary.created)))


def _rank(row: SessionRow) -> int:
    """Return a session's rank in the list; 0 needs the user most."""
    if row.activity in _WAITS:
        return 0
    if row.activity is Activity.WORKING:
        return _WORKING
    return _OVER if _is_over(row) else _SETTLED


def _is_over(row: SessionRow) -> bool:
    return _is_settled(row) and bool(row.merged_into or row.pushed_to)


def _is_merged(row: SessionRow) -> bool:
    return _is_settled(row) and bool(row.merged_into)


def _is_settled(row: SessionRow) -> bool:
    """Tell whether a session is idle; its agent may still be waiting at its prompt."""
    return row.state is State.EXITED or row.activity is Activity.DONE


def _lines(rows: Sequence[SessionRow]) -> list[str]:
    """Return the lines of the table for a terminal; none without rows."""
    if not rows:
        return []
    now = time.time()
    several = len({row.project for row in rows}) > 1
    cells = [
        [
            Cell(row.name, "bold"),
            *([Cell(_home(row.project))] if several else []),
            Cell(_state(row, now), "" if _is_over(row) else _STYLES.get(row.activity, "")),
            Cell(_last(row, now) or _NONE),
            Cell(("" if _is_merged(row) else _changes(row.summary.totals)) or _NONE),
            Cell(("" if _is_merged(row) else _task(row)) or _NONE),
        ]
        for row in rows
    ]
    header = ("NAME", *(["PROJECT"] if several else []), "STATE", "LAST", "CHANGES", "TASK")
    task, state = len(header) - 1, len(header) - 4
    return output.aligned(header, cells, [task, state, *([1] if several else [])], end=[task, state])


def _piped(row: SessionRow) -> list[Cell]:
    """Return the cells of ``row`` for a pipe, exact and uncut."""
    return [
        Cell(row.name),
        Cell(str(row.project)),
        Cell(_state(row, None)),
        Cell(output.iso(row.since) or ""),
        Cell(_changes(row.summary.totals)),
        Cell(_task(row)),
    ]


def _state(row: SessionRow, now: float | None) -> str:
    """Return what a session does, or how it ended; given ``now``, also for how long.

    It is followed by flags that weaken the container's protection, and by its network if that is unusual.
    """
    from realm.config import NETWORK

    network = row.summary.network
    words = [clean(row.summary.weakened, limit=200)] if row.summary.weakened else []
    words += [f"network {network}"] if network not in ("", NETWORK.default) else []
    return _activity(row, now) + (f" [{', '.join(words)}]" if words else "")


def _activity(row: SessionRow, now: float | None) -> str:
    if row.activity in _WAITS:
        said = {
            Activity.ASKS: row.question, Activity.STUCK: row.summary.words, Activity.PAUSED: row.paused
        }.get(row.activity)  # fmt: skip
        return _WAITS[row.activity] + (f": {said}" if said else "")
    if row.activity is Activity.WORKING:
        length = f" {output.duration(max(0.0, now - row.since))}" if now and row.since else ""
        return f"working{length}"
    if _is_over(row):
        return f"merged into {row.merged_into}" if row.merged_into else _pushed(row)
    if row.activity is Activity.FAILED:
        return f"failed ({row.summary.died or f'exit {row.summary.exit_code}'})"
    return row.activity.value


def _pushed(row: SessionRow) -> str:
    """Return where all of a session's work was pushed: the pull request, else the branch."""
    url = row.summary.request
    if not url:
        return f"pushed to {row.pushed_to}"
    kind, sign = ("merge request", "!") if "/merge_requests/" in url else ("pull request", "#")
    number = url.rstrip("/").rpartition("/")[2]
    return f"{kind} {sign}{number}" if number.isdecimal() and len(number) < _DIGITS else kind


def _last(row: SessionRow, now: float) -> str:
    """Return when something happened last; for a session that needs the user, how long it has waited."""
    if not row.since:
        return ""
    passed = output.brief(row.since, now)
    return f"{passed} ago" if row.activity in _WAITS and passed != output.NOW else passed


def _task(row: SessionRow) -> str:
    """Return what a session is about: its last words when it is done, else its first prompt."""
    said_all = row.activity not in _WAITS and row.activity is not Activity.WORKING
    return f'"{row.summary.words}"' if said_all and row.summary.words else row.summary.prompt


def _home(project: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    text = str(project)
    return f"~{text[len(home) :]}" if text.startswith(f"{home}/") and home != "/" else text


def _changes(totals: Totals) -> str:
    """Return the size of a session's work: files, lines added and removed; empty for none."""
    if not totals.files:
        return ""
    lines = ((totals.insertions, "+"), (totals.deletions, "\N{MINUS SIGN}"))
    return " ".join([plural(totals.files, "file"), *(f"{sign}{number}" for number, sign in lines if number)])


def _record(row: SessionRow) -> dict[str, str | int | None]:
    """Return ``row`` for JSON."""
    return {
        "name": clean(row.name),
        "project": clean(str(row.project)),
        "created": output.iso(row.summary.created) if row.summary.created > 0 else None,  # else unknown
        "started": output.iso(row.summary.started),
        "ended": output.iso(row.summary.ended),
        "state": row.state.value,
        "activity": row.activity.value,
        "since": output.iso(row.since),
        "question": clean(row.question) or None,
        "paused": clean(row.paused) or None,
        "prompt": clean(row.summary.prompt) or None,
        "last_words": clean(row.summary.words) or None,
        "exit_code": row.summary.exit_code,
        "died": clean(row.summary.died) or None,
        "also_kept": clean(row.summary.beside) or None,
        "weakened": clean(row.summary.weakened) or None,
        "risky": clean(row.summary.risky) or None,
        "network": row.summary.network or None,
        "refused": row.refused,
        "turns": row.summary.totals.turns,
        "files": row.summary.totals.files,
        "insertions": row.summary.totals.insertions,
        "deletions": row.summary.totals.deletions,
        "runs": row.summary.runs,
        "merged_into": clean(row.merged_into) or None,
        "pushed_to": clean(row.pushed_to) or None,
        "pull_request": clean(row.summary.request) or None,
        "ref": f"refs/realm/{clean(row.name)}",
        "base": clean(row.summary.base),
        "tip": clean(row.tip),
        "id": clean(row.summary.id),
    }
