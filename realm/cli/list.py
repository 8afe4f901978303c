"""``realm list``: what sessions there are, as a table and as JSON.

The JSON of a session: ``name``, ``project`` (path), ``created`` and ``started``
(ISO-8601, UTC; ``started`` is the last run's), ``state``
(``running``, ``exited``, ``salvage``), ``turns``, ``files``, ``insertions``,
``deletions``, ``runs`` (numbers), ``ref``, ``base``, ``tip`` (commit ids),
``id``.  Keys are only ever added.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import common, json_option
from realm.model import State
from realm.text import clean, plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import SessionRow, Totals

_HEADER = ("NAME", "PROJECT", "CREATED", "STATE", "CHANGES")
_PROJECT_COLUMN = 1
_WORDS = {
    State.RUNNING: Cell("running", "green"),
    State.INTERRUPTED: Cell("interrupted", "bold yellow"),
    State.EXITED: Cell("exited", ""),
}
"""What people read; programs get the values."""
EXAMPLES = (
    ("list", "the sessions of this project"),
    ("list --all", "those of every project"),
    ("list --prune", "forget projects that are gone"),
    ("list --json | jq -r '.[].name'", "for scripts"),
)
NOTE = (
    "Outside any repository the sessions of all projects are shown. In a pipe the columns are separated "
    "by tabs, without a header, and CREATED is in UTC. Interrupted means that a run was cut off: its work "
    "is still in the container, and realm resume takes it in. --json writes a list, in which that state is "
    "called salvage; the manual page has its keys. --prune is for projects that were deleted or moved: their "
    "sessions lie in their own repositories and come back with them."
)


@verb("list", EXAMPLES, NOTE)
@click.option("--all", "all_projects", is_flag=True, help="list the sessions of every project")
@click.option("--prune", is_flag=True, help="first forget the projects that are not there any more")
@json_option
@common
def command(directory: Path | None, all_projects: bool, prune: bool, as_json: bool) -> None:
    """Show the sessions as a table or as JSON."""
    from realm.session.find import list_sessions

    if prune:
        from realm.session.find import forget_gone
        from realm.session.sandboxes import prune as prune_volumes

        prune_volumes()
        for root in forget_gone():
            output.say(clean(f"forgot {root}"))
    listing = list_sessions(directory, all_projects)
    for text in listing.warnings:
        output.warning(text)
    if listing.gone:
        output.hint("realm list --prune forgets projects that are gone; -C finds one that was moved")
    rows = sorted(listing.rows, key=lambda row: -row.created)
    if as_json:
        output.json([_record(row) for row in rows])
    elif rows:
        output.table(_HEADER, [_cells(row) for row in rows], elastic=_PROJECT_COLUMN)
        cut_off = next((row.name for row in rows if row.state is State.INTERRUPTED), None)
        if cut_off is not None and output.is_terminal(sys.stdout):
            output.hint(f"realm resume {cut_off} saves the work that a run left in its container")
    else:
        output.hint("no sessions yet: realm new NAME starts one")


def _cells(row: SessionRow) -> list[Cell]:
    """Return the cells of ``row``, short for eyes, exact for a pipe."""
    terminal = output.is_terminal(sys.stdout)
    created = _created(row) or ""
    if terminal:
        created = output.ago(row.created, time.time()) if created else "unknown"
    return [
        Cell(row.name, "bold"),
        Cell(_home(row.project) if terminal else str(row.project)),
        Cell(created),
        _WORDS[row.state],
        Cell(_changes(row.totals)),
    ]


def _created(row: SessionRow) -> str | None:
    """Return when the session was made; ``None`` when its record does not tell."""
    return output.iso(row.created) if row.created > 0 else None


def _home(project: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    text = str(project)
    return f"~{text[len(home) :]}" if text.startswith(f"{home}/") and home != "/" else text


def _changes(totals: Totals) -> str:
    """Return the size of a session's work in words, turns, files, lines added and removed."""
    counts = ((totals.turns, "turn"), (totals.files, "file"))
    parts = [plural(number, what) for number, what in counts if number]
    if totals.files:
        parts.append(f"+{totals.insertions} \N{MINUS SIGN}{totals.deletions}")
    return ", ".join(parts) or "no changes"


def _record(row: SessionRow) -> dict[str, str | int | None]:
    """Return ``row`` as JSON has it."""
    return {
        "name": clean(row.name),
        "project": clean(str(row.project)),
        "created": _created(row),
        "started": output.iso(row.started),
        "state": row.state.value,
        "turns": row.totals.turns,
        "files": row.totals.files,
        "insertions": row.totals.insertions,
        "deletions": row.totals.deletions,
        "runs": row.runs,
        "ref": f"refs/realm/{clean(row.name)}",
        "base": clean(row.base),
        "tip": clean(row.tip),
        "id": clean(row.id),
    }
