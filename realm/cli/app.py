"""The whole command line: finds a verb, imports only that one, and turns click's errors into realm's."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from realm import __version__
from realm.cli import boundary, output
from realm.cli.boundary import CommandLineError
from realm.cli.command import SETTINGS, Formatter, option_rows, usage, worded
from realm.cli.params import common, takes_value
from realm.cli.verbs import ELSEWHERE, HIDDEN, SECTIONS, SUMMARIES, closest, program
from realm.errors import EXIT_INTERRUPT
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = (
    ("new quick-fix", "work with Claude Code in a session called quick-fix"),
    ("list", "see your sessions and what they need"),
    ("push quick-fix", "send its commits to a branch for review"),
)
PLAIN_GIT = (
    ("git log refs/realm/<name>", "what it did, turn by turn"),
    ("git diff HEAD...refs/realm/<name>", "everything at once"),
    ("git merge refs/realm/<name>", "take its work"),
)
_MODULES = {"_manpage": "manpage", "try": "attempt"}
"""Verbs whose modules need another name."""
_COLUMN = 20
"""Width of the first column, the same in every section."""


class Application(click.Group):
    """The group of all verbs; each is a module that is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs in the order of the help."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the verb ``cmd_name``; ``None`` when there is no such verb."""
        if cmd_name not in SUMMARIES and cmd_name not in HIDDEN:
            return None
        module = importlib.import_module(f"realm.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb's name, the verb and its arguments.

        The error for an unknown one names the closest.
        """
        command = self.get_command(ctx, args[0])
        if command is None:
            raise unknown_verb(args[0])
        return args[0], command, args[1:]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the verbs, or the global options, that begin with ``incomplete``, without importing any."""
        if incomplete.startswith("-"):
            return super(click.Group, self).shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=summary)
            for name, summary in SUMMARIES.items()
            if name.startswith(incomplete)
        ]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the parts of the usage after the program's name."""
        return ["[-C <dir>]", "[--color <when>]", "<command>", "[…]"]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the help option with realm's text."""
        return worded(super().get_help_option(ctx))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description, examples, and the verbs by section."""
        assert isinstance(formatter, Formatter)  # noqa: S101 - set for every context
        name = ctx.info_name
        formatter.write(f"{self.help}\n")
        formatter.write_rows("Examples", _padded([(f"{name} {line}", what) for line, what in EXAMPLES]))
        with formatter.section("Usage"):
            formatter.write(f"  {usage(ctx)}\n")
        for title, verbs in SECTIONS.items():
            formatter.write_rows(title, _padded(list(verbs.items())))
        formatter.write_rows("Plain git sees it all", PLAIN_GIT)
        formatter.write_rows("Options", _padded(option_rows(self, ctx)))
        formatter.write(f"\n{name} help <command> explains a command, man git-realm has it all.\n")


def _padded(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``rows`` with the first column padded to the widest section, so that all line up."""
    return [(first.ljust(_COLUMN), second) for first, second in rows]


def unknown_verb(word: str) -> CommandLineError:
    """Return the error for an unknown verb."""
    close = ELSEWHERE.get(word) or " or ".join(closest(word, list(SUMMARIES)))
    advice = f"did you mean {close}?" if close else f"{program()} help lists all of them"
    return CommandLineError(f"there is no command {clean(word, limit=80) or repr(word)}", advice)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        output.data(f"realm {__version__}")
        context.exit()


@click.command(
    cls=Application,
    invoke_without_command=True,
    context_settings=SETTINGS,
    help="Run Claude Code unattended in a throw-away container; keep its work as commits.",
)
@common
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="show the version",
)  # fmt: skip
@click.pass_context
def application(context: click.Context, /, **_: object) -> None:
    """Show the help when no verb was given; verbs read ``-C`` from the context."""
    if context.invoked_subcommand is None:
        output.data(context.get_help())


def run(arguments: list[str]) -> int:
    """Run realm with ``arguments`` (without the program's name) and return its exit code."""
    try:
        if (asked := os.environ.get("_REALM_COMPLETE")) is not None:
            from realm.cli.completion import complete

            return complete(application, asked)
        return boundary.guard(_invoke, arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPT


def _invoke(arguments: list[str]) -> int:
    """Run the command line ``arguments`` and return its exit code; raises what the boundary shows."""
    try:
        with application.make_context(program(), list(arguments)) as context:
            code = application.invoke(context)
    except click.exceptions.Exit as wish:
        return wish.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        raise _translated(error) from error
    return code if isinstance(code, int) else 0


def _translated(error: click.UsageError) -> CommandLineError:
    context = error.ctx or click.Context(application, info_name=program())
    line = usage(context)
    advice = f"{context.command_path} --help explains it"
    if isinstance(error, click.NoSuchOption):
        known = sorted(name for name in takes_value(context.command.params) if name.startswith("--"))
        close = closest(error.option_name, known)
        elsewhere: str = getattr(context.command, "elsewhere", "")
        advice = f"did you mean {' or '.join(close)}?" if close else elsewhere or advice
        return CommandLineError(f"there is no option {error.option_name}", advice, line)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return CommandLineError(f"<{error.param.metavar or error.param.name}> is missing", advice, line)
    message = error.format_message().rstrip(".").replace("a valid integer range", "a whole number")
    return CommandLineError(message[:1].lower() + message[1:], advice, line)


def load(verb: str) -> click.Command:
    """Import and return the verb; raises for an unknown one, as typing it would."""
    command = application.get_command(click.Context(application, info_name=program()), verb)
    if command is None:
        raise unknown_verb(verb)
    return command
