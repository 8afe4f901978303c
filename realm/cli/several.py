"""Verbs that take several sessions, by their names or by ``--all``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from realm.cli import output
from realm.cli.boundary import CommandLineError
from realm.cli.params import SESSION, Completed
from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from realm.model import SessionRow

    F = TypeVar("F", bound=Callable[..., Any])


class Meant(NamedTuple):
    """A session that a command applies to, and its project, if known."""

    name: str
    directory: Path | None


def sessions(text: str, kind: Completed = SESSION) -> Callable[[F], F]:
    """Return a decorator that adds ``names`` of this kind, and ``--all`` (``everyone``), to a verb."""

    def add(command: F) -> F:
        names = click.argument("names", metavar="name", nargs=-1, type=kind)
        return names(click.option("--all", "everyone", is_flag=True, help=text)(command))

    return add


def meant(
    names: Sequence[str], directory: Path | None, *, everyone: bool, among: Callable[[SessionRow], bool]
) -> list[Meant]:
    """Return the sessions called ``names``, or with ``everyone`` all here that ``among`` selects.

    Raises click's error when none is named, :class:`CommandLineError` when both are given.
    """
    if not everyone:
        if not names:
            context = click.get_current_context()
            raise click.MissingParameter(ctx=context, param=context.command.params[0])
        return [Meant(name, directory) for name in dict.fromkeys(names)]
    if names:
        raise CommandLineError("--all already means every session", "leave --all out, or the names")
    from realm.session.find import list_sessions

    listing = list_sessions(directory)
    for text in listing.warnings:
        output.warning(text)
    return [Meant(row.name, row.project) for row in listing.rows if among(row)]


def each(found: Sequence[Meant], do: Callable[[Meant], object]) -> int:
    """Call ``do`` for each session; with several, an error in one is shown and the others go on.

    Returns 1 if there was an error, else 0.
    """
    if len(found) == 1:
        do(found[0])
        return 0
    code = 0
    for one in found:
        try:
            do(one)
        except RealmError as error:
            output.error(error.message, error.hint)
            code = 1
    return code
