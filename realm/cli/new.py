"""``realm new``: start a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from realm.cli.command import agent_verb
from realm.cli.params import AGENT_ARGUMENTS, DIRECTORY, FILE, REVISION, directory_option, here
from realm.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("new quick-fix", "open Claude Code on this project"),
    ('new quick-fix "explain this codebase"', "begin with a prompt"),
    ("new docs ~/src/site --base v2.1", "another project, from an older commit"),
    ('new lint -- -p "fix the warnings"', "without a screen: answer and exit"),
    ('new tax --count 3 "raise the rate"', "three attempts in the background: tax-1, tax-2, tax-3"),
    ("new api --with ../lib", "with another repository, whose changes come back, too"),
    ("new fix --each tasks.txt", "one session per line of the file, in the background"),
)
NOTE = (
    "Arguments from the first one that realm does not know go to the agent, except realm's own long "
    "options that Claude Code does not have (a program given with --agent gets those, too). Use -- to "
    "separate the agent's arguments explicitly. The exit code is the agent's; 125 means that realm "
    "itself failed."
)


@agent_verb("new", EXAMPLES, NOTE, project=True)
@click.argument("name")
@click.argument("agent_args", nargs=-1, type=AGENT_ARGUMENTS)
@click.option("--base", metavar="<rev>", type=REVISION, help="start on this commit (default: HEAD)")
@click.option("--remote", is_flag=True, help="start on the remote's branch of the same name")
@click.option("--wip", is_flag=True, help="include uncommitted changes as a first commit")
@click.option("--include", metavar="<path>", type=FILE, multiple=True,
              help="copy in an ignored file (.env.test); may be repeated")  # fmt: skip
@click.option("--with", "neighbours", metavar="<dir>[:ro|:rw]", type=DIRECTORY, multiple=True,
              help="add another repository or directory; may be repeated")  # fmt: skip
@click.option("--image", metavar="<image>", help="use this image (default: realm:latest)")
@click.option("--agent", metavar="<cmd>", help="run this program instead of Claude Code")
@click.option("--detach", is_flag=True, help="run in the background (see realm attach)")
@click.option("--count", metavar="<n>", type=click.IntRange(1, 100),
              help="start this many sessions in the background")  # fmt: skip
@click.option("--each", metavar="<file>", type=FILE,
              help="start a session in the background per line of a file (-: standard input)")  # fmt: skip
@click.option("--quiet", is_flag=True, help="say only what needs attention")
@click.option("--no-record", is_flag=True, help="keep no recording of the terminal (see realm replay)")
@click.option("--no-input", is_flag=True, help="never ask, and give the agent no standard input")
@directory_option
def command(
    directory: Path | None, no_input: bool, quiet: bool, count: int | None, each: str | None, **options: Any
) -> int:
    """Start the session and return the agent's exit code."""
    from realm.cli.ui import TerminalUI
    from realm.session.requests import NewRequest

    request = NewRequest(directory=here(directory), no_input=no_input, **options)
    ui = TerminalUI(no_input=no_input, quiet=quiet)
    if count is None and each is None:
        from realm.session.new import new

        return new(request, ui)
    from realm.session.several import read_tasks, several

    if count is not None and each is not None:
        raise UsageError("--count and --each both say how many to start", "give one of them")
    if request.remote:
        raise UsageError("--remote starts one session, on the branch of its name", "leave it out, or --count")
    given = request.agent_args
    tasks = [given] * count if count is not None else [(*given, task) for task in read_tasks(each or "")]
    return several(request, tasks, ui)
