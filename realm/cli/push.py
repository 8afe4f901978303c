"""``realm push``: push a session's commits to a branch on a remote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import REMOTE, SESSION_OR_TURN, common, parted
from realm.cli.several import each, meant, sessions
from realm.errors import NothingToPushError
from realm.text import clean, plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.cli.several import Meant
    from realm.model import SessionRow
    from realm.session.requests import PushResult

EXAMPLES = (
    ("push quick-fix", "to the branch quick-fix on origin"),
    ("push quick-fix@2", "as it was when turn 2 ended"),
    ("push quick-fix --as fix/crash --squash", "to another branch, as one commit"),
    ("push quick-fix --all-branches", "with the agent's other branches"),
    ("push --all", "every session with commits that were not pushed yet"),
)
NOTE = (
    "Your own git pushes: credential helpers, ssh and hooks work as always. Local branches and the "
    "work tree are not touched. A branch that somebody else has moved since realm's last push is left "
    "alone unless --force is given."
)


@verb("push", EXAMPLES, NOTE)
@sessions("push every session with commits that were not pushed", SESSION_OR_TURN)
@click.option("--as", "branch", metavar="<branch>", help="push to this branch (default: the session's name)")
@click.option(
    "--to",
    "remote",
    metavar="<remote>",
    type=REMOTE,
    help="push to this remote, URL or path (default: origin)",
)
@click.option("--squash", is_flag=True, help="push everything as one commit")
@click.option(
    "-m", "--message", metavar="<text>", default="", help="message of that commit (default: the prompts)"
)
@click.option("--all-branches", is_flag=True, help="push the agent's other branches too, as <branch>-<name>")
@click.option("--force", is_flag=True, help="overwrite whatever the branch has")
@click.option("--yes", is_flag=True, help="do not ask about large files and the like")
@common
def command(
    names: tuple[str, ...], directory: Path | None, everyone: bool, all_branches: bool, **options: Any
) -> int:
    """Push and report where to."""
    from realm.cli.ui import TerminalUI
    from realm.session.push import push
    from realm.session.requests import PushRequest

    ui = TerminalUI()
    if options["message"] and not options["squash"]:
        raise CommandLineError("--message needs --squash, which makes one commit", "add --squash")
    found = meant(names, directory, everyone=everyone, among=_is_to_push)
    if len(found) > 1 and options["branch"]:
        raise CommandLineError("--as names the branch of one session", "name one session, or leave --as out")
    if not found:
        output.hint("nothing to push")

    def send(one: Meant) -> None:
        at = parted(one.name)
        request = PushRequest(at.name, one.directory, turn=at.turn, **options)
        beside = []
        if all_branches:
            from realm.session.push import push_beside

            beside = push_beside(request, ui)
        for result in beside:
            tell(at.name, result)
        try:
            tell(at.name, push(request, ui))
        except NothingToPushError:
            if not beside:
                raise

    return each(found, send)


def _is_to_push(row: SessionRow) -> bool:
    return row.summary.totals.files > 0 and not row.pushed_to


def tell(name: str, result: PushResult) -> None:
    """Report where a session was pushed to, and the server's messages."""
    output.data(clean(_summary(name, result)))
    for line in result.lines:
        output.data(clean(line))


def _summary(name: str, result: PushResult) -> str:
    named = not {"/", ":"} & set(result.remote)
    target = f"{result.remote}/{result.branch}" if named else f"{result.branch} at {result.remote}"
    if result.up_to_date:
        return f"{target} has all of {name} already"
    return f"pushed {name} → {target} ({plural(result.commits, 'commit')})"
