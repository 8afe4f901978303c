"""``realm wait``: wait until agents have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common
from realm.cli.several import meant, sessions
from realm.model import State

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("wait quick-fix && realm push quick-fix", "push once it has ended well"),
    ("wait --all", "until every agent of this project has ended"),
    ("wait one two --any", "until the first of them has"),
)
NOTE = (
    "An agent has ended when its work is in git; one at its prompt has not. The exit code is 0 if all "
    "ended with 0, otherwise that of the first that did not; with --any it is that of the first that "
    "ended. 125 means that realm itself failed, for example because a run was cut off."
)


@verb("wait", EXAMPLES, NOTE)
@sessions("wait for every running agent")
@click.option("--any", "first", is_flag=True, help="return when the first has ended")
@common
def command(names: tuple[str, ...], directory: Path | None, everyone: bool, first: bool) -> int:
    """Wait and return the exit code."""
    from realm.cli.ui import TerminalUI
    from realm.session.wait import wait

    found = meant(names, directory, everyone=everyone, among=lambda row: row.state is State.RUNNING)
    if not found:
        output.hint("no agent is running")
    return wait(found, TerminalUI(), first=first)
