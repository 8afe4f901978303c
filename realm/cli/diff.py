"""``realm diff``: a session's changes, shown by the user's own git."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION_AT, common

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("diff quick-fix", "everything, against the commit that it started on"),
    ("diff quick-fix@2 --stat", "as it was when turn 2 ended, in short"),
    ("diff quick-fix --turn 3", "what turn 3 changed; --turn 2..4 for several"),
    ("diff quick-fix -- src", "some paths only"),
    ("diff quick-fix --risky", "only what is run or obeyed unasked: hooks, CI, settings, build files"),
)
NOTE = (
    "Your own git shows it, with your pager, colours and settings. Turns are numbered as in realm log. "
    "While the agent works, it shows the turns that have ended. The exit code is git's."
)
_TURNS = re.compile(r"([1-9][0-9]{0,8})(?:\.\.([1-9][0-9]{0,8}))?")


def _between(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    found = _TURNS.fullmatch(value)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last:
        hint = f"--turn {last}..{first}" if last else "--turn 2..4"
        raise CommandLineError(f"--turn is '{value}', neither a turn nor a range of turns", hint)
    return first, last


@verb("diff", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.argument("paths", nargs=-1, type=FILE)
@click.option(
    "--turn",
    "between",
    metavar="<n>",
    callback=_between,
    help="show what turn <n>, or turns <m>..<n>, changed",
)
@click.option("--stat", is_flag=True, help="show only which files changed, and how much")
@click.option("--risky", is_flag=True, help="show only files that programs run or obey unasked")
@click.option("--tool", is_flag=True, help="show it in your difftool")
@common
def command(
    name: At, paths: tuple[str, ...], directory: Path | None, between: tuple[int, int] | None,
    stat: bool, tool: bool, risky: bool,
) -> Any:  # fmt: skip
    """Let git show it."""
    from realm.session.review import diff

    if stat and tool:
        raise CommandLineError("--stat and --tool exclude each other", "give one of them")
    options = [] if tool else [*output.color_of_git(), *(["--stat"] if stat else [])]
    if risky and paths:
        raise CommandLineError("--risky chooses the paths itself", "leave them out, or leave --risky out")
    diff(name, directory, between=between, options=options, tool=tool, paths=paths, risky=risky)


command.elsewhere = "git takes all of its options: git diff HEAD...refs/realm/NAME"
