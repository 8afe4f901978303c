"""``realm restore``: bring a removed session back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import REMOVED, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (("restore quick-fix", "undo realm remove quick-fix"),)


@verb("restore", EXAMPLES)
@click.argument("name", type=REMOVED)
@common
def command(name: str, directory: Path | None) -> None:
    """Restore and say what is back."""
    from realm.session.remove import restore

    removal = restore(name, directory)
    output.ids(f"restored {removal.name}", {"code": removal.code, "record": removal.meta})
    output.hint(f"realm resume {removal.name} goes on with it")
