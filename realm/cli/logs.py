"""``realm logs``: what an agent printed, as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import SESSION_AT, common, not_both

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("logs quick-fix", "what was said, or what the agent has printed so far"),
    ("logs quick-fix -f", "and what it prints until it ends"),
    ("logs quick-fix@2", "what was said in turn 2"),
)
NOTE = (
    "Prints prompts, answers and a line per tool if the agent keeps a conversation, as Claude Code "
    "does, and otherwise what it printed. realm screen shows the screen in colour."
)


@verb("logs", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.option("-f", "--follow", is_flag=True, help="keep printing until the agent ends")
@click.option("--run", metavar="<n>", type=click.IntRange(min=1), help="print this run (default: the newest)")
@common
def command(name: At, directory: Path | None, follow: bool, run: int | None) -> None:
    """Write plain text to standard output."""
    from realm.cli.ui import TerminalUI
    from realm.session.logs import logs, logs_of_turn
    from realm.session.screens import RunRequest

    not_both(name, run)
    if name.turn is None:
        logs(RunRequest(name.name, directory, run), _write, TerminalUI(), follow=follow)
        return
    if follow:
        raise CommandLineError(
            "a turn that is named has ended: there is nothing to follow", f"realm logs {name.name} --follow"
        )
    logs_of_turn(name, directory, _write)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
