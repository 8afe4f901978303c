from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import hypothesis
import pytest
from hypothesis import strategies

from realm.agents import find
from realm.cli.boundary import CommandLineError
from realm.cli.new import command as new
from realm.cli.params import Split, claimed, regain, split, takes_value

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
        (["x", "--", "-p", "hi", "-m"], Split([], "x", None, ["-p", "hi", "-m"], explicit=True)),
        (["x", "--", "sub"], Split([], "x", None, ["sub"], explicit=True)),
        (["x", "sub", "--", "sub"], Split([], "x", "sub", ["sub"], explicit=True)),
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
        (["--", "x"], Split([], None, None, ["x"], explicit=True)),
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
    assert caught.value.hint == "the agent's options go after the name"


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


CLAUDE = find().options or frozenset()


@pytest.mark.parametrize(
    ("line", "own", "agent"),
    [
        (["prompt", "--detach"], ["--detach"], ["prompt"]),
        (
            ["-p", "prompt", "--image", "i", "--model", "opus"],
            ["--image", "i"],
            ["-p", "prompt", "--model", "opus"],
        ),
        (["prompt", "--base=v1"], ["--base=v1"], ["prompt"]),
        (["write about --detach"], [], ["write about --detach"]),
        (["prompt", "--agent", "reviewer", "--remote"], [], ["prompt", "--agent", "reviewer", "--remote"]),
        (["prompt", "-C", "sub", "--help"], [], ["prompt", "-C", "sub", "--help"]),
        (["prompt", "--", "--detach"], [], ["prompt", "--", "--detach"]),
        (["--", "prompt", "--detach"], [], ["prompt", "--detach"]),
        (["prompt", "--wip", "--", "--wip"], ["--wip"], ["prompt", "--", "--wip"]),
    ],
)
def test_realms_own_options_are_known_anywhere_before_two_dashes(
    line: list[str], own: list[str], agent: list[str]
) -> None:
    parts = regain(split(["x", *line], KNOWN, project=True), KNOWN, CLAUDE)
    assert (parts.own, parts.agent) == (own, agent)


def test_one_that_lacks_its_value_is_an_error_there_too() -> None:
    with pytest.raises(CommandLineError, match=r"--image needs a value$"):
        regain(split(["x", "prompt", "--image"], KNOWN, project=True), KNOWN, CLAUDE)


_WORDS = ("go", "--detach", "--base", "--base=v", "-p", "--", "--model", "--agent", "v")


@hypothesis.given(strategies.lists(strategies.sampled_from(_WORDS), max_size=7))
def test_taking_realms_options_back_keeps_the_order_of_the_rest(line: list[str]) -> None:
    parts = split(["x", "go", *line], KNOWN, project=True)
    try:
        again = regain(parts, KNOWN, CLAUDE)
    except CommandLineError:
        return
    assert sorted([*again.own, *again.agent]) == sorted([*parts.own, *parts.agent])
    assert not set(claimed(again, KNOWN)) - CLAUDE
    left = iter(parts.agent)
    assert all(word in left for word in again.agent)
