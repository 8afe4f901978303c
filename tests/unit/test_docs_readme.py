"""The examples of README.md and TROUBLESHOOTING.md are commands that exist; what exists is documented."""

from __future__ import annotations

import ast
import functools
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
from realm.config import SETTINGS, Setting
from realm.sandbox import flags
from realm.session import doctor

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


def readme() -> str:
    return PAGES[0].read_text(encoding="utf-8")


def headings() -> list[str]:
    """Return the messages that the headings of TROUBLESHOOTING.md quote."""
    lines = re.findall(r"^### (.*)$", PAGES[1].read_text(encoding="utf-8"), re.MULTILINE)
    return [quoted for line in lines for quoted in re.findall(r"`([^`]+)`", line)]


@functools.cache
def said() -> str:
    """Return every text that stands in realm's code, one a line; literals that stand together are one."""
    constants = (
        node.value
        for path in sorted((ROOT / "realm").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return "\n".join(constants)


_FOREIGN = re.compile(
    r"^(realm |git log |ANTHROPIC_|\.env|Connection error|No space left|Resume this session)"
)
"""Commands, and words of other programs."""


def pieces(message: str) -> list[str]:
    """Return what stands between the holes of a quoted message, without what may belong to a hole."""
    found = (piece.strip(" ',:()") for piece in re.split(r"…|'[^']*'|\[remote rejected\]", message))
    return [piece for piece in found if len(piece) > 2]


_RUNS = 3
"""A message may be put together from as many texts of the code, between two of its holes."""


def runs(piece: str) -> int:
    """Return how many texts of the code it takes to say ``piece``; many when they cannot."""
    words, count = piece.split(), 0
    while words:
        longest = next((end for end in range(len(words), 0, -1) if " ".join(words[:end]) in said()), 0)
        if not longest:
            return _RUNS + 1
        words, count = words[longest:], count + 1
    return count


@pytest.mark.parametrize("message", [text for text in headings() if not _FOREIGN.match(text)])
def test_every_message_explained_is_one_that_realm_says(message: str) -> None:
    assert pieces(message), message
    assert [piece for piece in pieces(message) if runs(piece) > _RUNS] == []


def test_the_readme_explains_every_command() -> None:
    assert [verb for verb in SUMMARIES if f"realm {verb}" not in readme()] == []


@pytest.mark.parametrize("verb", [verb for verb in SUMMARIES if verb != "help"])
def test_the_readme_has_every_option(verb: str) -> None:
    options = [option for option in load(verb).params if isinstance(option, click.Option)]
    long = [spelling for option in options for spelling in option.opts if spelling.startswith("--")]
    missing = [spelling for spelling in long if not re.search(rf"(?<![\w-]){spelling}(?![\w-])", readme())]
    assert missing == []


def test_the_table_of_settings_is_complete() -> None:
    rows = dict(re.findall(r"^\| `realm\.([\w.]+)` \| `(REALM_\w+)` ", readme(), re.MULTILINE))
    assert rows == {setting.key: setting.variable for setting in SETTINGS}


@pytest.mark.parametrize("setting", [setting for setting in SETTINGS if setting.default])
def test_the_table_of_settings_has_the_defaults(setting: Setting[object]) -> None:
    row = next(line for line in readme().splitlines() if line.startswith(f"| `realm.{setting.key}` "))
    assert f"| `{setting.default}` |" in row


def test_every_flag_of_docker_is_named() -> None:
    assert [row.name for row in flags.TABLE if f"`--{row.name}`" not in readme()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_is_referred_to_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", text)) | set(re.findall(r"\]\(([\w./-]+)\)", text))
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []
    anchors = set(re.findall(r"\]\(#([\w-]+)\)", text))
    titles = re.findall(r"^(##+) (.*)$", text, re.MULTILINE)
    found = {title.lower().replace(",", "").replace(" ", "-"): level for level, title in titles}
    assert anchors - found.keys() == set()
    assert {anchor for anchor, level in found.items() if level == "##"} - anchors == set()


def test_every_row_of_the_security_table_names_its_test() -> None:
    table = readme().partition("\n## Security\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert [row.split("|")[1].strip() for row in rows if "`tests/" not in row.split("|")[4]] == []


def test_the_example_of_doctor_shows_every_check() -> None:
    block = readme().partition("$ realm doctor\n")[2].partition("```")[0]
    assert [line.split()[1] for line in block.splitlines()] == [name for name, _ in doctor._CHECKS]
