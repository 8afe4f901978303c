"""``realm rescue``: write the files of a container to a directory."""

from __future__ import annotations

from pathlib import Path

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common
from realm.text import clean, plural

EXAMPLES = (("rescue quick-fix ../rescued", "write out the files that its container still has"),)
NOTE = (
    "The way out for work that realm stop and realm resume cannot save. The directory must be new or "
    "empty. Repositories (.git) are left out, since git would obey what an agent wrote there, and so "
    "are links that lead elsewhere, devices and pipes. The container stays."
)


@verb("rescue", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.argument("target", metavar="directory", type=click.Path(path_type=Path))
@common
def command(name: str, target: Path, directory: Path | None) -> None:
    """Write the files and report how many."""
    from realm.cli.ui import TerminalUI
    from realm.session.rescue import rescue

    ui = TerminalUI()
    done = rescue(name, target, directory, ui)
    for note in done.notes:
        ui.warn(note)
    output.say(f"{plural(done.files, 'file')} written to {clean(str(target))}")
