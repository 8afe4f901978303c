"""realm's layer on click's commands: help with examples and plain sections, the agent's arguments."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.params import AGENT_BEGAN, SessionAt, claimed, dockers, here, regain, split, takes_value
from realm.cli.verbs import SUMMARIES
from realm.text import clean, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realm.cli.params import Split

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""The settings of every command's click context."""
_INDENT = "  "
_RANGE = r"  \[(?:([0-9]+)<=)?x(?:<=([0-9]+)|>=[0-9]+)\]$"
"""click's notation for a number's range."""


class Formatter(click.HelpFormatter):
    """Writes help in sections with plain headings, bold where there is colour."""

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        self.write(f"{output.paint(heading, 'bold', sys.stdout)}\n")

    def write_rows(self, heading: str, rows: Sequence[tuple[str, str]], first: int = 44) -> None:
        """Write a section of two columns, the first at most ``first`` wide."""
        with self.section(heading):
            self.write_dl(rows, col_max=first)


click.Context.formatter_class = Formatter


class Verb(click.Command):
    """A command with ``examples`` (arguments of realm, and what they do) and a closing ``note``."""

    allow_extra_args = True
    """Surplus arguments get realm's own error."""
    elsewhere = ""
    """The hint when arguments or options are given that the verb does not take."""

    def __init__(
        self, *args: Any, examples: Sequence[tuple[str, str]] = (), note: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.note = note

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the help option with realm's text."""
        return worded(super().get_help_option(ctx))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options; every error knows its command."""
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name == "--turn" and (way := self._turn(ctx, "NAME", "2")):
                raise CommandLineError("there is no option --turn", way, usage(ctx)) from error
            error.ctx = error.ctx or ctx
            raise
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if rest and not ctx.resilient_parsing:
            surplus = listed([clean(word, limit=80) or "''" for word in rest])
            many = "s" if len(rest) > 1 else ""
            hint = self.elsewhere or f"{ctx.command_path} --help explains it"
            if rest[0].isdecimal():
                hint = self._turn(ctx, getattr(ctx.params.get("name"), "name", "NAME"), rest[0]) or hint
            raise CommandLineError(f"unexpected argument{many}: {surplus}", hint, usage(ctx))
        return rest

    def _turn(self, ctx: click.Context, name: str, turn: str) -> str:
        """Return how this verb names a turn; empty if it takes none."""
        takes_one = any(isinstance(parameter.type, SessionAt) for parameter in self.params)
        return f"a turn stands behind the name: {ctx.command_path} {name}@{turn}" if takes_one else ""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write summary, examples, usage, options and note."""
        assert isinstance(formatter, Formatter)  # noqa: S101 - set above for every context
        program = ctx.find_root().info_name
        formatter.write(f"{self.help}\n")
        formatter.write_rows("Examples", [(f"{program} {line}", what) for line, what in self.examples], 72)
        with formatter.section("Usage"):
            formatter.write(f"{_INDENT}{usage(ctx)}\n")
        formatter.write_rows("Options", option_rows(self, ctx))
        if self.note:
            formatter.write_paragraph()
            formatter.write_text(self.note)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the usage after the verb: arguments in the usual notation, then options."""
        arguments = [parameter for parameter in self.params if isinstance(parameter, click.Argument)]
        named = [
            (f"<{argument.metavar or argument.name}>{'…' if argument.nargs < 0 else ''}", argument.required)
            for argument in arguments
        ]
        return [*(name if required else f"[{name}]" for name, required in named), "[options]"]


class AgentVerb(Verb):
    """A verb whose last arguments belong to the agent: see :mod:`realm.cli.params`.

    The callback gets ``name`` and ``agent_args``; with ``project``, a directory after the name stands for
    ``-C``.
    """

    def __init__(self, *args: Any, project: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split off the agent's arguments, and let click parse the rest."""
        known = takes_value(self.get_params(ctx))
        elsewhere = ctx.parent is not None and ctx.parent.params.get("directory") is not None
        try:
            parts = split(args, known, project=self.project and not elsewhere)
        except CommandLineError as error:
            if ctx.resilient_parsing:  # for a completion
                return super().parse_args(ctx, [])
            error.usage = usage(ctx)
            error.hint = error.hint or f"{ctx.command_path} --help explains it"
            raise
        ctx.meta[AGENT_BEGAN] = bool(parts.agent) or "--" in args
        rest = super().parse_args(ctx, _line(parts))
        if ctx.resilient_parsing:
            return rest
        word, value = ("", "") if parts.explicit else [*parts.agent[:2], "", ""][:2]
        first = word.partition("=")[0]
        is_version = first == "-v" and ":" not in value  # docker's has a place, Claude Code's has none
        docker, options = "" if is_version else dockers(first), claimed(parts, known)
        if docker or options:
            theirs = _options_of_agent(ctx, new=self.project)
            if theirs is not None and docker and first not in theirs:
                raise CommandLineError(f"there is no option {first}", docker, usage(ctx))
            if theirs is None and options:
                output.warning(
                    f"{listed(options)} went to the agent: realm's own options come before the agent's "
                    "arguments (use -- to separate them explicitly)"
                )
            elif theirs is not None and (again := regain(parts, known, theirs)) != parts:
                ctx.params.clear()
                rest = super().parse_args(ctx, _line(again))
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the usage after the verb, in the required order."""
        return ["<name>", "[options]", *(["[<project_dir>]"] if self.project else []), "[<agent args>…]"]


def _line(parts: Split) -> list[str]:
    """Return a command line that click parses into the same parts."""
    own = [*parts.own, *(["-C", parts.project] if parts.project is not None else [])]
    return own if parts.name is None else [*own, "--", parts.name, *parts.agent]


def _options_of_agent(ctx: click.Context, *, new: bool) -> frozenset[str] | None:
    """Return the long options of this command line's agent; ``None`` when unknown."""
    from realm import agents
    from realm.config import Config
    from realm.session.find import find
    from realm.session.plan import agent_program
    from realm.store import record

    name, directory = ctx.params["name"], ctx.params["directory"]
    if new:
        return agents.find(agent_program(ctx.params["agent"], Config(here(directory)))).options
    project = find(name.name, directory)
    return agents.find(record.read_session(project, name.name).agent).options


def verb(
    name: str, examples: Sequence[tuple[str, str]], note: str = ""
) -> Callable[[Callable[..., Any]], Verb]:
    """Return the decorator that makes a function the verb ``name``."""
    return click.command(name, cls=Verb, help=SUMMARIES[name], examples=examples, note=note)


def agent_verb(
    name: str, examples: Sequence[tuple[str, str]], note: str = "", *, project: bool = False
) -> Callable[[Callable[..., Any]], AgentVerb]:
    """Return the decorator that makes a function the verb ``name`` that runs an agent."""
    return click.command(
        name, cls=AgentVerb, help=SUMMARIES[name], examples=examples, note=note, project=project
    )


def worded(option: click.Option | None) -> click.Option | None:
    """Return the help option with our text."""
    if option is not None:
        option.help = "show this help"
    return option


def option_rows(command: click.Command, ctx: click.Context) -> list[tuple[str, str]]:
    """Return every option of ``command`` as it is typed, and its description."""
    options = [parameter for parameter in command.get_params(ctx) if isinstance(parameter, click.Option)]
    records = (record for option in options if (record := option.get_help_record(ctx)))
    return [(name, re.sub(_RANGE, _said, text)) for name, text in records]


def _said(found: re.Match[str]) -> str:
    """Return a number's range in words; empty without an upper bound."""
    return f" ({found[1]} to {found[2]})" if found[1] and found[2] else ""


def usage(ctx: click.Context) -> str:
    """Return the usage of the command of ``ctx``, on one line."""
    return " ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])
