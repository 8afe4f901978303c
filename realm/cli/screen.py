"""``realm screen``: what a session's terminal shows, or showed last."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("screen quick-fix", "what it shows now, or showed last"),
    ("screen quick-fix --run 1 --svg run1.svg", "a picture for a README or an issue"),
)
NOTE = (
    "Text and colours only: nothing that a program wrote can do more to this terminal. --turn shows what was "
    "kept when the turn ended, or plays the recording up to there; a run that goes on has no turns yet."
)


@verb("screen", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option(
    "--run",
    metavar="<n>",
    type=click.IntRange(min=1),
    help="show this run (default: the newest)",
)
@click.option("--turn", metavar="<n>", type=click.IntRange(min=1), help="show the end of this turn")
@click.option("--ansi", is_flag=True, help="write it in colour, in a pipe too")
@click.option("--text", is_flag=True, help="write it without colour")
@click.option("--svg", metavar="<file>", type=FILE, help="write a picture; - is standard output")
@click.option("--html", metavar="<file>", type=FILE, help="write a page; - is standard output")
@common
def command(
    name: str, directory: Path | None, run: int | None, turn: int | None, ansi: bool, text: bool,
    svg: str | None, html: str | None,
) -> None:  # fmt: skip
    """Show the screen, or write it as a file."""
    from realm.cli.ui import TerminalUI
    from realm.session.screens import Asked, picture

    if (ansi, text, svg is not None, html is not None).count(True) > 1:
        raise CommandLineError("--ansi, --text, --svg and --html exclude each other", "give one of them")
    found = picture(Asked(name, directory, run), TerminalUI(), turn)
    if found.incomplete:
        output.warning(f"{found.title}: some of the output was not kept, parts of this screen may be missing")
    if svg is not None:
        output.put(svg, [found.svg()])
    elif html is not None:
        output.put(html, [found.html()])
    else:
        in_colour = ansi or (output.colored(sys.stdout) and not text)
        output.write(found.drawing.ansi() if in_colour else found.drawing.text())
