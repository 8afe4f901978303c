"""``realm doctor``: checks whether everything that realm needs is there."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common, enter, json_option
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from realm.session.requests import UI, Check

EXAMPLES = (
    ("doctor", "check git, engine, image, login, PATH and disk"),
    ("doctor --run", "also run a whole session, with a small script as the agent"),
    ("doctor --terminal", "repair a terminal in which something was killed"),
)
NOTE = "The exit code is 1 if a check failed."

_STYLES = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}
_STATUS = 6
_NAME = 10
_HINT = 6
"""Widths of the first two columns, and of the word before a hint."""
_READABLE = 30
"""Text is never wrapped to fewer columns than this."""


@verb("doctor", EXAMPLES, NOTE)
@click.option("--run", "trial_wanted", is_flag=True, help="also run a session on a throw-away repository")
@click.option("--terminal", "repair_wanted", is_flag=True, help="only repair this terminal after a crash")
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
    for check in _awaited(doctor.checks(), ui):
        done.append(check)
        if not as_json:
            _show(check)
    failed = any(check.status == "fail" for check in done)
    if as_json:
        output.json([{key: clean(value) for key, value in check._asdict().items()} for check in done])
    if failed and trial_wanted:
        output.hint("the trial run is skipped until all checks pass")
    return doctor.trial(ui) if trial_wanted and not failed else int(failed)


def _awaited(checks: Iterable[Check], ui: UI) -> Iterator[Check]:
    """Yield ``checks`` as they finish, with a spinner while one takes long."""
    rest = iter(checks)
    while True:
        with ui.progress("checking"):
            check = next(rest, None)
        if check is None:
            return
        yield check


def _show(check: Check) -> None:
    """Write one check and its hint below; on a terminal, text is wrapped within its column."""
    status = output.paint(check.status, _STYLES[check.status], sys.stdout) + " " * (
        _STATUS - len(check.status)
    )
    first, *rest = _lines(check.detail, _STATUS + _NAME)
    output.data(f"{status}{clean(check.name):<{_NAME}}{first}")
    for line in rest:
        output.data(f"{'':{_STATUS + _NAME}}{line}")
    if check.hint:
        first, *rest = _lines(check.hint, _STATUS + _NAME + _HINT)
        output.data(f"{'':{_STATUS + _NAME}}{output.paint('hint:', 'cyan', sys.stdout)} {first}")
        for line in rest:
            output.data(f"{'':{_STATUS + _NAME + _HINT}}{line}")
    if sys.stdout is not None:
        sys.stdout.flush()


def _lines(text: str, indent: int) -> list[str]:
    """Return ``text`` in lines that fit the terminal when indented by ``indent`` columns.

    One line in a pipe.
    """
    text = clean(text)
    if not output.is_terminal(sys.stdout):
        return [text]
    room = max(output.columns() - indent, _READABLE)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
