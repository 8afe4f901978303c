"""``realm apply``: apply a session's changes to the work tree."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION_AT, common
from realm.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("apply quick-fix", "everything, as uncommitted changes"),
    ("apply quick-fix@2 -- src", "some paths, as they were when turn 2 ended"),
    ("apply quick-fix -p", "choose hunk by hunk, as with git add -p"),
)
NOTE = (
    "Merges three-way with your files as they are. If both sides changed the same lines, or a file "
    "that git ignores is in the way, nothing is changed; -p asks about everything but these lines. "
    "Your index and your branch stay as they are."
)


@verb("apply", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.argument("paths", nargs=-1, type=FILE)
@click.option("-p", "--patch", "pick", is_flag=True, help="choose hunk by hunk")
@common
def command(name: At, paths: tuple[str, ...], directory: Path | None, pick: bool) -> None:
    """Change the files and report how many."""
    from realm.cli.ui import TerminalUI
    from realm.session.integrate import apply

    if pick and not output.is_terminal(sys.stdin):
        raise CommandLineError("--patch asks questions and needs a terminal", "realm apply NAME -- PATHS")
    done = apply(name, directory, paths, TerminalUI(), pick=pick)
    lines = f"+{done.insertions} \N{MINUS SIGN}{done.deletions}"
    output.data(f"applied {name} to the work tree ({plural(done.files, 'file')}, {lines})")
