"""``realm exec``: run a shell or a command in a running agent's container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli.command import verb
from realm.cli.params import FILE, SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("exec quick-fix", "a shell in the agent's container"),
    ("exec quick-fix git status", "a command in its workspace"),
)
NOTE = (
    "The command runs in the agent's directory, as the agent's user; its changes to files belong to "
    "the session. Everything after the name belongs to the command: realm's own options come before "
    "the name. Without a terminal, standard input and output are the command's. The exit code is the "
    "command's; 125 means that realm itself failed."
)


@verb("exec", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.argument("line", metavar="command", nargs=-1, type=FILE)
@common
def command(name: str, line: tuple[str, ...], directory: Path | None) -> int:
    """Run it and return its exit code."""
    from realm.session.exec import run

    return run(name, directory, line[1:] if line[:1] == ("--",) else line)


command.allow_interspersed_args = False
