"""``realm rename``: rename a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (("rename quick-fix rounding", "refs/realm/quick-fix becomes refs/realm/rounding"),)
NOTE = (
    "Code and record move together, or not at all; stop a running agent first. Pushed branches keep "
    "their names, and so do the trailers of existing commits."
)


@verb("rename", EXAMPLES, NOTE)
@click.argument("old", metavar="name", type=SESSION)
@click.argument("new", metavar="new name")
@common
def command(old: str, new: str, directory: Path | None) -> None:
    """Rename it."""
    from realm.session.rename import rename

    rename(old, new, directory)
    output.say(f"renamed {old} to {new}   realm resume {new}")
