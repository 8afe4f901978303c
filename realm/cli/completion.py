"""``realm completion``: the script that makes a shell complete realm's command lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common

if TYPE_CHECKING:
    from collections.abc import Mapping

SHELLS: Mapping[str, str] = {"bash": "realm.bash", "zsh": "realm.zsh", "fish": "realm.fish"}
EXAMPLES = (
    ("completion bash > ~/.local/share/bash-completion/completions/realm", "bash"),
    ("completion zsh > ~/.zfunc/_realm", "zsh, with ~/.zfunc in fpath"),
    ("completion fish > ~/.config/fish/completions/realm.fish", "fish"),
)
NOTE = "The same script under the name git-realm (zsh: _git-realm) completes git realm as well."


def script(shell: str) -> str:
    """Return the completion script for ``shell``, a key of :data:`SHELLS`."""
    return (Path(__file__).parent / "completions" / SHELLS[shell]).read_text(encoding="utf-8")


@verb("completion", EXAMPLES, NOTE)
@click.argument("shell", type=click.Choice(list(SHELLS)), metavar="shell")
@common
def command(shell: str, **_: object) -> None:
    """Print the script."""
    output.data(script(shell).rstrip("\n"))
