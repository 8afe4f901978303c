"""``realm doctor``: tell whether everything is there that realm needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.checks import awaited, record, show
from realm.cli.command import verb
from realm.cli.params import common, enter, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import Check

EXAMPLES = (
    ("doctor", "check git, engine, image, login, PATH and disk"),
    ("doctor --run", "and run a whole session with a small script as the agent"),
    ("doctor --terminal", "put the terminal right after something was killed in it"),
)
NOTE = "The exit code is 1 when a check failed. --json writes name, status (ok, warn, fail), detail and hint."


@verb("doctor", EXAMPLES, NOTE)
@click.option(
    "--run", "trial_wanted", is_flag=True, help="run one session on a throw-away repository as well"
)
@click.option("--terminal", "repair_wanted", is_flag=True, help="only put this terminal right after a crash")
@json_option
@common
def command(directory: Path | None, trial_wanted: bool, repair_wanted: bool, as_json: bool) -> int:
    """Show one line per check; with a trial, its steps follow."""
    from realm.cli.ui import TerminalUI
    from realm.session import doctor

    enter(directory)
    if repair_wanted:
        doctor.repair_terminal()
        return 0
    ui = TerminalUI()
    done: list[Check] = []
    for check in awaited(doctor.checks(), ui):
        done.append(check)
        if not as_json:
            show(check)
    failed = any(check.status == "fail" for check in done)
    if as_json:
        output.json([record(check) for check in done])
    if failed and trial_wanted:
        output.hint("the trial run waits until no check fails")
    return doctor.trial(ui) if trial_wanted and not failed else int(failed)
