"""``realm share``: push a session to a remote, for another machine or person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import REMOTE, SESSION, common
from realm.text import plural

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("share quick-fix", "its commits, as refs/realm/quick-fix on origin"),
    (
        "share quick-fix --with-conversation",
        "with its record, so that the conversation can continue elsewhere",
    ),
)
NOTE = (
    "On the other machine, realm fetch gets it and realm resume continues it. The agent's branches and "
    "stashes go along. The record has everything that was asked, answered and shown; without it only "
    "the commits are shared. What somebody else has shared meanwhile is never overwritten."
)


@verb("share", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option(
    "--to", "remote", metavar="<remote>", type=REMOTE, help="a remote, URL or path (default: origin)"
)
@click.option("--with-conversation", "conversation", is_flag=True, help="share the record, too")
@common
def command(name: str, remote: str | None, conversation: bool, directory: Path | None) -> None:
    """Share it and show the command that the other side needs."""
    from realm.cli.ui import TerminalUI
    from realm.session.share import share

    done = share(name, directory, remote, TerminalUI(), conversation=conversation)
    what = f"{name} and its record" if done.conversation else f"the commits of {name}"
    besides = f", with {plural(done.beside, 'ref')} that its agent left besides" if done.beside else ""
    output.data(
        f"shared {what} on {done.remote}{besides}" if done.changed else f"{done.remote} has {what} already"
    )
    output.hint(f"elsewhere: realm fetch {name}, then realm resume {name}")
