"""``realm verify``: check that a session is as realm wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common, json_option
from realm.errors import RealmError
from realm.text import clean, plural

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("verify quick-fix", "check its commits and its record"),
    ("verify quick-fix --json", "for scripts"),
)
NOTE = (
    "The exit code is 1 if something is wrong, or there is no such session. Anybody who can write to "
    "your repository can imitate realm's commits; with commit.gpgSign on, signatures prove more. Your "
    "own commits from resume --take are named, since realm did not write them."
)


@verb("verify", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@json_option
@common
def command(name: str, directory: Path | None, as_json: bool) -> None:
    """Write the problems, one a line; nothing if all is well."""
    from realm.session.verify import verify

    found = verify(name, directory)
    if as_json:
        output.json(
            {
                "session": found.name,
                "ok": not found.problems,
                "commits": found.commits,
                "runs": found.runs,
                "signed": found.signed,
                "problems": [
                    {"commit": one.commit or None, "what": clean(one.what)} for one in found.problems
                ],
                "notes": found.notes,
            }
        )
    else:
        for one in found.problems:
            output.data(clean(f"{one.commit[:10]} {one.what}" if one.commit else one.what))
        for note in found.notes:
            output.hint(note)
    if found.problems:
        raise RealmError(
            f"{name} is not as realm wrote it: {plural(len(found.problems), 'problem')}",
            f"git log refs/realm/{name} and git log refs/realm-meta/{name} show what is there",
        )
    if not as_json:
        signed = f", {found.signed} signed" if found.signed else ""
        output.data(
            f"{name}: {plural(found.commits, 'commit')} of {plural(found.runs, 'run')}{signed}: all is well"
        )
