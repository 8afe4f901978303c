"""How a session looks in ``realm list``: as cells of a table, and as JSON.

The JSON of a session: ``name``, ``project`` (path), ``created`` and ``started``
(ISO-8601, UTC; ``started`` is the last run's), ``state``
(``running``, ``exited``, ``salvage``), ``turns``, ``files``, ``insertions``,
``deletions``, ``runs`` (numbers), ``ref``, ``base``, ``tip`` (commit ids),
``id``.  Keys are only ever added.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from realm.cli import output
from realm.cli.output import Cell
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import SessionRow, Totals

HEADER = ("NAME", "PROJECT", "CREATED", "STATE", "CHANGES")
PROJECT_COLUMN = 1
_STYLES = {"running": "green", "salvage": "bold yellow", "exited": ""}


def cells(row: SessionRow) -> list[Cell]:
    """Return the cells of ``row``, short for eyes, exact for a pipe."""
    terminal = output.is_terminal(sys.stdout)
    created = _created(row) or ""
    if terminal:
        created = output.ago(row.created, time.time()) if created else "unknown"
    return [
        Cell(row.name, "bold"),
        Cell(_home(row.project) if terminal else str(row.project)),
        Cell(created),
        Cell(row.state.value, _STYLES[row.state.value]),
        Cell(changes(row.totals)),
    ]


def _created(row: SessionRow) -> str | None:
    """Return when the session was made; ``None`` when its record does not tell."""
    return output.iso(row.created) if row.created > 0 else None


def _home(project: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    text = str(project)
    return f"~{text[len(home) :]}" if text.startswith(f"{home}/") and home != "/" else text


def changes(totals: Totals) -> str:
    """Return the size of a session's work in words, turns, files, lines added and removed."""
    counts = ((totals.turns, "turn"), (totals.files, "file"))
    parts = [_many(number, what) for number, what in counts if number]
    if totals.files:
        parts.append(f"+{totals.insertions} \N{MINUS SIGN}{totals.deletions}")
    return ", ".join(parts) or "no changes"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def record(row: SessionRow) -> dict[str, str | int | None]:
    """Return ``row`` as JSON has it."""
    return {
        "name": clean(row.name),
        "project": clean(str(row.project)),
        "created": _created(row),
        "started": output.iso(row.started),
        "state": row.state.value,
        "turns": row.totals.turns,
        "files": row.totals.files,
        "insertions": row.totals.insertions,
        "deletions": row.totals.deletions,
        "runs": row.runs,
        "ref": f"refs/realm/{clean(row.name)}",
        "base": clean(row.base),
        "tip": clean(row.tip),
        "id": clean(row.id),
    }
