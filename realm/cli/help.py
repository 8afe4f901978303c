"""``realm help``: explain a command."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from realm.cli import output
from realm.cli.app import load
from realm.cli.command import verb
from realm.cli.params import Completed, common
from realm.cli.verbs import SUMMARIES

TOPIC = Completed(
    "command",
    lambda _, begun: [
        CompletionItem(name, help=summary) for name, summary in SUMMARIES.items() if name.startswith(begun)
    ],
)
EXAMPLES = (("help", "list all commands"), ("help new", "explain one"))


@verb("help", EXAMPLES)
@click.argument("topic", required=False, metavar="command", type=TOPIC)
@common
@click.pass_context
def command(context: click.Context, /, topic: str | None, **_: object) -> None:
    """Show the help of ``topic``, or realm's own."""
    root = context.find_root()
    if topic is None:
        output.data(root.get_help())
        return
    explained = load(topic)
    output.data(explained.get_help(click.Context(explained, parent=root, info_name=topic)))
