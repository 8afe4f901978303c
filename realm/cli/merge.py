"""``realm merge``: merge a session's work into the current branch, with the user's own git."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION_AT, common
from realm.errors import NoSuchSessionError

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import UI, At

EXAMPLES = (
    ("merge quick-fix", "into the checked-out branch"),
    ("merge quick-fix --squash -m 'Fix the rounding'", "as one commit"),
    ("merge quick-fix --remove", "and remove the session afterwards"),
)
NOTE = (
    "Your own git merges: hooks, signing and settings work as always, and so do git merge --abort and "
    "--continue after a conflict. If the session was started with --wip, its first commit is left out, "
    "since these changes are still in your work tree. The exit code is git's."
)


@verb("merge", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.option("--squash", is_flag=True, help="merge it as one commit")
@click.option(
    "-m", "--message", metavar="<text>", default="", help="message of the commit (default: the prompts)"
)
@click.option("--remove", "then", is_flag=True, help="remove the session once it is merged")
@common
def command(name: At, directory: Path | None, squash: bool, message: str, then: bool) -> int:
    """Merge, and offer to remove the session."""
    from realm.cli.ui import TerminalUI
    from realm.session.integrate import merge

    ui = TerminalUI()
    code, tip, way = merge(name, directory, ui, squash=squash, message=message)
    if way:
        output.hint(way)
    if code == 0 and name.turn is None:
        with suppress(NoSuchSessionError):  # removed or renamed meanwhile
            _offer(name.name, tip, directory, ui, then=then)
    return code


command.elsewhere = "git takes all of its options: git merge refs/realm/NAME"


def _offer(name: str, tip: str, directory: Path | None, ui: UI, *, then: bool) -> None:
    """Remove the session, whose commits up to ``tip`` are merged, where that is wanted; say how otherwise."""
    from realm.model import State
    from realm.session.find import locate, state
    from realm.session.remove import plan, remove

    busy = state(locate(name, directory).row) is not State.EXITED
    if busy or not (then or (ui.interactive and ui.confirm(f"Remove session {name}?"))):
        first = f"its agent still runs: realm stop {name}, then " if busy else ""
        output.hint(f"{first}realm remove {name} removes the session")
        return
    removal = plan(name, directory, ui)
    if removal.code != tip:
        output.hint(f"{name} has gone on meanwhile: realm merge {name} again")
        return
    remove(removal, ui)
    output.say(f"removed {name}; realm restore {name} brings it back")
