from __future__ import annotations

import re
import shutil
import subprocess

import click
import pytest

from realm import __version__
from realm.cli.app import application, load
from realm.cli.manpage import JSON, escape, page
from realm.cli.verbs import SUMMARIES
from realm.config import SETTINGS


def plain() -> str:
    """Return the page's text with roff's escapes undone."""
    text = page().replace("\\-", "-").replace("\\(aq", "'").replace("\\(ti", "~").replace("\\&", "")
    return re.sub(r"\\f[BR]", "", text).replace("\n", " ")


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_command_and_option_stands_in_the_page(verb: str) -> None:
    text = page()
    begin = text.index(f".SS realm {verb} ")
    section = text[begin : text.find("\n.S", begin + 1)].replace("\\-", "-")
    assert escape(SUMMARIES[verb]).replace("\\-", "-") in section
    for option in load(verb).params:
        if isinstance(option, click.Option):
            assert all(f"\\fB{spelling}" in section or f", {spelling}" in section for spelling in option.opts)
            assert option.help


def test_the_options_before_the_verb_stand_there() -> None:
    options = [option for option in application.params if isinstance(option, click.Option)]
    assert {spelling for option in options for spelling in option.opts} == {"-C", "--color", "--version"}
    for option in options:
        assert f"\\fB{escape(option.opts[0])}" in page()


def test_every_setting_with_its_variable_and_default_stands_there() -> None:
    text = plain()
    for setting in SETTINGS:
        assert f"realm.{setting.key}, {setting.variable} {setting.help}" in text
        assert not setting.default or f"(default: {setting.default})" in text


def test_every_json_is_explained() -> None:
    assert {
        verb for verb in SUMMARIES if any("--json" in option.opts for option in load(verb).params)
    } == set(JSON)
    assert all(f"realm {verb} --json {keys}" in plain() for verb, keys in JSON.items())


@pytest.mark.parametrize("code", [0, 1, 2, 3, 125, 130, 141])
def test_every_exit_code_stands_there(code: int) -> None:
    assert f".TP\n\\fB{code}\\fR\n" in page().partition("EXIT STATUS")[2]


def test_the_header_names_the_page_and_the_version() -> None:
    assert re.match(rf'\.TH GIT\\-REALM 1 "\d{{4}}-\d\d-\d\d" "realm {__version__}" ', page())


def test_no_line_begins_a_macro_by_accident_and_all_is_ascii() -> None:
    assert page().isascii()
    assert {line.split()[0] for line in page().splitlines() if line.startswith((".", "'"))} <= {
        ".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("--a", "\\-\\-a"), (".x", "\\&.x"), ("a\\b", "a\\eb"), ("'x'", "\\(aqx\\(aq"), ("…", "\\[u2026]")],
)
def test_text_is_taken_literally(text: str, expected: str) -> None:
    assert escape(text) == expected


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_has_nothing_to_complain() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning"], input=page(), capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_shows_it(tmp_path: object) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-l", "-"], input=page(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "realm new <name> [options] [<project_dir>] [<agent args>" in done.stdout
