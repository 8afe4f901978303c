"""Command lines that pass arguments on to an agent, and the options that verbs share.

``realm new <name> [options] [project_dir] [agent args…]``: realm's options may be anywhere before the agent's
arguments.  These begin at the first argument that is not realm's: an option that realm does not know, or a
positional argument that is neither the name nor (``new`` only, and only as the second one) a directory.  From
there on everything belongs to the agent, except for realm's long options that this agent does not have, which
are recognised anywhere before ``--``; for a program that realm does not know, nothing is excepted.  ``--``
ends realm's part at once and is not passed on; one after the beginning of the agent's arguments is the
agent's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.errors import NotARepositoryError
from realm.paths import current_directory

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from realm.session.requests import At

F = TypeVar("F", bound="Callable[..., Any]")
AGENT_BEGAN = "realm.agent_began"
"""The key in a context's ``meta`` that says that the agent's arguments have begun."""
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./@+")
"""The characters that need no quoting in a shell: refs with any other are not offered."""


class Split(NamedTuple):
    """The parts of a command line: realm's options, positional arguments, the agent's arguments."""

    own: list[str]
    name: str | None
    project: str | None
    agent: list[str]
    explicit: bool = False
    """Whether ``--`` marks where the agent's arguments begin."""


def takes_value(parameters: Sequence[click.Parameter]) -> dict[str, bool]:
    """Return every spelling of these options, and whether a value follows it."""
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    return {name: not option.is_flag for option in options for name in (*option.opts, *option.secondary_opts)}


def _own_length(argument: str, known: Mapping[str, bool]) -> int:
    """Return how many words realm's option ``argument`` takes; 0 when it is not realm's."""
    if argument in known:
        return 2 if known[argument] else 1
    name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
    return 1 if name in known and len(argument) > len(name) else 0


def split(arguments: Sequence[str], known: Mapping[str, bool], *, project: bool) -> Split:
    """Split a command line; ``known`` is the result of :func:`takes_value`.

    ``project`` says whether a directory may follow the name; after ``-C`` none may.  Raises
    :class:`CommandLineError` for an unknown option before the name, an option without its value, a second
    argument that names a missing directory, and a project given twice.
    """
    own: list[str] = []
    positional: list[str] = []
    limit = 2 if project else 1
    explicit = False
    place = 0
    while place < len(arguments):
        argument = arguments[place]
        length = _own_length(argument, known)
        if length:
            _check_value(argument, length, arguments[place + 1 :])
            limit = _limit(argument, positional, limit)
            own += arguments[place : place + length]
        elif argument == "--":
            place += 1
            explicit = True
            break
        elif argument.startswith("-") and argument != "-":
            if not positional:
                raise _unknown(argument, known)
            break
        elif len(positional) < limit and (not positional or _is_project(argument)):
            positional.append(argument)
            length = 1
        else:
            break
        place += length
    name, directory = (*positional, None, None)[:2]
    return Split(own, name, directory, list(arguments[place:]), explicit)


def claimed(parts: Split, known: Mapping[str, bool]) -> list[str]:
    """Return realm's long options among the agent's arguments, before any ``--``."""
    if parts.explicit:
        return []
    before = parts.agent[: parts.agent.index("--")] if "--" in parts.agent else parts.agent
    names = (argument.partition("=")[0] for argument in before if argument.startswith("--"))
    return [name for name in names if name in known and name != "--help"]


def regain(parts: Split, known: Mapping[str, bool], theirs: Collection[str]) -> Split:
    """Move the options found by :func:`claimed` to realm's part, unless the agent has them (``theirs``).

    Raises :class:`CommandLineError` for one without its value.
    """
    mine = set(claimed(parts, known)) - set(theirs)
    own, agent, rest = list(parts.own), [], list(parts.agent)
    while rest and rest[0] != "--":
        name, equals, _ = rest[0].partition("=")
        if name not in mine:
            agent.append(rest.pop(0))
            continue
        length = 2 if known[name] and not equals else 1
        _check_value(name, length, rest[1:])
        own += rest[:length]
        del rest[:length]
    return parts._replace(own=own, agent=agent + rest)


def _check_value(option: str, length: int, following: Sequence[str]) -> None:
    if length > 1 and following[:1] in ([], ["--"]):
        raise CommandLineError(f"{option} needs a value")


def _limit(option: str, positional: Sequence[str], limit: int) -> int:
    """Return how many positional arguments may be realm's after ``option``."""
    if not option.startswith("-C"):
        return limit
    if len(positional) > 1:
        raise CommandLineError(f"the project is given twice: {positional[1]} and -C", "leave one of them out")
    return 1


def _is_project(argument: str) -> bool:
    if os.path.isdir(argument):  # noqa: PTH112 - a prompt may be longer than any path, which Path raises for
        return True
    if _means_directory(argument) and not os.path.lexists(argument):
        raise CommandLineError(
            f"there is no directory {argument}", "put -- before the agent's arguments: realm new NAME -- …"
        )
    return False


def _means_directory(argument: str) -> bool:
    """Tell whether the argument can only be a directory, and not a prompt or a slash command."""
    if not argument or any(character.isspace() for character in argument):
        return False
    return argument.startswith(("./", "../", "~/")) or argument.endswith("/") or argument.count("/") > 1


def _unknown(argument: str, known: Mapping[str, bool]) -> CommandLineError:
    from realm.cli.verbs import closest

    name = argument.partition("=")[0]
    close = closest(name, sorted(option for option in known if option.startswith("--")))
    advice = f"did you mean {' or '.join(close)}?" if close else "the agent's options go after the name"
    return CommandLineError(f"there is no option {name}", dockers(name) or advice)


def dockers(option: str) -> str:
    """Return where ``option`` belongs if it is a flag of docker's, by its long name; empty if it is none."""
    if not option.startswith("-"):
        return ""
    from realm.sandbox.flags import TABLE

    names = ("-e", "-v", *(f"--{flag.name}" for flag in TABLE))
    return (
        f"docker's flags are a setting: git config realm.dockerArgs '{option} …'" if option in names else ""
    )


Candidates = Callable[[click.Context, str], list[CompletionItem[str]]]


class Completed(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """Any text; ``candidates`` completes it in a shell."""

    def __init__(self, name: str, candidates: Candidates) -> None:
        self.name = name
        self._candidates = candidates

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return ``value``."""
        return value

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Return the candidates."""
        return self._candidates(ctx, incomplete)


def _refs(*below: str, first: bool = True, more: Sequence[str] = ()) -> Candidates:
    """Return a function that offers the names of refs below ``below``, or their ``first`` part, and ``more``.

    Names that need quoting in a shell are not offered.
    """

    def candidates(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        from realm.git import git
        from realm.store.repo import discover

        project = discover(here(ctx.params.get("directory")))
        names = git("for-each-ref", "--format=%(refname:lstrip=2)", *below, project=project).text.split("\n")
        if first:
            names = [name.partition("/")[0] for name in names]
        given = ctx.params.get("names") or ()
        others = dict.fromkeys(name for name in (*more, *names) if name not in given)
        begun = (name for name in others if name and name.startswith(incomplete))
        return [CompletionItem(name) for name in begun if _SAFE.issuperset(name) and name[0] != "-"]

    return candidates


def parted(text: str) -> At:
    """Split ``name`` or ``name@3`` into the session's name and the turn's number."""
    from realm.session.requests import At

    name, sign, number = text.rpartition("@")
    if not sign:
        return At(text)
    if not re.fullmatch("[1-9][0-9]{0,8}", number):
        example = f"as in {name or 'NAME'}@2: realm log {name or 'NAME'}"
        raise CommandLineError(f"'{number}' is not the number of a turn", example)
    return At(name, int(number))


def not_both(at: At, *others: int | None) -> None:
    """Raise :class:`CommandLineError` if a turn is given both in ``at`` and by an option of ``others``."""
    if at.turn is not None and any(other is not None for other in others):
        options = " and ".join(["--run", "--turn"][: len(others)])
        raise CommandLineError(f"{at} names a turn already", f"leave {options} out")


class SessionAt(Completed):
    """A session's name, or a turn of it: ``name@3``; the value is a :class:`realm.session.requests.At`."""

    def __init__(self) -> None:
        super().__init__("session", _turns)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return the name and the turn's number."""
        from realm.session.requests import At

        return value if isinstance(value, At) else parted(str(value))


def _turns(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Offer names, and after a name and ``@`` its turns, the newest first."""
    name, sign, begun = incomplete.rpartition("@")
    if not sign:
        return SESSION.shell_complete(ctx, ctx.command.params[0], incomplete)
    from realm.session.requests import At
    from realm.session.review import commit_range, turns

    found = reversed(turns(commit_range(At(name), ctx.params.get("directory"))))
    wanted = (turn for turn in found if str(turn.number).startswith(begun))
    return [CompletionItem(f"{name}@{turn.number}", help=turn.prompt) for turn in wanted]


def _after_name(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Offer files for the agent's arguments, and directories where the project may be given."""
    if ctx.meta.get(AGENT_BEGAN):
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(incomplete, type="dir")] if getattr(ctx.command, "project", False) else []


SESSION = Completed("session", _refs("refs/realm/"))
SESSION_AT = SessionAt()
SESSION_OR_TURN = Completed("session", _turns)
"""The same, unparsed, for verbs that take several; :func:`parted` parses it."""
REMOVED = Completed("session", _refs("refs/realm-trash/"))
REVISION = Completed("revision", _refs("refs/heads/", "refs/tags/", first=False, more=["HEAD"]))
REMOTE = Completed("remote", _refs("refs/remotes/"))
FILE = Completed("file", lambda _, incomplete: [CompletionItem(incomplete, type="file")])
DIRECTORY = Completed("directory", lambda _, incomplete: [CompletionItem(incomplete, type="dir")])
AGENT_ARGUMENTS = Completed("agent arguments", _after_name)


def _enter(context: click.Context, _: click.Parameter, values: tuple[str, ...]) -> Path | None:
    """Join all values of ``-C`` so far, as git does; empty ones are ignored."""
    outer = context.parent.params.get("directory") if context.parent else None
    directory: Path | None = outer
    for value in filter(None, values):
        directory = (directory or Path()) / value
    if directory is not None and directory != outer and not os.path.isdir(directory):  # noqa: PTH112 - as above
        raise NotARepositoryError(f"there is no directory {directory}", "give -C an existing directory")
    return directory


def _choose_color(_: click.Context, __: click.Parameter, when: str | None) -> None:
    if when is not None:
        output.choose_color(when)


directory_option: Callable[[F], F] = click.option(
    "-C",
    "directory",
    metavar="<dir>",
    type=DIRECTORY,
    multiple=True,
    callback=_enter,
    help="work on the project in <dir>",
)
color_option: Callable[[F], F] = click.option(
    "--color", metavar="<when>", type=click.Choice(["auto", "always", "never"]), callback=_choose_color,
    expose_value=False, help="use colour: auto, always or never",
)  # fmt: skip
json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="write JSON (keys: man git-realm)"
)


def common(command: F) -> F:
    """Add the options that every verb has."""
    return directory_option(color_option(command))


def here(directory: Path | None) -> Path:
    """Return ``directory``, or the current one; raises when that was deleted."""
    return directory if directory is not None else current_directory()


def enter(directory: Path | None) -> None:
    """Change to ``directory``, if given, for verbs that read the settings of the current directory."""
    if directory is not None:
        os.chdir(directory)
