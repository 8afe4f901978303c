"""``realm build``: build the image of the containers."""

from __future__ import annotations

from pathlib import Path

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common, enter
from realm.text import clean

EXAMPLES = (
    ("build", "build or bring up to date realm:latest"),
    ("build --claude-version 2.1.330", "with a certain Claude Code"),
    ("build --ca-file /etc/ssl/certs/ca-certificates.crt", "behind a proxy that inspects TLS"),
)
NOTE = "realm new builds the image by itself when it is missing or out of date."


@verb("build", EXAMPLES, NOTE)
@click.option("--claude-version", metavar="<version>", help="install this Claude Code (default: latest)")
@click.option("--base", metavar="<image>", help="build on this image (default: debian:bookworm-slim)")
@click.option("--ca-file", metavar="<file>", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="trust these certificate authorities, in the build and in containers")  # fmt: skip
@click.option("--no-cache", is_flag=True, help="build every step anew")
@common
def command(
    directory: Path | None, claude_version: str | None, base: str | None, ca_file: Path | None, no_cache: bool
) -> None:
    """Build, and print the image's id."""
    from realm.cli.ui import TerminalUI
    from realm.session.images import build

    authorities = ca_file.absolute() if ca_file is not None else None
    enter(directory)
    ui = TerminalUI()
    image = build(claude_version, base, authorities, no_cache, ui)
    ui.info("built realm:latest")
    output.data(clean(image))
