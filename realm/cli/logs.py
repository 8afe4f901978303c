"""``realm logs``: what an agent printed, as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from realm.cli.command import verb
from realm.cli.params import SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("logs quick-fix", "what the agent printed so far"),
    ("logs quick-fix -f", "and what it prints until it ends"),
)
NOTE = "A full-screen program prints pictures rather than lines: realm screen shows them better."


@verb("logs", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option("-f", "--follow", is_flag=True, help="go on until the agent ends")
@common
def command(name: str, directory: Path | None, follow: bool) -> None:
    """Write plain text to standard output."""
    from realm.session.logs import logs

    logs(name, directory, _write, follow=follow)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
