from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from realm import __version__
from realm.cli.app import load
from realm.cli.verbs import SECTIONS, SUMMARIES, closest, find_verb
from tests.support.cli import CommandLine, Result

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def loaded_by(code: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter has after ``code``."""
    program = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("line", [["--version"], ["-C", "/", "--version"]])
def test_the_version(line: list[str], realm: CommandLine) -> None:
    assert realm(*line) == Result(0, f"realm {__version__}\n", "")


@pytest.mark.parametrize("line", [[], ["--help"], ["-h"], ["help"]])
def test_help_shows_an_example_first_and_every_verb_in_its_section(
    line: list[str], realm: CommandLine
) -> None:
    shown = realm(*line)
    assert shown.code == 0
    places = [shown.out.index(f"\n{title}\n") for title in ("Examples", "Usage", *SECTIONS)]
    assert places == sorted(places)
    for verb, summary in SUMMARIES.items():
        assert f"  {verb} " in shown.out
        assert summary in shown.out


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_verb_explains_itself(verb: str, realm: CommandLine) -> None:
    shown = realm(verb, "--help")
    assert shown.code == 0
    assert shown.out == realm("help", verb).out == realm(verb, "-h").out
    assert shown.out.index("\nExamples\n") < shown.out.index("\nUsage\n") < shown.out.index("\nOptions\n")
    assert not SUMMARIES[verb].endswith(".")


def test_git_realm_calls_itself_so(realm: CommandLine) -> None:
    realm.program = "/usr/lib/git-core/git-realm"
    assert "  git realm new <name> [options] " in realm("new", "--help").out
    assert "usage: git realm push [<name>…] [options]" in realm("push").err


@pytest.mark.parametrize(
    ("line", "code", "message", "advice"),
    [
        (["lst"], 2, "there is no command lst", "did you mean list?"),
        (["rem"], 2, "there is no command rem", "did you mean remove"),
        (["rm", "x"], 2, "there is no command rm", "did you mean remove?"),
        (["delete"], 2, "there is no command delete", "did you mean remove?"),
        (["ls"], 2, "there is no command ls", "did you mean list?"),
        (["status"], 2, "there is no command status", "did you mean list?"),
        (["ps"], 2, "there is no command ps", "did you mean list?"),
        (["start", "x"], 2, "there is no command start", "did you mean new or resume?"),
        (["kill", "x"], 2, "there is no command kill", "did you mean stop?"),
        (["version"], 2, "there is no command version", "did you mean --version?"),
        (["zzz"], 2, "there is no command zzz", "realm help lists all of them"),
        (["help", "nwe"], 2, "there is no command nwe", "did you mean new or net?"),
        (["--bad"], 2, "there is no option --bad", "realm --help explains it"),
        (["push", "x", "--sqush"], 2, "there is no option --sqush", "did you mean --squash?"),
        (["push", "x", "-f"], 2, "there is no option -f", "did you mean --force?"),
        (
            ["new", "--network", "none", "x"],
            125,
            "there is no option --network",
            "docker's flags are a setting",
        ),
        (["new", "x", "--memory=2g"], 125, "there is no option --memory", "docker's flags are a setting"),
        (["new", "x", "-e", "A=1"], 125, "there is no option -e", "docker's flags are a setting"),
        (["new", "x", "-v", "/a:/b"], 125, "there is no option -v", "docker's flags are a setting"),
        (["new", "-d", "x"], 125, "there is no option -d", "did you mean --detach?"),
        (
            ["diff", "x", "--name-only"],
            2,
            "there is no option --name-only",
            "git takes all of its options: git diff HEAD",
        ),
        (["log", "x", "-p"], 2, "there is no option -p", "git takes all of its options: git log HEAD"),
        (["push"], 2, "<name> is missing", "realm push --help explains it"),
        (["list", "x"], 2, "unexpected argument: x", "realm list --help explains it"),
        (
            ["rewind", "x", "1"],
            2,
            "unexpected argument: 1",
            "a turn stands behind the name: realm rewind x@1",
        ),
        (
            ["logs", "x", "--turn", "1"],
            2,
            "there is no option --turn",
            "a turn stands behind the name: realm logs NAME@2",
        ),
        (["config", "realm.network", "none"], 2, "unexpected arguments: ", "git config sets one: git"),
        (
            ["port", "x", "http"],
            2,
            "invalid value for 'PORT': 'http' is not a whole number",
            "realm port --help explains it",
        ),
        (["restore", "x", "y", "\x1b[2J"], 2, "unexpected arguments: y and [2J", "realm restore --help"),
        (["new"], 125, "<name> is missing", "realm new --help explains it"),
        (["new", "--", "x"], 125, "<name> is missing", "realm new --help explains it"),
        (["new", "--bas", "x"], 125, "there is no option --bas", "did you mean --base?"),
        (["new", "x", "--base"], 125, "--base needs a value", "realm new --help explains it"),
        (
            ["new", "x", "--wip=1"],
            125,
            "option '--wip' does not take a value",
            "realm new --help explains it",
        ),
        (["completion", "tcsh"], 2, "invalid value for 'shell'", "realm completion --help explains it"),
        (["list", "--color", "pink"], 2, "invalid value for '--color'", "realm list --help explains it"),
        (["-C", "/no/such", "list"], 1, "there is no directory /no/such", "give -C an existing directory"),
        (
            ["new", "x", "-C", "/no/such"],
            125,
            "there is no directory /no/such",
            "give -C an existing directory",
        ),
        (["new", "x", "/no/such"], 125, "there is no directory /no/such", "put -- before"),
        (["l\x1b[2Jst\udcff"], 2, "there is no command l[2Jst", ""),
    ],
)
def test_a_wrong_command_line_gets_a_sentence_a_hint_and_its_code(
    line: list[str], code: int, message: str, advice: str, realm: CommandLine
) -> None:
    shown = realm(*line)
    assert shown.code == code
    assert shown.out == ""
    first, blank, *rest = shown.err.splitlines()
    assert first.startswith(f"error: {message}")
    assert blank == ""
    assert rest[-1].startswith(f"hint: {advice}")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ([], (None, 0)),
        (["list", "x"], ("list", 0)),
        (["-C", "new", "list"], ("list", 2)),
        (["--color=never", "-Cx", "new"], ("new", 2)),
        (["-C", "x"], (None, 2)),
        (["--color", "never", "--bad", "new"], ("new", 3)),
    ],
)
def test_the_verb_is_found_behind_the_options(line: list[str], expected: tuple[str | None, int]) -> None:
    assert find_verb(line) == expected


def test_names_that_begin_alike_come_first() -> None:
    assert closest("re", ["new", "resume", "remove", "list"]) == ["resume", "remove"]


@pytest.mark.parametrize("line", ["realm ", "realm resume ", "realm new x --ba"])
def test_the_version_and_completions_load_nothing_heavy(line: str) -> None:
    asked = {"_REALM_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    for environment, arguments in (({}, ["--version"]), (asked, [])):
        program = f"import os\nos.environ |= {environment}\nfrom realm.cli.app import run\nrun({arguments})"
        modules = loaded_by(program)
        assert not modules & {"dulwich", "docker", "pyte", "realm.session"}, arguments


@pytest.mark.parametrize("line", ["list", "list --json", "config", "help new"])
def test_cheap_commands_load_nothing_heavy(line: str, tmp_path: Path) -> None:
    modules = loaded_by(f"from realm.cli.app import run\nrun({['-C', str(tmp_path), *line.split()]!r})")
    assert not modules & {"dulwich", "docker", "pyte", "rich", "requests"}


@pytest.mark.parametrize("line", ["remove nope", "rename nope yep"])
def test_what_only_moves_refs_reads_no_archives(line: str, repo: Repo) -> None:
    modules = loaded_by(f"from realm.cli.app import run\nrun({['-C', str(repo.path), *line.split()]!r})")
    assert not modules & {"tarfile", "lzma", "bz2"}


def test_only_the_verb_that_is_used_is_loaded(tmp_path: Path) -> None:
    modules = loaded_by("from realm.cli.app import run\nrun(['config'])")
    assert {name for name in modules if name.removeprefix("realm.cli.") in SUMMARIES} == {"realm.cli.config"}


@pytest.mark.parametrize("verb", [*SUMMARIES, "list --all"])
def test_a_deleted_current_directory_is_no_bug(
    verb: str, realm: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    line = verb.split()
    wanted = [found for found in load(line[0]).params if isinstance(found, click.Argument) and found.required]
    several = verb in ("stop", "remove", "push", "screen", "wait")
    usual = {"completion": ["bash"], "rewind": ["x@1"], "port": ["x", "1"], "send": ["x", "hi"]}
    given = usual.get(verb, ["x"] * max(len(wanted), several))
    done = realm(*line, *given)
    assert done.code in (0, 1, 125), done.err
    assert "bug" not in done.err


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    program = "import sys; from realm.cli.app import run; sys.exit(run(['help', 'new']))"
    done = subprocess.run(
        ["/bin/bash", "-c", f'{sys.executable} -c "$0" | true; echo ${{PIPESTATUS[0]}}', program],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() in ("0", "141")
    assert done.stderr == ""


def test_output_that_does_not_fit_is_an_error() -> None:
    program = "import sys; from realm.cli.app import run; sys.exit(run(['help', 'new']))"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device")


def test_words_that_do_not_fit_change_no_exit_code() -> None:
    program = "import sys; from realm.cli.app import run; sys.exit(run(['help', 'nonsense']))"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-c", program], stderr=full, check=False)
    assert done.returncode == 2


def test_letters_that_the_terminal_cannot_show_are_replaced() -> None:
    program = "import sys; from realm.cli.app import run; sys.exit(run(['help', 'new']))"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"[<agent args>?]" in done.stdout
