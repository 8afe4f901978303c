"""The examples of README.md and TROUBLESHOOTING.md are commands that exist; what exists is documented."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from realm.cli.app import application, load
from realm.cli.command import AgentVerb
from realm.cli.manpage import page
from realm.cli.params import split, takes_value
from realm.cli.verbs import HIDDEN, SUMMARIES, find_verb

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "TROUBLESHOOTING.md"]
_FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`((?:git )?realm [^`\n]+)`(?!`)")
_COMMAND = re.compile(r"^\s*(?:\$ )?(?:git )?realm(?: +(.*))?$")
_HELP = {"-h", "--help"}


def examples(text: str) -> list[str]:
    """Return what follows ``realm`` in the code of a page: its blocks and what stands in backquotes."""
    lines = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    lines += _INLINE.findall(_FENCE.sub("", text))
    return [found[1] or "" for line in lines if (found := _COMMAND.match(line))]


def words(line: str) -> list[str]:
    """Return the words of a command up to the first operator of the shell or comment."""
    reader = shlex.shlex(
        line.replace("…", "...").replace("<", " {").replace(">", "} "), posix=True, punctuation_chars="|&;"
    )
    reader.whitespace_split = True
    found: list[str] = []
    for word in reader:
        if set(word) <= set("|&;") or word == "}":
            break
        found.append(re.sub(r"^\[(--?[\w-]+)", r"\1", word).rstrip("]"))
    return found


def known(verb: str | None) -> dict[str, bool]:
    command = load(verb) if verb else application
    return takes_value(command.params) | dict.fromkeys(_HELP, False)


def problem(line: str) -> str:
    """Return what is wrong with the example ``line``; nothing when it could be typed."""
    arguments = words(line)
    verb, place = find_verb(arguments)
    own = [word.partition("=")[0] for word in arguments[:place] if word.startswith("-")]
    unknown = [word for word in own if word not in known(None)]
    if unknown:
        return f"no such option: {unknown}"
    if verb is None:
        return ""
    if verb.startswith(("{", "[")) or verb in HIDDEN:
        return ""
    if verb not in SUMMARIES:
        return f"no such command: {verb}"
    rest, options = arguments[place + 1 :], known(verb)
    if isinstance(load(verb), AgentVerb):
        rest = split(rest, options, project=False).own
    wrong = [
        word for word in rest if re.match(r"--?[a-zA-Z]", word) and word.partition("=")[0] not in options
    ]
    return f"realm {verb} has no {wrong}" if wrong else ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_example_could_be_typed(path: Path) -> None:
    if path.exists():
        found = examples(path.read_text())
        assert [f"realm {line}: {wrong}" for line in found if (wrong := problem(line))] == []


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_command_and_option_is_documented(verb: str) -> None:
    text = re.sub(r"\\f[BR]", "", page().replace("\\-", "-")) + "".join(
        path.read_text() for path in PAGES if path.exists()
    )
    options = [option for option in load(verb).params if isinstance(option, click.Option)]
    for spelling in (f"realm {verb}", *(spelling for option in options for spelling in option.opts)):
        assert re.search(rf"(?<![\w-]){re.escape(spelling)}(?![\w-])", text), spelling


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('new quick-fix "explain this codebase"', ""),
        ("new <name> [--base REV] [project_dir] [agent args…]", ""),
        ("new x -- -p hi --model opus", ""),
        ("list --json | jq .", ""),
        ("list --jsn", "realm list has no ['--jsn']"),
        ("lst", "no such command: lst"),
        ("--frob list", "no such option: ['--frob']"),
        ("build --claude-version 2 --no-cache   # --nonsense in a comment", ""),
        ("_manpage > git-realm.1", ""),
    ],
)
def test_wrong_examples_are_found(line: str, wrong: str) -> None:
    assert problem(line) == wrong


def test_examples_are_found_in_blocks_and_in_lines() -> None:
    text = "Try `realm list` or:\n\n```sh\n$ realm new x\ngit realm push x\nrealms x\n```\nnot realm remove\n"
    assert examples(text) == ["new x", "push x", "list"]
