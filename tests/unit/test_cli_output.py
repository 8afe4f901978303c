from __future__ import annotations

import io
import sys

import pytest

from realm.cli import output
from realm.cli.output import Cell


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _automatic() -> None:
    output.choose_color("auto")


@pytest.mark.parametrize(
    ("when", "environment", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": ""}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"CLICOLOR_FORCE": "1"}, True, False),
    ],
)
def test_the_flag_comes_before_the_environment_and_that_before_the_terminal(
    when: str, environment: dict[str, str], terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    output.choose_color(when)
    assert output.colored(Tty() if terminal else io.StringIO()) is expected


ROWS = [
    [Cell("a", "bold"), Cell("/a/long/way/to/the/project"), Cell("x")],
    [Cell("bcd"), Cell("/p"), Cell("y z")],
]


def test_in_a_pipe_a_table_is_tabs_without_header_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "PROJECT", "REST"), ROWS, elastic=[1])
    assert capsys.readouterr().out == "a\t/a/long/way/to/the/project\tx\nbcd\t/p\ty z\n"


def test_on_a_terminal_a_table_is_aligned_with_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    output.table(("NAME", "PROJECT", "REST"), ROWS, elastic=[1])
    assert stream.getvalue().splitlines() == [
        "NAME  PROJECT                     REST",
        "a     /a/long/way/to/the/project  x",
        "bcd   /p                          y z",
    ]


def test_a_narrow_terminal_cuts_the_elastic_column_only(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    output.table(("NAME", "PROJECT", "REST"), ROWS, elastic=[1])
    lines = stream.getvalue().splitlines()
    assert lines[1] == "a     …ay/to/the/project  x"
    assert max(map(len, lines)) <= 30


def test_wide_characters_take_two_columns() -> None:
    assert output.width("日本") == 4
    assert output.width("e\u0301") == 1
    assert output.cut("日本語x", 4) == "…語x"


def test_cells_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A", "B"), [[Cell("a\x1b[31m\tb\n"), Cell("\u202ec")]], elastic=[0])
    assert capsys.readouterr().out == "a[31m b \tc\n"


def test_colour_does_not_shift_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    monkeypatch.setattr(sys, "stdout", stream)
    output.table(("N", "P"), [[Cell("a", "bold"), Cell("b")], [Cell("long"), Cell("c")]], elastic=[1])
    assert "\x1b[1ma\x1b[0m     b" in stream.getvalue()


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (0, "just now"),
        (-100, "just now"),
        (61, "1 minute ago"),
        (3 * 60, "3 minutes ago"),
        (3600, "1 hour ago"),
        (86_400 * 2, "2 days ago"),
        (86_400 * 8, "1 week ago"),
        (86_400 * 70, "2 months ago"),
        (86_400 * 800, "2 years ago"),
    ],
)
def test_times_in_words(passed: float, words: str) -> None:
    assert output.ago(1_700_000_000 - passed, 1_700_000_000) == words


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "1970-01-01T00:00:00Z"), (1_700_000_000.9, "2023-11-14T22:13:20Z"), (None, None), (1e300, None),
     (float("nan"), None)],
)  # fmt: skip
def test_times_for_programs(seconds: float | None, expected: str | None) -> None:
    assert output.iso(seconds) == expected


def test_closed_streams_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    output.data("x")
    output.error("x", "y")
    output.table(("A",), [[Cell("a")]], elastic=[0])
    assert sys.stdout is None
