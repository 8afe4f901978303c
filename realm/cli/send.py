"""``realm send``: send a prompt or an answer to a running agent."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from realm.cli.boundary import CommandLineError
from realm.cli.command import verb
from realm.cli.params import FILE, SESSION, common
from realm.errors import RealmError
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS = re.compile("[1-9][0-9]?(,[1-9][0-9]?)*")
EXAMPLES = (
    ('send quick-fix "now the docs"', "the next prompt"),
    ("send quick-fix - < task.md", "from standard input"),
    ("send quick-fix --answer 2", "the second answer to its question"),
    ("send quick-fix --answer 1 --answer 2,3", "two questions, the second with two answers"),
)
NOTE = (
    "The prompt is pasted and submitted when the agent is at its own, empty prompt; if it is working, "
    "the prompt is queued until then. A question is answered only with --answer, once for each "
    "question if there are several, in order; 1,3 chooses two options of a question that takes "
    "several. Nothing is added to a prompt that somebody has begun to write. This works for Claude "
    "Code at its screen."
)


def _numbers(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[list[int]]:
    """Return the option numbers of each answer: ``2``, or ``1,3`` where several may be picked."""
    for value in values:
        if not _NUMBERS.fullmatch(value):
            raise CommandLineError(
                f"--answer is '{value}', not the number of an answer", "--answer 2, or --answer 1,3"
            )
    return [[int(number) for number in value.split(",")] for value in values]


@verb("send", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.argument("words", metavar="text", nargs=-1, type=FILE)
@click.option(
    "--answer",
    metavar="<n>",
    multiple=True,
    callback=_numbers,
    help="answer the agent's question; one per question",
)
@common
def command(name: str, words: tuple[str, ...], directory: Path | None, answer: list[list[int]]) -> None:
    """Send it, and return once the agent has it."""
    from realm.cli.ui import TerminalUI
    from realm.session import send

    if answer:
        if words:
            raise CommandLineError("--answer takes no text with it", "leave one of them out")
        send.choose(name, directory, answer, TerminalUI())
        return
    send.send(name, directory, _text(words), TerminalUI())


def _text(words: tuple[str, ...]) -> str:
    """Return the prompt, cleaned; raises :class:`CommandLineError` for none, or one that is too long."""
    from realm.session.prompts import LIMIT

    given = " ".join(words)
    if words == ("-",):
        try:
            given = sys.stdin.buffer.read(4 * LIMIT + 1).decode("utf-8", "replace") if sys.stdin else ""
        except OSError as error:
            raise RealmError(f"standard input cannot be read: {error.strerror or error}") from None
    text = clean(given, multiline=True, joined=True).strip()
    if not text:
        raise CommandLineError(
            "there is no text to send", 'realm send NAME "what to do", or - for standard input'
        )
    if len(text) > LIMIT:
        raise CommandLineError(
            f"the text has more than {LIMIT} characters", "put it into a file of the project"
        )
    return text
