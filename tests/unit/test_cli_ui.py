from __future__ import annotations

import io
import sys
import time

import pytest

from realm.cli import ui as voice
from realm.cli.ui import TerminalUI


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def sit_down(monkeypatch: pytest.MonkeyPatch, typed: str = "") -> Tty:
    """Make the streams a terminal where ``typed`` was typed; pytest resets them before each test's body."""
    stream = Tty()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdin", Tty(typed))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(voice, "DELAY", 0.02)
    monkeypatch.setattr(voice, "_PERIOD", 0.01)
    return stream


def wait_for(stream: Tty, text: str) -> None:
    end = time.monotonic() + 5
    while text not in stream.getvalue() and time.monotonic() < end:
        time.sleep(0.005)
    assert text in stream.getvalue()


def test_a_spinner_comes_late_and_goes_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    with TerminalUI().progress("building"):
        assert terminal.getvalue() == ""
        wait_for(terminal, "\r⠋ building\x1b[K")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_without_a_terminal_what_takes_long_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(voice, "LONG", 0.02)
    ui = TerminalUI()
    with ui.progress("building"), ui.progress("step 1"):
        end = time.monotonic() + 5
        while not log.getvalue() and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(0.1)
    monkeypatch.setattr(voice, "LONG", 30)
    with ui.progress("quick"):
        pass
    assert log.getvalue() == "step 1\n"


def test_what_is_quick_shows_no_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    monkeypatch.setattr(voice, "DELAY", 30)
    with TerminalUI().progress("building"):
        pass
    assert terminal.getvalue() == ""


def test_a_warning_takes_the_spinners_line_away_first(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    ui = TerminalUI()
    with ui.progress("building"):
        wait_for(terminal, "building")
        ui.warn("look out")
    assert "\r\x1b[Kwarning: look out\n" in terminal.getvalue()


def test_an_inner_spinner_has_the_line_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    ui = TerminalUI()
    with ui.progress("outer"):
        wait_for(terminal, "outer")
        with ui.progress("inner"):
            wait_for(terminal, "inner")
            so_far = len(terminal.getvalue())
            time.sleep(0.05)
            assert "outer" not in terminal.getvalue()[so_far:]
        so_far = len(terminal.getvalue())
        time.sleep(0.05)
        assert "outer" in terminal.getvalue()[so_far:]


def test_a_spinner_goes_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)

    def work() -> None:
        with TerminalUI().progress("building"):
            wait_for(terminal, "building")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_long_text_stays_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    with TerminalUI().progress("a" * 100):
        wait_for(terminal, f"{'a' * 16}…\x1b[K")


def test_in_a_pipe_nothing_spins(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "DELAY", 0)
    with TerminalUI().progress("building"):
        time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("answer", "meant"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_only_yes_is_yes(answer: str, meant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch, answer)
    assert TerminalUI().confirm("Remove it?") is meant
    assert terminal.getvalue().startswith("Remove it? [y/N] ")


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    assert not TerminalUI(no_input=True).interactive
    assert not TerminalUI(no_input=True).confirm("Remove it?")
    assert terminal.getvalue() == ""


def test_what_a_repository_says_is_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    ui = TerminalUI()
    ui.warn("a\x1b[2Jb\nc")
    ui.info("d\x07\ne")
    assert capsys.readouterr().err == "warning: a[2Jb c\nd\ne\n"
