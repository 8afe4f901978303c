from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import hypothesis
import pytest
from hypothesis import strategies

from realm.cli.boundary import CommandLineError
from realm.cli.new import command as new
from realm.cli.params import Split, split, takes_value

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = takes_value([*new.params, click.Option(["-h", "--help"], is_flag=True)])


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "notes.md").touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["x"], Split([], "x", None, [])),
        (["x", "explain this codebase"], Split([], "x", None, ["explain this codebase"])),
        (["x", "sub"], Split([], "x", "sub", [])),
        (["x", ".", "-p", "hi"], Split([], "x", ".", ["-p", "hi"])),
        (["x", "--", "-p", "hi", "--model", "opus"], Split([], "x", None, ["-p", "hi", "--model", "opus"])),
        (["x", "--", "sub"], Split([], "x", None, ["sub"])),
        (["x", "sub", "--", "sub"], Split([], "x", "sub", ["sub"])),
        (["x", "--remote"], Split(["--remote"], "x", None, [])),
        (["--remote", "x"], Split(["--remote"], "x", None, [])),
        (["--base", "v1", "x", "--wip", "sub", "--image", "i", "go"],
         Split(["--base", "v1", "--wip", "--image", "i"], "x", "sub", ["go"])),
        (["x", "--base=v1"], Split(["--base=v1"], "x", None, [])),
        (["x", "--include", "a", "--include=b"], Split(["--include", "a", "--include=b"], "x", None, [])),
        (["x", "-C", "sub", "sub"], Split(["-C", "sub"], "x", None, ["sub"])),
        (["x", "-Csub", "sub"], Split(["-Csub"], "x", None, ["sub"])),
        (["x", "--model", "opus", "--remote"], Split([], "x", None, ["--model", "opus", "--remote"])),
        (["x", "fix it", "--help"], Split([], "x", None, ["fix it", "--help"])),
        (["x", "-p"], Split([], "x", None, ["-p"])),
        (["x", "-"], Split([], "x", None, ["-"])),
        (["x", ""], Split([], "x", None, [""])),
        (["x", "/init"], Split([], "x", None, ["/init"])),
        (["x", "./notes.md"], Split([], "x", None, ["./notes.md"])),
        (["x", "a/b c"], Split([], "x", None, ["a/b c"])),
        (["x", "a" * 10_000], Split([], "x", None, ["a" * 10_000])),
        (["--", "x"], Split([], None, None, ["x"])),
        (["x", "--agent", "-C", "sub"], Split(["--agent", "-C"], "x", "sub", [])),
        ([], Split([], None, None, [])),
    ],
)  # fmt: skip
def test_a_command_line_is_taken_apart_where_the_agents_part_begins(line: list[str], expected: Split) -> None:
    assert split(line, KNOWN, project=True) == expected


def test_without_a_project_every_second_argument_is_the_agents() -> None:
    assert split(["x", "sub", "go"], KNOWN, project=False) == Split([], "x", None, ["sub", "go"])


@pytest.mark.parametrize("missing", ["./nope", "../nope", "~/nope", "nope/", "/no/such/place"])
def test_a_directory_that_is_not_there_is_no_prompt(missing: str) -> None:
    with pytest.raises(CommandLineError, match="there is no directory"):
        split(["x", missing], KNOWN, project=True)


def test_an_unknown_option_before_the_name_is_not_swallowed() -> None:
    with pytest.raises(CommandLineError, match=r"there is no option --bas$") as caught:
        split(["--bas=v1", "x"], KNOWN, project=True)
    assert caught.value.hint == "did you mean --base?"


def test_an_option_of_the_agents_before_the_name_is_explained() -> None:
    with pytest.raises(CommandLineError) as caught:
        split(["--dangerously", "x"], KNOWN, project=True)
    assert caught.value.hint == "options of the agent go after the name"


def test_a_project_given_twice_is_an_error() -> None:
    with pytest.raises(CommandLineError, match="given twice"):
        split(["x", "sub", "-C", "."], KNOWN, project=True)


@hypothesis.given(strategies.lists(strategies.text(max_size=8), max_size=6))
def test_whatever_follows_two_dashes_arrives_unchanged(rest: list[str]) -> None:
    assert split(["x", "--wip", "--", *rest], KNOWN, project=True).agent == rest


@hypothesis.given(strategies.lists(strategies.sampled_from(
    ["x", "--remote", "--base", "-C", ".", "-p", "a b", "--", "--wip", "sub"]), max_size=7))  # fmt: skip
def test_nothing_is_lost_and_nothing_changes_its_order(line: list[str]) -> None:
    try:
        parts = split(line, KNOWN, project=True)
    except CommandLineError:
        return
    count = len(parts.own) + len(parts.agent) + (parts.name is not None) + (parts.project is not None)
    assert len(line) - count in (0, 1)
    assert parts.agent == line[len(line) - len(parts.agent) :]
    assert parts.project is None or os.path.isdir(parts.project)  # noqa: PTH112


@pytest.mark.parametrize("line", [["x", "--base"], ["x", "--base", "--", "go"], ["--include"]])
def test_an_option_without_its_value_is_an_error(line: list[str]) -> None:
    with pytest.raises(CommandLineError, match=r"needs a value$"):
        split(line, KNOWN, project=True)
