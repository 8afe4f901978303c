"""``realm remove``: remove sessions, with a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import common
from realm.cli.several import each, meant, sessions
from realm.errors import RealmError
from realm.model import State
from realm.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.cli.several import Meant
    from realm.session.requests import UI, Removal

EXAMPLES = (
    ("remove quick-fix", "asks if no branch has its work"),
    ("remove one two --yes", "does not ask"),
    ("remove --merged", "those whose work is in the checked-out branch or the main one"),
)
NOTE = (
    "What the last run left in its container is saved first. The commits stay in the repository for 30 "
    "days; until then realm restore brings them back. --force also removes a session whose container "
    "holds work that cannot be saved: that work is lost for good."
)


@verb("remove", EXAMPLES, NOTE)
@sessions("remove every session whose agent is not running")
@click.option("--merged", is_flag=True, help="remove those that are merged")
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--force", is_flag=True, help="give up work that cannot be saved")
@common
def command(
    names: tuple[str, ...], directory: Path | None, everyone: bool, merged: bool, yes: bool, force: bool
) -> int:
    """Ask if work would be lost, remove, and print the way back."""
    from realm.cli.ui import TerminalUI

    ui = TerminalUI()
    if merged and (names or everyone):
        raise CommandLineError("--merged already means every merged session", "leave out the names and --all")
    found = meant(
        names, directory, everyone=everyone or merged,
        among=lambda row: row.state is not State.RUNNING and bool(row.merged_into or not merged),
    )  # fmt: skip
    if not found:
        output.hint(f"no session to remove{_busy(directory, merged=merged)}")
    return each(found, lambda one: _remove(one, ui, yes=yes, merged=merged, force=force))


def _busy(directory: Path | None, *, merged: bool) -> str:
    """Return whose agents keep them from being removed, as the end of a sentence."""
    rows = meant(
        (), directory, everyone=True,
        among=lambda row: row.state is State.RUNNING and bool(row.merged_into or not merged),
    )  # fmt: skip
    names = [row.name for row in rows]
    return f": realm stop {' '.join(names)} ends what still runs" if names else ""


def _remove(one: Meant, ui: UI, *, yes: bool, merged: bool, force: bool) -> None:
    from realm.session.remove import plan, remove

    removal = plan(one.name, one.directory, ui, force=force)
    if removal.inside and merged:
        raise RealmError(
            f"{removal.name} is merged, but {plural(removal.inside, 'commit')} of it in submodules or "
            "beside the project is nowhere else",
            f"realm remove {removal.name} removes it anyway",
        )
    if removal.unpushed and not (yes or merged):
        _ask(removal, ui)
    removal = remove(removal, ui)
    output.ids(f"removed {removal.name}", {"code": removal.code, "record": removal.meta})
    output.hint(f"realm restore {removal.name} brings it back")


def _ask(removal: Removal, ui: UI) -> None:
    sentence = f"session {removal.name} has {plural(removal.unpushed, 'commit')} found nowhere else"
    if not ui.interactive:
        raise RealmError(sentence, f"realm remove {removal.name} --yes removes it anyway")
    if not ui.confirm(f"{sentence}. Remove it?"):
        raise RealmError(f"session {removal.name} was not removed")
