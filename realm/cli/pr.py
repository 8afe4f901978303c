"""``realm pr``: open a pull or merge request for a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import REMOTE, SESSION_AT, common
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("pr quick-fix", "push it and open a request"),
    ("pr quick-fix@2", "as it was when turn 2 ended"),
    ("pr quick-fix --draft --base release", "a draft, into the branch release"),
)
NOTE = (
    "Pushes as realm push does. Then gh (GitHub) or glab (GitLab) opens the request if it is "
    "installed, with title and text from the session's prompts. Otherwise it prints the link where you "
    "can open one."
)


@verb("pr", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.option("--draft", is_flag=True, help="make a draft")
@click.option("--base", metavar="<branch>", default="", help="merge into this branch (default: the forge's)")
@click.option("--as", "branch", metavar="<branch>", help="push to this branch (default: the session's name)")
@click.option("--to", "remote", metavar="<remote>", type=REMOTE, help="push to this remote (default: origin)")
@click.option("--squash", is_flag=True, help="push everything as one commit")
@click.option("--force", is_flag=True, help="overwrite whatever the branch has")
@click.option("--yes", is_flag=True, help="do not ask about large files and the like")
@common
def command(
    name: At, directory: Path | None, branch: str | None, remote: str | None, base: str,
    draft: bool, squash: bool, force: bool, yes: bool,
) -> None:  # fmt: skip
    """Push, open the request and print its address."""
    from realm.cli.push import tell
    from realm.cli.ui import TerminalUI
    from realm.session.pr import make
    from realm.session.requests import PushRequest

    asked = PushRequest(
        name.name, directory, branch, remote, squash=squash, turn=name.turn, force=force, yes=yes
    )
    made = make(asked, TerminalUI(), base=base, draft=draft)
    tell(name.name, made.pushed)
    if not made.by_hand:
        output.data(clean(made.url))
    elif made.url:
        output.data(clean(made.url))
        output.hint("visit that address to open the request; with gh or glab installed, realm does it")
    else:
        output.hint("realm knows no address for requests on that remote: open it there by hand")
