"""``realm drop``: leave files out of a session's commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION, common
from realm.text import clean, plural

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (("drop quick-fix dist core.12345", "as if the session had never touched them"),)
NOTE = (
    "Rewrites the commits that have not been pushed yet. Paths start at the project's top; what was "
    "there before the session is as it was. The session's previous state is kept for 30 days: realm "
    "restore --replace brings it back. Your branches and files are not touched. A whole session goes with "
    "realm remove."
)


@verb("drop", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.argument("paths", nargs=-1, required=True, type=FILE)
@common
def command(name: str, paths: tuple[str, ...], directory: Path | None) -> None:
    """Rewrite and print the way back."""
    from realm.session.drop import drop

    done = drop(name, directory, paths)
    output.data(clean(f"{name} is on {done.code[:10]} now ({plural(done.rewritten, 'new commit')})"))
    output.hint(f"realm restore {name} --replace undoes this")
