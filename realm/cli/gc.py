"""``realm gc``: remove what killed commands left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (("gc", "remove leftovers in every project, and on the engine"),)
NOTE = (
    "Other commands do the same for what they come across. Work that is not in git is never touched: "
    "realm list says interrupted, and realm resume or realm stop saves it. Removed sessions are "
    "deleted for good after 30 days."
)


@verb("gc", EXAMPLES, NOTE)
@common
def command(directory: Path | None) -> None:
    """Remove it, and report what."""
    from realm.cli.ui import TerminalUI
    from realm.paths import current_directory
    from realm.session.gc import collect

    lines = collect(directory or current_directory(), TerminalUI())
    for line in lines:
        output.data(line)
    if not lines:
        output.hint("nothing is left over")
