"""``realm attach``: connect the terminal to a running agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli.command import verb
from realm.cli.params import SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("attach quick-fix", "show the running agent in this terminal"),
    ("attach quick-fix --take", "take it over from another terminal"),
)
NOTE = (
    "One terminal at a time shows a session. Leave it with ctrl-p ctrl-q (realm.detachKeys) or by "
    "closing the window: the agent keeps running. The exit code is the agent's, or 0 if you left it "
    "running."
)


@verb("attach", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option("--take", is_flag=True, help="take the session over from the terminal that shows it")
@common
def command(name: str, directory: Path | None, take: bool) -> int:
    """Attach and return the agent's exit code."""
    from realm.cli.ui import TerminalUI
    from realm.session.attach import attach

    return attach(name, directory, TerminalUI(), take=take)
