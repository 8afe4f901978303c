"""``realm compare``: compare sessions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import SESSION_AT, common, json_option
from realm.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.overlap import Side
    from realm.session.requests import At

EXAMPLES = (
    ("compare tax tax-2 tax-3", "what each changed, and what they have in common"),
    ("compare tax tax-2 --check 'make test'", "and a command's result on each"),
)
NOTE = (
    "The command is a line of shell. It runs as in realm try, in a container of its own for each "
    "session, up to four at a time. The exit code is 1 if it failed on any of them."
)


@verb("compare", EXAMPLES, NOTE)
@click.argument("names", nargs=-1, required=True, type=SESSION_AT)
@click.option("--check", metavar="<command>", help="run this command on each and show how it ended")
@json_option
@common
def command(names: tuple[At, ...], directory: Path | None, check: str | None, as_json: bool) -> int:
    """Show them as a table or as JSON."""
    from realm.session.overlap import compare

    found = compare(names, directory, check)
    if as_json:
        output.json([_fields(side) for side in found])
    else:
        header = ["NAME", "TURNS", "FILES", "LINES", "IN COMMON", *(["CHECK", "LAST WORDS"] if check else [])]
        last = len(header) - 1
        output.table(header, [_cells(side) for side in found], elastic=[last], end=[last])
    return int(any(side.checked is not None and side.checked.exit_code != 0 for side in found))


def _cells(side: Side) -> list[Cell]:
    common = f"same as {side.same}" if side.same else plural(side.shared, "file") if side.shared else ""
    cells = [
        Cell(side.name, "bold"),
        Cell(str(side.totals.turns)),
        Cell(str(side.totals.files)),
        Cell(f"+{side.totals.insertions} −{side.totals.deletions}"),  # noqa: RUF001 - as wide as the plus
        Cell(common or "\N{EN DASH}"),
    ]
    if side.checked is not None:
        took = output.duration(side.checked.seconds)
        code = side.checked.exit_code
        passed = Cell(f"passed ({took})", "green")
        cells.append(Cell(f"failed (exit {code}, {took})", "red") if code else passed)
        cells.append(Cell(side.checked.last))
    return cells


def _fields(side: Side) -> dict[str, object]:
    totals = side.totals._asdict()
    checked = side.checked._asdict() if side.checked is not None else {}
    found = {"name": side.name, "tip": side.tip, **totals, "shared": side.shared, "same": side.same or None}
    return {**found, **checked}
