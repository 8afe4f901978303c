"""``realm remove``: take a session away, with a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common
from realm.errors import RealmError
from realm.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import UI, Removal

EXAMPLES = (
    ("remove quick-fix", "asks when work would be lost from sight"),
    ("remove quick-fix --yes", "does not ask"),
)
NOTE = (
    "What the last run left in its container is saved first. The commits stay in the repository for 30 days: "
    "until then realm restore brings them back. --force removes a session whose container holds work that "
    "cannot be saved: that work is lost for good."
)


@verb("remove", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--force", is_flag=True, help="give up work that cannot be saved")
@common
def command(name: str, directory: Path | None, yes: bool, force: bool) -> None:
    """Ask where work would go, remove, and print the way back."""
    from realm.cli.ui import TerminalUI
    from realm.session.remove import plan, remove

    ui = TerminalUI()
    removal = plan(name, directory, ui, force=force)
    if removal.unpushed and not yes:
        _ask(removal, ui)
    remove(removal, ui)
    output.ids(f"removed {removal.name}", {"code": removal.code, "record": removal.meta})
    output.hint(f"realm restore {removal.name} brings it back")


def _ask(removal: Removal, ui: UI) -> None:
    sentence = f"session {removal.name} has {plural(removal.unpushed, 'commit')} that nobody else has"
    if not ui.interactive:
        raise RealmError(sentence, f"realm remove {removal.name} --yes removes it all the same")
    if not ui.confirm(f"{sentence}. Remove it?"):
        raise RealmError(f"session {removal.name} was not removed")
