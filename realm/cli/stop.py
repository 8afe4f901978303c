"""``realm stop``: stop running agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common
from realm.cli.several import each, meant, sessions
from realm.model import State

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("stop quick-fix", "stop the agent and save its work"),
    ("stop --all", "every running agent of this project"),
)
NOTE = (
    "The agent is interrupted, told to terminate after 3 seconds, and killed after 7 more. Its work is saved."
)


@verb("stop", EXAMPLES, NOTE)
@sessions("stop every running agent, and save the work of interrupted runs")
@common
def command(names: tuple[str, ...], directory: Path | None, everyone: bool) -> int:
    """Stop the agents and report the result."""
    from realm.cli.ui import TerminalUI
    from realm.session.stop import stop

    found = meant(names, directory, everyone=everyone, among=lambda row: row.state is not State.EXITED)
    if not found:
        output.hint("no agent is running")
    ui = TerminalUI()
    return each(found, lambda one: stop(one.name, one.directory, ui))
