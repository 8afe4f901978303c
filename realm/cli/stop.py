"""``realm stop``: end an agent from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli.command import verb
from realm.cli.params import SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (("stop quick-fix", "end the agent and save its work"),)
NOTE = (
    "The agent is interrupted, after 3 seconds told to terminate, and killed after 7 more. Its work is saved."
)


@verb("stop", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@common
def command(name: str, directory: Path | None) -> None:
    """Stop the agent and say what there is now."""
    from realm.cli.ui import TerminalUI
    from realm.session.stop import stop

    stop(name, directory, TerminalUI())
