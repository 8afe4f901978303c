"""``realm resume``: go on with a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from realm.cli.command import agent_verb
from realm.cli.params import AGENT_ARGUMENTS, DIRECTORY, REVISION, SESSION_AT, directory_option

if TYPE_CHECKING:
    from realm.session.requests import At

EXAMPLES = (
    ("resume quick-fix", "open the conversation where it ended"),
    ('resume quick-fix "now add tests"', "and ask for something"),
    ("resume quick-fix@2", "go back to where turn 2 ended, as realm rewind does, and on from there"),
    ("resume quick-fix --take my-fix", "put your own commits on top of it first"),
    ("resume quick-fix --rebase", "put its commits onto the project's HEAD first"),
)
NOTE = (
    "A session of another project is found too; with -C only that project is searched. "
    "What realm does not know goes to the agent, and so does everything behind it but realm's own long "
    "options that Claude Code does not have; a program given with --agent gets these too. Use -- to separate "
    "the agent's arguments explicitly. "
    "The exit code is the agent's; 125 means that realm itself failed."
)


@agent_verb("resume", EXAMPLES, NOTE)
@click.argument("name", type=SESSION_AT)
@click.argument("agent_args", nargs=-1, type=AGENT_ARGUMENTS)
@click.option("--rebase", is_flag=True, help="replay the session's commits on the project's HEAD first")
@click.option("--take", metavar="<rev>", type=REVISION, help="put your own commits up to <rev> on top first")
@click.option("--approve", is_flag=True,
              help="let a record from elsewhere choose program, image, files and directories")  # fmt: skip
@click.option("--with", "neighbours", metavar="<dir>[:ro|:rw]", type=DIRECTORY, multiple=True,
              help="another directory or repository beside the project; may be repeated")  # fmt: skip
@click.option("--image", metavar="<image>", help="image of the container (default: realm:latest)")
@click.option("--detach", is_flag=True, help="run in the background (see realm attach)")
@click.option("--no-record", is_flag=True, help="keep no recording of the terminal (see realm replay)")
@click.option("--no-input", is_flag=True, help="never ask, and give the agent no standard input")
@directory_option
def command(name: At, no_input: bool, **options: Any) -> int:
    """Hand the request to the session room and return the agent's exit code."""
    from realm.cli.ui import TerminalUI
    from realm.session.requests import ResumeRequest
    from realm.session.resume import resume

    request = ResumeRequest(name.name, turn=name.turn, no_input=no_input, **options)
    return resume(request, TerminalUI(no_input=no_input))
