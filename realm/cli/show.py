"""``realm show``: show all that is known of a turn."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.log import fields, took
from realm.cli.params import SESSION_AT, common, json_option
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.session.requests import At
    from realm.session.review import ShownTurn

EXAMPLES = (
    ("show quick-fix", "the last turn: prompt, closing words, changes, screen"),
    ("show quick-fix@2", "turn 2, as realm log numbers them"),
)
NOTE = (
    "Tokens are everything that was sent and received in the turn, including what the model had read before. "
    "Notes are what the run said about its work, such as files that were left out; they stand with its last "
    "turn."
)


@verb("show", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@json_option
@common
def command(name: At, directory: Path | None, as_json: bool) -> None:
    """Show a turn, in the pager on a terminal."""
    from realm.cli.pager import paged
    from realm.session.review import show

    columns = output.columns() if output.is_terminal(sys.stdout) else 80
    shown = show(name, directory, columns, drawn=output.colored(sys.stdout) and not as_json)
    if as_json:
        output.json(_record(shown))
        return
    with paged(shown.whole.project):
        output.write("\n".join(_parts(shown)))


command.elsewhere = "git takes all of its options: git show refs/realm/NAME"


def _parts(shown: ShownTurn) -> Iterator[str]:
    turn, said = shown.turn, shown.said
    yield from _head(shown)
    prompt = clean(said.prompt if said else turn.prompt, multiline=True).strip()
    yield "".join(f"> {line}".rstrip() + "\n" for line in prompt.splitlines())
    answer = clean(said.answer, multiline=True).strip() if said else ""
    if answer:
        yield f"{answer}\n"
    if turn.commits:
        commits = (
            f"{output.paint(commit.oid[:10], 'yellow', sys.stdout)} {commit.subject}\n"
            for commit in turn.commits
        )
        yield "".join(commits) + f"{shown.stat}\n"
    elif not shown.below:
        yield "no changes\n"
    for one in shown.below:
        yield f"in {one.path}:\n" + "".join(f"{about}\n" for about in one.commits) + f"{one.stat}\n"
    if shown.notes:
        yield "".join(f"note: {clean(note)}\n" for note in shown.notes)
    if shown.screen is not None:
        yield _screen(shown)


def _head(shown: ShownTurn) -> Iterator[str]:
    turn, said = shown.turn, shown.said
    facts = [f"run {turn.run}"]
    if taken := took(turn):
        facts.append(f"took {taken}")
    if shown.exit_code is not None:
        facts.append(f"exit code {shown.exit_code}")
    title = output.paint(f"turn {turn.number} of {shown.whole.name}", "bold", sys.stdout)
    ended = spent = ""
    if turn.ended is not None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(turn.ended))
        ended = f"ended {moment} ({output.ago(turn.ended, time.time())})\n"
    if said and (said.tokens_in or said.tokens_out):
        cost = f", ${said.cost:.2f}" if said.cost else ""
        spent = f"tokens: {said.tokens_in:,} in, {said.tokens_out:,} out{cost}\n"
    yield f"{title}: {', '.join(facts)}\n{ended}{spent}"


def _screen(shown: ShownTurn) -> str:
    """Return the screen's text, in colour if output is coloured."""
    if not shown.drawn:
        return clean(shown.screen or b"", multiline=True).rstrip("\n") + "\n"
    from realm.terminal.render.drawing import Drawing

    return Drawing(shown.screen or b"").ansi()


def _record(shown: ShownTurn) -> dict[str, object]:
    said = shown.said
    return {
        **fields(shown.turn),
        "prompt": clean(said.prompt, multiline=True) if said else shown.turn.prompt,
        "answer": clean(said.answer, multiline=True) if said else None,
        "exit_code": shown.exit_code,
        "notes": [clean(note) for note in shown.notes],
        "tokens_in": said.tokens_in if said else None,
        "tokens_out": said.tokens_out if said else None,
        "cost": said.cost if said and said.cost else None,
        "screen": _screen(shown) if shown.screen else None,
        "submodules": [{"path": one.path, "commits": [*one.commits]} for one in shown.below],
    }
