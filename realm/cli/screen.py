"""``realm screen``: what a session's terminal shows, or showed last."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION_OR_TURN, common, not_both, parted
from realm.cli.several import each, meant, sessions
from realm.errors import NothingShownError
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.cli.several import Meant
    from realm.session.screens import RunRequest

EXAMPLES = (
    ("screen quick-fix", "what it shows now, or showed last"),
    ("screen --all", "every session's screen, each below its name"),
    ("screen quick-fix@2", "what it showed when turn 2 ended"),
    ("screen quick-fix --run 1 --svg run1.svg", "a picture for a README or an issue"),
)
NOTE = (
    "Only text and colours are shown: nothing that a program wrote can do more to this terminal. "
    "--turn shows what was kept when the turn ended, or plays the recording up to there."
)


@verb("screen", EXAMPLES, NOTE)
@sessions("show the screen of every session that has one", SESSION_OR_TURN)
@click.option(
    "--run",
    metavar="<n>",
    type=click.IntRange(min=1),
    help="show this run (default: the newest)",
)
@click.option(
    "--turn", metavar="<n>", type=click.IntRange(min=1), help="show the screen at the end of this turn"
)
@click.option("--ansi", is_flag=True, help="write in colour, in a pipe too")
@click.option("--text", is_flag=True, help="write without colour")
@click.option("--svg", metavar="<file>", type=FILE, help="write a picture (-: standard output)")
@click.option("--html", metavar="<file>", type=FILE, help="write a web page (-: standard output)")
@common
def command(
    names: tuple[str, ...], directory: Path | None, everyone: bool, run: int | None, turn: int | None,
    ansi: bool, text: bool, svg: str | None, html: str | None,
) -> int:  # fmt: skip
    """Show the screens, or write one as a file."""
    from realm.cli.ui import TerminalUI
    from realm.session.screens import picture

    if (ansi, text, svg is not None, html is not None).count(True) > 1:
        raise CommandLineError("--ansi, --text, --svg and --html exclude each other", "give one of them")
    found = meant(names, directory, everyone=everyone, among=lambda row: row.summary.runs > 0)
    if len(found) != 1 and (svg is not None or html is not None):
        raise CommandLineError("a file holds one screen", "name one session")
    ui = TerminalUI()

    def show(one: Meant) -> None:
        asked, at = _asked(one, run, turn)
        try:
            shown = picture(asked, ui, at)
        except NothingShownError:
            if not everyone:
                raise
            return
        if shown.incomplete:
            output.warning(
                f"{shown.title}: some of the output was not kept, parts of this screen may be missing"
            )
        if svg is not None:
            output.put(svg, [shown.svg()])
        elif html is not None:
            output.put(html, [shown.html()])
        else:
            if len(found) > 1:
                output.data(output.paint(f"== {clean(shown.title)} ==", "bold", sys.stdout))
            in_colour = ansi or (output.colored(sys.stdout) and not text)
            output.write(shown.drawing.ansi() if in_colour else shown.drawing.text())

    return each(found, show)


def _asked(one: Meant, run: int | None, turn: int | None) -> tuple[RunRequest, int | None]:
    """Return the requested run, and the turn in it, given by ``name@2`` or by the options."""
    from realm.session.review import find_turn
    from realm.session.screens import RunRequest

    at = parted(one.name)
    if at.turn is None:
        return RunRequest(one.name, one.directory, run), turn
    not_both(at, run, turn)
    found = find_turn(at, one.directory)
    return RunRequest(at.name, one.directory, found.run), found.turn or None
