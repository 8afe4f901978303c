"""``realm _complete WORD…``: what may stand where the cursor is; the last word is the one begun.

One candidate a line, with a tab and a description where there is one.  A line
that begins with ``:`` is for the shell to carry out: ``:files`` or
``:directories``.  Verbs and names never load the command line parser; names
come from one ``git for-each-ref``.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

from realm.cli.verbs import GLOBAL_VALUES, SUMMARIES, find_verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

_SESSIONS = "refs/realm/"
_TRASH = "refs/realm-trash/"
_NAMED = {
    **dict.fromkeys(("resume", "attach", "stop", "screen", "replay", "push", "remove"), _SESSIONS),
    "restore": _TRASH,
}
"""Verbs whose first argument is a session, and where those lie."""
_COLORS = ("auto", "always", "never")
_SHELLS = ("bash", "zsh", "fish")
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./@+")
"""Everything that a shell takes as it is: a ref of any other name is not offered."""
_VALUES = {
    "directory": [":directories"],
    "include": [":files"],
    "ca_file": [":files"],
    "svg": [":files"],
    "html": [":files"],
    "cast": [":files"],
}


def complete(words: list[str]) -> int:
    """Write the candidates for the last of ``words``; never fails and never says anything else."""
    try:
        lines = candidates(words or [""])
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except Exception:
        if os.environ.get("REALM_DEBUG"):
            raise
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return the lines to write for ``words``, of which the last is still being typed."""
    *before, current = words
    verb, place = find_verb(before)
    if before and before[-1] in GLOBAL_VALUES and (verb is None or place == len(before)):
        return _begun([":directories"] if before[-1] == "-C" else _COLORS, current)
    if verb is None:
        return _options(None, current) if current.startswith("-") else _verbs(current)
    if verb not in SUMMARIES:
        return []
    return _after_verb(verb, before[place + 1 :], current, _directory(before))


def _begun(lines: Sequence[str], current: str) -> list[str]:
    return [line for line in lines if line.startswith((current, ":"))]


def _verbs(current: str) -> list[str]:
    return _begun([f"{verb}\t{summary}" for verb, summary in SUMMARIES.items()], current)


def _after_verb(verb: str, before: Sequence[str], current: str, directory: str) -> list[str]:
    if verb in ("new", "resume") and _agent_began(verb, before):
        return [":files"]
    name, equals, begun = current.partition("=")
    if equals and name.startswith("--"):
        return [f"{name}={line}" for line in _value(verb, name, begun, directory) if not line.startswith(":")]
    if before and before[-1].startswith("-") and (lines := _value(verb, before[-1], current, directory)):
        return lines
    if current.startswith("-"):
        return _options(verb, current)
    return _begun(_argument(verb, before, directory), current)


def _agent_began(verb: str, before: Sequence[str]) -> bool:
    """Tell whether the cursor is behind the beginning of the agent's arguments."""
    if "--" in before:
        return True
    if not any(word.startswith("-") for word in before):
        return len(before) > (2 if verb == "new" else 1)
    from realm.cli.boundary import CommandLineError
    from realm.cli.params import split, takes_value

    try:
        return bool(split(before, takes_value(_load(verb).params), project=verb == "new").agent)
    except CommandLineError:
        return False


def _argument(verb: str, before: Sequence[str], directory: str) -> list[str]:
    """Return what an argument that is no option may be."""
    if verb == "help":
        return [f"{name}\t{summary}" for name, summary in SUMMARIES.items()]
    if verb == "completion":
        return list(_SHELLS)
    first = not _positional(verb, before)
    if verb in _NAMED and first:
        return sorted({ref.partition("/")[0] for ref in _refs(directory, _NAMED[verb], 2)})
    return [":directories"] if verb == "new" and not first else []


def _positional(verb: str, before: Sequence[str]) -> list[str]:
    """Return the words of ``before`` that are neither options nor their values."""
    if not any(word.startswith("-") for word in before):
        return list(before)
    from realm.cli.params import takes_value

    known = takes_value(_load(verb).params)
    values = {place + 1 for place, word in enumerate(before) if known.get(word)}
    return [word for place, word in enumerate(before) if place not in values and not word.startswith("-")]


def _load(verb: str) -> click.Command:
    from realm.cli.app import load

    return load(verb)


def _options(verb: str | None, current: str) -> list[str]:
    import click

    from realm.cli.app import application

    command = _load(verb) if verb else application
    options = [option for option in command.params if isinstance(option, click.Option)]
    lines = [f"{spelling}\t{option.help}" for option in options for spelling in option.opts]
    return _begun([*lines, "--help\tshow this help"], current)


def _value(verb: str, spelling: str, current: str, directory: str) -> list[str]:
    """Return what the option ``spelling`` takes; nothing when it takes no value or any."""
    import click

    for option in _load(verb).params:
        if isinstance(option, click.Option) and spelling in option.opts and not option.is_flag:
            if isinstance(option.type, click.Choice):
                return _begun([str(choice) for choice in option.type.choices], current)
            return _begun(_VALUES.get(option.name or "") or _from_git(option.name, directory), current)
    return []


def _from_git(option: str | None, directory: str) -> list[str]:
    if option == "base":
        return ["HEAD", *_refs(directory, "refs/heads/", 2), *_refs(directory, "refs/tags/", 2)]
    if option == "remote":
        return sorted({ref.partition("/")[0] for ref in _refs(directory, "refs/remotes/", 2)})
    return []


def _directory(before: Sequence[str]) -> str:
    """Return where ``-C`` among ``before`` leads."""
    places = (value for word, value in itertools.pairwise(before) if word == "-C")
    return os.path.join(".", *places)  # noqa: PTH118 - no pathlib here


def _refs(directory: str, below: str, parts: int) -> list[str]:
    """Return the names of the refs below ``below``, without their first ``parts`` components."""
    import subprocess

    command = ("git", "-C", directory, "for-each-ref", f"--format=%(refname:lstrip={parts})", below)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    names = done.stdout.decode("utf-8", "replace").splitlines()
    return [name for name in names if _SAFE.issuperset(name) and not name.startswith("-")]
