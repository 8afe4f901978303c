"""``realm build``: build the image of the containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import FILE, common, enter
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("build", "build or update realm:latest"),
    ("build --claude-version 2.1.330", "with a particular version of Claude Code"),
    ("build --ca-file company.pem", "behind a proxy that inspects TLS"),
)
NOTE = (
    "realm new builds the image by itself if it is missing or out of date. A newer Claude Code does "
    "not make it out of date: --no-cache gets the latest one."
)


@verb("build", EXAMPLES, NOTE)
@click.option(
    "--claude-version", metavar="<version>", help="install this version of Claude Code (default: latest)"
)
@click.option("--base", metavar="<image>", help="build on this base image (default: debian:bookworm-slim)")
@click.option("--ca-file", metavar="<file>", type=FILE,
              help="trust these certificate authorities, in the build and in containers")  # fmt: skip
@click.option("--slim", is_flag=True, help="leave out compilers and languages (python, node, make)")
@click.option("--no-cache", is_flag=True, help="repeat every step of the build")
@common
def command(
    directory: Path | None, claude_version: str | None, base: str | None, ca_file: str | None, slim: bool,
    no_cache: bool,
) -> None:  # fmt: skip
    """Build, and print the image's id."""
    from realm.cli.ui import TerminalUI
    from realm.config import CA_FILE
    from realm.session.images import build

    authorities = CA_FILE.read(ca_file or "", "--ca-file")
    authorities = authorities.absolute() if authorities is not None else None
    enter(directory)
    ui = TerminalUI()
    image = build(claude_version, base, authorities, slim, no_cache, ui)
    ui.info("built realm:latest")
    output.data(clean(image))
