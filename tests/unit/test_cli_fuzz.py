"""Whatever is typed, realm says what is wrong with it: no command line is a bug."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm.cli.app import application, load
from realm.cli.verbs import HIDDEN, SUMMARIES
from tests.support.cli import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

OPTIONS = sorted(
    {
        spelling
        for command in (application, *map(load, SUMMARIES))
        for option in command.params
        if isinstance(option, click.Option)
        for spelling in option.opts
    }
)
ODD = (
    *(
        "",
        "-",
        "--",
        "---",
        "=",
        "--=",
        "-C",
        "-Cx",
        ".",
        "..",
        "/",
        "~",
        "~nobody-of-that-name",
        "./",
        "-1",
        "0",
    ),
    *(
        "fix",
        "broken",
        "HEAD",
        "refs/heads/main",
        "main",
        "9" * 30,
        "nan",
        "inf",
        "-inf",
        "1e999",
        "on",
        "bash",
    ),
    *("\udcff", "\x1b[2J", "a\nb", "é", "٣", "x" * 300, "x/y", "'", '"', "$(id)", "--run=0", "--speed=nan"),
)
TEXT = st.characters(exclude_characters="\0")
WORDS = st.one_of(
    st.sampled_from([*SUMMARIES, *HIDDEN]),
    st.sampled_from(OPTIONS),
    st.sampled_from(ODD),
    st.builds("{}={}".format, st.sampled_from(OPTIONS), st.sampled_from(ODD)),
    st.text(TEXT, max_size=6),
)
NAMES = ("fix", "broken", "nope", "bash", "doctor")


def meant(verb: str) -> st.SearchStrategy[list[str]]:
    """Return command lines of ``verb`` with its own options, whose values are odd."""
    options = [option for option in load(verb).params if isinstance(option, click.Option)]
    flags = [spelling for option in options if option.is_flag for spelling in option.opts]
    valued = [spelling for option in options if not option.is_flag for spelling in option.opts]
    two = st.tuples(st.sampled_from(valued), st.sampled_from([*NAMES, *ODD]) | st.text(TEXT, max_size=6))
    parts = st.lists(st.builds(lambda word: (word,), st.sampled_from(flags or [""])) | two, max_size=3)
    words = parts.map(lambda found: [word for part in found for word in part])
    return st.builds(
        lambda name, rest, more: [verb, *name, *rest, *more],
        st.lists(st.sampled_from(NAMES), max_size=1), words, st.lists(st.sampled_from(ODD), max_size=1),
    )  # fmt: skip


LINES = st.one_of(st.lists(WORDS, max_size=6), *(meant(verb) for verb in SUMMARIES))


@pytest.fixture
def place(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a repository, where no engine and no terminal is."""
    repo.git("update-ref", "refs/realm-trash/fix/1700000000/code", repo.head())
    repo.write(".worktreeinclude", "*\n")
    monkeypatch.chdir(repo.path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    return repo.path


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(line=LINES)
def test_no_command_line_is_a_bug(
    line: list[str], place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--terminal" in line:
        return
    refs = place / ".git/refs"
    for name in ("fix", "broken"):  # damaged, and removed by the line before perhaps
        for kind in ("realm", "realm-meta"):
            (refs / kind).mkdir(exist_ok=True)
            (refs / kind / name).write_text((refs / "heads/main").read_text() if name == "fix" else "x")
    os.chdir(place)
    done = CommandLine(monkeypatch, capsys)(*line)
    assert done.code in (0, 1, 2, 125), done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    # doctor's lines say what is wrong; grep that found nothing says nothing, as others of that name do.
    assert done.code == 0 or "error: " in done.err or {"doctor", "grep"} & set(line)
