"""``realm replay``: a run's recording, on the terminal or as an asciicast."""

from __future__ import annotations

import math
import signal
import sys
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION_AT, common, not_both

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At

EXAMPLES = (
    ("replay quick-fix --speed 4 --idle-limit 1", "watch the last run, without its pauses"),
    ("replay quick-fix@2", "turn 2 of it"),
    ("replay quick-fix --run 1 --cast run1.cast", "a file for asciinema"),
)
NOTE = (
    "The space bar pauses and resumes, q quits. A recording can only draw and colour; whatever it "
    "switched on is undone. A run in progress is played up to now. Only the newest part of a run is "
    "kept (realm.recordLimit), or none (realm.record)."
)


@verb("replay", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.option("--run", metavar="<n>", type=click.IntRange(min=1), help="play this run (default: the newest)")
@click.option(
    "--speed", metavar="<factor>", type=float, default=1.0, help="play this many times faster (default: 1)"
)
@click.option("--idle-limit", metavar="<seconds>", type=float, help="shorten longer pauses to this")
@click.option(
    "--cast",
    metavar="<file>",
    type=FILE,
    help="write an asciicast instead of playing (-: standard output)",
)
@common
def command(
    name: At,
    directory: Path | None,
    run: int | None,
    speed: float,
    idle_limit: float | None,
    cast: str | None,
) -> None:
    """Play it on a terminal, or write it to standard output."""
    from realm.cli.ui import TerminalUI
    from realm.session.screens import RunRequest, recording, recording_of_turn

    idle = math.inf if idle_limit is None else idle_limit
    if not (0 < speed < math.inf and idle >= 0):
        raise CommandLineError("--speed must be above 0, and --idle-limit 0 or more")
    not_both(name, run)
    ui = TerminalUI()
    if name.turn is None:
        found = recording(RunRequest(name.name, directory, run), ui)
    else:
        found = recording_of_turn(name, directory)
    if cast is not None:
        output.put(cast, found.cast())
    elif output.is_terminal(sys.stdout):
        if number := found.play(ui, speed=speed, idle_limit=idle):
            signal.raise_signal(number)  # end as that signal would have
    else:
        for text in found.text():
            output.write(text)
