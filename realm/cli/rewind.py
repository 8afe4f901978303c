"""``realm rewind``: take a session back to the end of an earlier turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import SESSION_AT, common
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (("rewind quick-fix@2", "code and conversation as they were when turn 2 ended"),)
NOTE = (
    "The agent then continues as if nothing had come later. The session's previous state is kept for "
    "30 days: realm restore --replace brings it back. Your branches and files are not touched."
)


@verb("rewind", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@common
def command(name: At, directory: Path | None) -> None:
    """Rewind and print the way back."""
    from realm.session.travel import rewind

    if name.turn is None:
        way = f"realm log {name.name} lists them, realm rewind {name.name}@2"
        raise CommandLineError("no turn was given to go back to", way)
    moved = rewind(name, directory)
    output.data(clean(f"{name.name} is back where turn {moved.turn} ended, on {moved.code[:10]}"))
    output.hint(
        f"realm resume {name.name} continues from there; realm restore {name.name} --replace undoes this"
    )
