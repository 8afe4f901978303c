"""``realm logs``: what an agent printed, as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli.command import verb
from realm.cli.params import SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("logs quick-fix", "what was said, or what the agent printed so far"),
    ("logs quick-fix -f", "and what it prints until it ends"),
)
NOTE = (
    "Prompts, answers and a line for each tool where the agent keeps a conversation, as Claude Code does; "
    "otherwise what it printed. realm screen shows the screen in colour."
)


@verb("logs", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option("-f", "--follow", is_flag=True, help="go on until the agent ends")
@click.option("--run", metavar="<n>", type=click.IntRange(min=1), help="of this run (default: the newest)")
@common
def command(name: str, directory: Path | None, follow: bool, run: int | None) -> None:
    """Write plain text to standard output."""
    from realm.cli.ui import TerminalUI
    from realm.session.logs import logs
    from realm.session.screens import Asked

    logs(Asked(name, directory, run), _write, TerminalUI(), follow=follow)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
