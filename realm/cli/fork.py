"""``realm fork``: a second session that begins where a turn of another ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION_AT, common
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("fork quick-fix other-way", "begin where quick-fix is now"),
    ("fork quick-fix@2 other-way", "begin where its turn 2 ended"),
)
NOTE = (
    "The new session has the code and the conversation of that moment; from then on the two are independent."
)


@verb("fork", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.argument("new")
@common
def command(name: At, new: str, directory: Path | None) -> None:
    """Fork and report the result."""
    from realm.session.travel import fork

    made = fork(name, new, directory)
    output.data(clean(f"{new} begins where turn {made.turn} of {name.name} ended, on {made.code[:10]}"))
    output.hint(f"realm resume {new} continues it")
