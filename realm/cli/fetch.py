"""``realm fetch``: take a session that was shared by a remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import REMOTE, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (("fetch quick-fix", "what realm share put on origin"),)
NOTE = (
    "If the session is here already, it is updated, unless it has moved on here, too. Without its "
    "record the conversation starts afresh. What a record asks for (a program, an image, copies of "
    "ignored files) counts only once you have approved it: realm resume asks."
)


@verb("fetch", EXAMPLES, NOTE)
@click.argument("name")
@click.option(
    "--from", "remote", metavar="<remote>", type=REMOTE, help="a remote, URL or path (default: origin)"
)
@common
def command(name: str, remote: str | None, directory: Path | None) -> None:
    """Fetch it and report the result."""
    from realm.cli.ui import TerminalUI
    from realm.session.share import fetch

    done = fetch(name, directory, remote, TerminalUI())
    output.data(
        f"fetched {name} from {done.remote}" if done.changed else f"{name} is up to date with {done.remote}"
    )
    output.hint(f"realm resume {name} continues it")
