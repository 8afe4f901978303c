"""``realm init``: suggest settings for a project by its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common, here

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("init", "show what the project's containers need, and ask"),
    ("init --yes", "write the settings without asking"),
)
NOTE = (
    "Looks at pyproject.toml and what else Python has, package.json, go.mod, Cargo.toml, pom.xml, "
    "build.gradle, Gemfile, .tool-versions, .nvmrc and devcontainer.json, and writes realm.packages, "
    "realm.setup, realm.image, realm.cachePath and realm.dockerArgs to the project's git "
    "configuration, unless they are already set. It runs nothing before you say yes, and then only "
    "@devcontainers/cli for the features of a devcontainer.json. These and its command come from the "
    "project: read them."
)


@verb("init", EXAMPLES, NOTE)
@click.option("--yes", is_flag=True, help="do not ask")
@common
def command(directory: Path | None, yes: bool) -> None:
    """Show the commands that make the settings, and run them when the user agrees."""
    from realm.cli.ui import TerminalUI
    from realm.session import init

    place = here(directory)
    planned = init.plan(place)
    for note in planned.notes:
        output.say(note)
    for line in planned.lines:
        output.data(line.command)
    if not planned.lines:
        output.hint("there is nothing to set; git config realm.setup COMMAND prepares a project")
        return
    ui = TerminalUI()
    if not yes and not ui.confirm("Set this?"):
        output.hint("nothing was written; realm init --yes writes it")
        return
    init.write(place, planned, ui)
    output.hint("realm new NAME uses it; the first start takes longer")
