"""``realm try``: run a command on a session's work, and keep nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION_AT, common

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("try quick-fix -- npm test", "run the tests on its work, in a fresh container"),
    ("try quick-fix@2", "a shell on it as it was when turn 2 ended"),
    ("try quick-fix --host -- make run", "on this machine, in a temporary work tree"),
)
NOTE = (
    "The container has the session's included files, but no login, and is removed afterwards with "
    "everything that changed in it. --host runs what the agent wrote on this machine, as you: read it "
    "first. No hook and no filter runs when that work tree is made, and files that git ignores are "
    "there only if --include names them. The exit code is the command's; 125 means that realm itself "
    "failed."
)


@verb("try", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.argument("line", metavar="command", nargs=-1, type=FILE)
@click.option("--host", is_flag=True, help="run it on this machine, in a temporary work tree")
@click.option("--include", metavar="<path>", type=FILE, multiple=True,
              help="copy in an ignored file; may be repeated")  # fmt: skip
@click.option("--image", metavar="<image>", help="image of the container (default: the session's)")
@click.option("--no-input", is_flag=True, help="never ask, and give the command no standard input")
@common
def command(
    name: At, line: tuple[str, ...], directory: Path | None, host: bool, include: tuple[str, ...],
    image: str | None, no_input: bool,
) -> int:  # fmt: skip
    """Run it and return its exit code."""
    from realm.cli.ui import TerminalUI
    from realm.session.requests import TryRequest
    from realm.session.trying import attempt

    if host and image:
        raise CommandLineError("--host uses no container, so --image has no effect", "leave one of them out")
    request = TryRequest(name, directory, line, host, include, image, no_input)
    return attempt(request, TerminalUI(no_input=no_input))
