"""``realm list``: what sessions there are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common, json_option
from realm.cli.rows import HEADER, PROJECT_COLUMN, cells, record
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import SessionRow

EXAMPLES = (
    ("list", "the sessions of this project"),
    ("list --all", "those of every project"),
    ("list --prune", "forget projects that are gone"),
    ("list --json | jq -r '.[].name'", "for scripts"),
)
NOTE = (
    "Outside any repository the sessions of all projects are shown. In a pipe the columns are separated "
    "by tabs, without a header, and CREATED is in UTC. A state of salvage means that a run was cut off: "
    "its work is still in the container, and realm resume takes it in. --json writes a list; the manual "
    "page has its keys. --prune is for projects that were deleted or moved: their sessions lie in their own "
    "repositories and come back with them."
)


@verb("list", EXAMPLES, NOTE)
@click.option("--all", "all_projects", is_flag=True, help="list the sessions of every project")
@click.option("--prune", is_flag=True, help="first forget the projects that are not there any more")
@json_option
@common
def command(directory: Path | None, all_projects: bool, prune: bool, as_json: bool) -> None:
    """Show the sessions as a table or as JSON."""
    from realm.session.query import list_sessions

    if prune:
        _prune()
    listing = list_sessions(directory, all_projects)
    for text in listing.warnings:
        output.warning(text)
    if listing.gone:
        output.hint("realm list --prune forgets projects that are gone; -C finds one that was moved")
    rows = sorted(listing.rows, key=lambda row: -row.created)
    if as_json:
        output.json([record(row) for row in rows])
    elif rows:
        output.table(HEADER, [cells(row) for row in rows], elastic=PROJECT_COLUMN)
        _advise(rows)
    else:
        output.hint("no sessions yet: realm new NAME starts one")


def _prune() -> None:
    from realm.session.query import forget_gone

    for root in forget_gone():
        output.say(clean(f"forgot {root}"))


def _advise(rows: list[SessionRow]) -> None:
    """Say how unsaved work comes home, where somebody looks."""
    cut_off = next((row.name for row in rows if row.state.value == "salvage"), None)
    if cut_off is not None and output.is_terminal(sys.stdout):
        output.hint(f"realm resume {cut_off} saves the work that a run left in its container")
