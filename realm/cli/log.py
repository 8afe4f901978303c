"""``realm log``: the turns of a session, as a table and as JSON."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import SESSION_AT, common, json_option
from realm.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import At
    from realm.store.turns import Turn

EXAMPLES = (
    ("log quick-fix", "what was asked, turn by turn, newest first"),
    ("log quick-fix --reverse", "oldest first"),
    ("log quick-fix --json | jq '.[].prompt'", "for scripts"),
)
NOTE = (
    "Turns are numbered through all runs of a session: quick-fix@2 names the second one, for realm "
    "diff and others. A turn that changed nothing has a number too, and so does what a program without "
    "prompts did in a run. In a pipe the columns are separated by tabs, without a header, and times "
    "are in UTC."
)
_HEADER = ("TURN", "ENDED", "TOOK", "FILES", "PROMPT")
_PROMPT = 4


@verb("log", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.option("--reverse", is_flag=True, help="show the oldest turn first")
@json_option
@common
def command(name: At, directory: Path | None, reverse: bool, as_json: bool) -> None:
    """Show the turns as a table or as JSON."""
    from realm.session.review import commit_range, picked, turns

    whole = commit_range(name._replace(turn=None), directory)
    found = turns(whole)
    if name.turn is not None:
        found = found[: picked(whole, found, name.turn).number]
    if not reverse:
        found.reverse()
    if as_json:
        output.json([fields(turn) for turn in found])
    elif found:
        from realm.cli.pager import paged

        with paged(whole.project):
            output.table(_HEADER, [_cells(turn) for turn in found], elastic=[_PROMPT], end=[_PROMPT])
    else:
        from realm.session.find import further

        output.hint(f"no turns yet: {further(name.name, whole.id)}")


command.elsewhere = "git takes all of its options: git log HEAD..refs/realm/NAME"


def _cells(turn: Turn) -> list[Cell]:
    ended = output.iso(turn.ended) or ""
    if ended and turn.ended is not None and output.is_terminal(sys.stdout):
        ended = output.ago(turn.ended, time.time())
    return [
        Cell(f"@{turn.number}", "yellow"),
        Cell(ended),
        Cell(took(turn)),
        Cell(plural(turn.files, "file") if turn.files else "no changes"),
        Cell(turn.prompt),
    ]


def took(turn: Turn) -> str:
    """Return a turn's duration in words; empty when unknown."""
    return "" if turn.took is None else output.duration(turn.took)


def fields(turn: Turn) -> dict[str, object]:
    """Return ``turn`` for JSON."""
    return {
        "turn": turn.number,
        "run": turn.run,
        "prompt": turn.prompt,
        "ended": output.iso(turn.ended),
        "seconds": turn.took,
        "files": turn.files,
        "commits": [commit.oid for commit in turn.commits],
        "before": turn.before,
        "after": turn.after,
    }
