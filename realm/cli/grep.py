"""``realm grep``: search prompts, answers and screens for words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common, json_option

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("grep shipping", "in all sessions of this project"),
    ("grep -i 'deprecat(ed|ion)' tax ship", "a regular expression, in two sessions"),
    ("grep --all TODO", "in every project"),
)
NOTE = (
    "Searches prompts, closing words and the screens at the end of turns. For the code there are git "
    "grep PATTERN refs/realm/NAME and git log -G. The exit code is 1 if nothing was found."
)


@verb("grep", EXAMPLES, NOTE)
@click.argument("pattern")
@click.argument("names", nargs=-1, type=SESSION)
@click.option("-i", "--ignore-case", is_flag=True, help="ignore upper and lower case")
@click.option("--all", "everywhere", is_flag=True, help="search the sessions of every project")
@json_option
@common
def command(
    pattern: str,
    names: tuple[str, ...],
    directory: Path | None,
    ignore_case: bool,
    everywhere: bool,
    as_json: bool,
) -> int:
    """Print the lines, each with its turn."""
    from realm.session.search import search

    found = search(pattern, names, directory, ignore_case=ignore_case, everywhere=everywhere)
    if as_json:
        hits = [{**hit._asdict(), "project": str(hit.project)} for hit in found]
        output.json(hits)
        return int(not hits)
    any_found = False
    for hit in found:
        any_found = True
        where = output.paint(f"{hit.name}@{hit.turn}", "cyan", sys.stdout)
        output.data(f"{where} {output.paint(hit.where, 'dim', sys.stdout)}: {hit.line}")
    return int(not any_found)
