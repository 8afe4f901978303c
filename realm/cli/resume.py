"""``realm resume``: continue a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from realm.cli.command import agent_verb
from realm.cli.params import AGENT_ARGUMENTS, DIRECTORY, REVISION, SESSION_AT, directory_option

if TYPE_CHECKING:
    from realm.session.requests import At

EXAMPLES = (
    ("resume quick-fix", "open the conversation where it ended"),
    ('resume quick-fix "now add tests"', "with a new prompt"),
    ("resume quick-fix@2", "go back to where turn 2 ended, and continue from there"),
    ("resume quick-fix --take my-fix", "first put your own commits on top of it"),
    ("resume quick-fix --rebase", "first put its commits on the project's HEAD"),
)
NOTE = (
    "A session of another project is found, too; with -C only that project is searched. Arguments from "
    "the first one that realm does not know go to the agent, except realm's own long options that "
    "Claude Code does not have (another agent gets those, too). Use -- to separate the agent's "
    "arguments explicitly. The exit code is the agent's; 125 means that realm itself failed."
)


@agent_verb("resume", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.argument("agent_args", nargs=-1, type=AGENT_ARGUMENTS)
@click.option("--rebase", is_flag=True, help="first replay the session's commits on the project's HEAD")
@click.option("--take", metavar="<rev>", type=REVISION, help="first put your own commits up to <rev> on top")
@click.option("--approve", is_flag=True,
              help="approve what a record from elsewhere asks for")  # fmt: skip
@click.option("--with", "neighbours", metavar="<dir>[:ro|:rw]", type=DIRECTORY, multiple=True,
              help="add another repository or directory; may be repeated")  # fmt: skip
@click.option("--image", metavar="<image>", help="use this image (default: that of the session)")
@click.option("--detach", is_flag=True, help="run in the background (see realm attach)")
@click.option("--no-record", is_flag=True, help="keep no recording of the terminal (see realm replay)")
@click.option("--no-input", is_flag=True, help="never ask, and give the agent no standard input")
@directory_option
def command(name: At, no_input: bool, **options: Any) -> int:
    """Continue the session and return the agent's exit code."""
    from realm.cli.ui import TerminalUI
    from realm.session.requests import ResumeRequest
    from realm.session.resume import resume

    request = ResumeRequest(name.name, turn=name.turn, no_input=no_input, **options)
    return resume(request, TerminalUI(no_input=no_input))
