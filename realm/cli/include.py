"""``realm include``: the files that are copied into containers, and approval of a project's own list."""

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
    ("include", "show which ignored files are copied into every container"),
    ("include --approve", "approve .worktreeinclude as it is now"),
)
NOTE = (
    "A project's .worktreeinclude came with the project, or from an agent: it counts only once you "
    "have approved its exact content, and has to be approved again when it changes."
)


@verb("include", EXAMPLES, NOTE)
@click.option("--approve", is_flag=True, help="approve the project's .worktreeinclude as it is now")
@json_option
@common
def command(directory: Path | None, approve: bool, as_json: bool) -> None:
    """List the files, with a hint where some wait for approval."""
    from realm.session import approvals

    rows = approvals.listing(here(directory), approve=approve)
    if as_json:
        output.json([row._asdict() for row in rows])
        return
    words = {True: Cell("copied", "green"), False: Cell("not approved", "bold yellow")}
    table = [[Cell(row.path), Cell(row.source), words[row.approved]] for row in rows]
    if table:
        output.table(("FILE", "SOURCE", "STATE"), table, elastic=[0])
    else:
        output.hint("nothing is copied in: git config --add realm.include PATH names a file")
    if any(not row.approved for row in rows):
        output.hint("realm include --approve lets .worktreeinclude count")
