"""``realm cache``: show or clear a project's caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import common, here, json_option

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("cache", "how much pip, npm, cargo and others have cached"),
    ("cache --clear", "start over with empty caches"),
)
NOTE = (
    "What pip, uv, poetry, pdm, npm, pnpm, yarn, bun, deno, cargo, go, maven, gradle, composer and ccache "
    "download and compile outlives a session, in a volume that only containers of this project have. git "
    "config realm.cache off does without. A cache that was not used for 30 days is removed."
)


@verb("cache", EXAMPLES, NOTE)
@click.option("--clear", is_flag=True, help="empty the cache")
@json_option
@common
def command(directory: Path | None, clear: bool, as_json: bool) -> None:
    """Print a line for each tool, or clear."""
    from realm.cli.ui import TerminalUI
    from realm.session import cache

    if clear:
        if cache.clear(here(directory), TerminalUI()):
            output.hint("the cache is empty")
        else:
            output.hint("there was no cache")
        return
    rows = cache.sizes(here(directory), TerminalUI())
    if as_json:
        output.json([row._asdict() for row in rows])
        return
    if not rows:
        output.hint("nothing is cached yet")
    output.table(("TOOL", "SIZE"), [[Cell(row.name), Cell(f"{row.size / 1e6:.1f} MB")] for row in rows], [0])
