"""``realm restore``: bring a removed session back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import REMOVED, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("restore quick-fix", "undo realm remove quick-fix"),
    ("restore quick-fix --replace", "undo realm rewind quick-fix@2; its current state goes to the trash"),
)


@verb("restore", EXAMPLES)
@click.argument("name", type=REMOVED)
@click.option("--replace", is_flag=True, help="move a session that has the name to the trash")
@common
def command(name: str, directory: Path | None, replace: bool) -> None:
    """Restore and report what is back."""
    from realm.session.remove import restore

    removal = restore(name, directory, replace=replace)
    for text in removal.lost:
        output.warning(text)
    output.ids(f"restored {removal.name}", {"code": removal.code, "record": removal.meta})
    output.hint(f"realm resume {removal.name} continues it")
