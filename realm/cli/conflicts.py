"""``realm conflicts``: which sessions conflict with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import SESSION, common, json_option

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("conflicts", "among all unmerged sessions, and with the checked-out branch"),
    ("conflicts tax ship", "among these"),
)
NOTE = (
    "Merges the sessions in memory, two at a time: nothing of yours changes. You can still take both "
    "sessions of a pair that is listed, but will have to resolve conflicts when merging the second."
)


@verb("conflicts", EXAMPLES, NOTE)
@click.argument("names", nargs=-1, type=SESSION)
@json_option
@common
def command(names: tuple[str, ...], directory: Path | None, as_json: bool) -> None:
    """Show the conflicts."""
    from realm.session.overlap import conflicts

    found = conflicts(names, directory)
    if as_json:
        output.json([item._asdict() for item in found])
    elif found:
        rows = [[Cell(item.one), Cell(item.other), Cell(", ".join(item.paths))] for item in found]
        output.table(("SESSION", "AND", "FILES"), rows, elastic=[2], end=[2])
    else:
        output.hint("there are no conflicts")
