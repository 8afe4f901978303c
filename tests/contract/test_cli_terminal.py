"""What a person sees: the real program at a real terminal, with a use-case behind it that takes its time."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.driver import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

PROGRAM = """\
import sys, time, types
from pathlib import Path

def plan(name, directory, ui, *, force):
    from realm.session.requests import Removal
    from realm.model import Project
    return Removal(name, Project(Path("/p"), Path("/p"), Path("/p"), "p"), "c" * 40, "d" * 40, unpushed=2)

def remove(removal, ui):
    with ui.progress("removing the sandbox"):
        while not Path("go").exists():
            time.sleep(0.02)
    ui.warn("the sandbox was slow")
    return removal

made = types.ModuleType("realm.session.remove")
made.plan, made.remove = plan, remove
sys.modules[made.__name__] = made
sys.argv[0] = "realm"
from realm.__main__ import main
main()
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Terminal]:
    def run(*arguments: str, columns: int = 100) -> Terminal:
        env = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2])}
        # With job control, so that it is in a process group of its own, as under a person's shell.
        command = shlex.join([sys.executable, "-c", PROGRAM, *arguments])
        shell = ["bash", "--norc", "-ic", f"{command}; exit $?"]
        return Terminal(shell, env=env, cwd=tmp_path, columns=columns)

    return run


def test_removing_asks_spins_and_prints_the_way_back(start: Callable[..., Terminal], tmp_path: Path) -> None:
    with start("remove", "x") as terminal:
        terminal.wait_for(r"session x has 2 commits found nowhere else\. Remove it\? \[y/N\]")
        terminal.send("y")
        terminal.press("Enter")
        terminal.wait_for(r"^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] removing the sandbox$")
        (tmp_path / "go").touch()
        terminal.wait_for(r"hint: realm restore x brings it back")
        assert terminal.wait() == 0
        lines = terminal.history().splitlines()
        assert lines[1:6] == [
            "warning: the sandbox was slow",
            "removed x",
            f"  code    {'c' * 40}",
            f"  record  {'d' * 40}",
            "hint: realm restore x brings it back",
        ]


@pytest.mark.parametrize("key", ["C-c", "C-d"])
def test_backing_out_of_a_question_removes_nothing(key: str, start: Callable[..., Terminal]) -> None:
    with start("remove", "x") as terminal:
        terminal.wait_for(r"\[y/N\]")
        terminal.press(key)
        assert terminal.wait() == (130 if key == "C-c" else 1)
        assert "Traceback" not in terminal.history()
        assert "removed x" not in terminal.history()


def test_ctrl_c_takes_the_spinner_away(start: Callable[..., Terminal]) -> None:
    with start("remove", "x", "--yes") as terminal:
        terminal.wait_for(r"removing the sandbox")
        terminal.press("C-c")
        assert terminal.wait() == 130
        assert "removing the sandbox" not in terminal.history()


@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_screen(columns: int, start: Callable[..., Terminal]) -> None:
    with start("help", "new", columns=columns) as terminal:
        assert terminal.wait() == 0
        text = terminal.history()
        assert text.startswith("Start a session: Claude Code in a throw-away container\n\nExamples\n")
        assert max(map(len, text.splitlines())) < columns


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_the_window_is_called_realm(start: Callable[..., Terminal]) -> None:
    with start("remove", "x") as terminal:
        terminal.wait_for(r"Remove it\? \[y/N\]")
        assert terminal.flag("pane_current_command") == "realm"


@pytest.mark.parametrize("left_on", [r"\033[?1049h\033[5;1H\033[?25l", r"\033[5;1H", r"\033[3;9r\033[?6h"])
def test_a_terminal_that_was_put_right_goes_on_below_what_was_there(left_on: str, tmp_path: Path) -> None:
    env = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2])}
    repair = shlex.join([sys.executable, "-m", "realm", "doctor", "--terminal"])
    script = f"printf '\\033]2;mine\\007'; seq 12; printf '\\033[22;0t\\033]0;ours\\007{left_on}'; {repair}"
    with Terminal(
        ["sh", "-c", f"{script}; echo after; read line"], env=env, cwd=tmp_path, rows=20
    ) as terminal:
        terminal.wait_for("after")
        assert terminal.history().split() == [*map(str, range(1, 13)), "after"]
        assert terminal.flag("alternate_on") == "0"
        assert terminal.flag("pane_title") == "mine"
