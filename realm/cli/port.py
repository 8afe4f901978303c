"""``realm port``: forward a local port to a server in an agent's container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common

if TYPE_CHECKING:
    from pathlib import Path

_PORT = click.IntRange(1, 65535)
EXAMPLES = (
    ("port quick-fix 3000", "its port 3000, at 127.0.0.1:3000 of this machine"),
    ("port quick-fix 80 --at 8080", "at another port of this machine"),
)
NOTE = (
    "Listens until Ctrl-C, or until the agent ends, for this machine only. The container's network "
    "stays as closed as it is: each connection goes through the engine. What answers was written by "
    "the agent."
)


@verb("port", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.argument("port", type=_PORT)
@click.option("--at", "local", metavar="<port>", type=click.IntRange(0, 65535),
              help="port on this machine; 0: any free one (default: the same)")  # fmt: skip
@common
def command(name: str, port: int, directory: Path | None, local: int | None) -> None:
    """Forward connections until the container ends."""
    from realm.cli.ui import TerminalUI
    from realm.session.port import Door

    with Door(name, directory, port, port if local is None else local, TerminalUI()) as door:
        output.data(f"http://127.0.0.1:{door.local}")
        output.flush()
        output.say(f"port {port} of {name}, until Ctrl-C")
        door.serve()
