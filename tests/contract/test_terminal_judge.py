"""Screen, modes and the way back, judged by a terminal that others wrote."""

from __future__ import annotations

import json
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from realm.terminal.ansi.modes import Modes
from tests.support.screens import Screen
from tests.support.terminal import COLUMNS, ROWS, Judge, driver_command, recordings
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDINGS = recordings()
CURSOR = {"cursor_x", "cursor_y"}


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    with Judge(tmp_path) as made:
        yield made


def modes_of(judge: Judge) -> dict[str, str]:
    return {name: value for name, value in judge.state().items() if name not in CURSOR}


@pytest.mark.parametrize("part", [0.35, 0.7, 1])
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_of_a_real_program(judge: Judge, tmp_path: Path, name: str, part: float) -> None:
    judge.show(b"", tmp_path)
    fresh = modes_of(judge)
    output = RECORDINGS[name][: int(len(RECORDINGS[name]) * part)]
    screen, modes = Screen(ROWS, COLUMNS), Modes()
    modes.resize(ROWS)
    screen.feed(output)
    modes.feed(output)

    judge.show(output, tmp_path)
    seen, state = judge.screen(), judge.state()
    assert screen.text() == seen

    # The undo brings back a terminal as it was, the redo what the program had.
    judge.show(output + modes.undo(), tmp_path)
    assert modes_of(judge) == fresh
    judge.show(modes.redo(screen.ansi()), tmp_path)
    assert judge.screen() == seen
    assert judge.state() == state


def test_modes_one_by_one_are_undone(judge: Judge, tmp_path: Path) -> None:
    judge.show(b"", tmp_path)
    fresh = modes_of(judge)
    switches = [
        b"\x1b[?47h", b"\x1b[?1047h", b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[?7l", b"\x1b[4h",
        b"\x1b=", b"\x1b[?1h", b"\x1b[?1000h", b"\x1b[?1002h", b"\x1b[?1003h", b"\x1b[?1005h",
        b"\x1b[?1006h", b"\x1b[3;7r", b"\x1b[?6h",
    ]  # fmt: skip
    for switch in switches:
        modes = Modes()
        modes.feed(switch)
        judge.show(switch, tmp_path)
        assert modes_of(judge) != fresh, switch
        judge.show(switch + modes.undo(), tmp_path)
        assert modes_of(judge) == fresh, switch
    judge.show(b"".join(switches), tmp_path)
    modes = Modes()
    modes.feed(b"".join(switches))
    judge.show(b"".join(switches) + modes.undo(), tmp_path)
    assert modes_of(judge) == fresh


def test_text_of_all_kinds(judge: Judge, tmp_path: Path) -> None:
    output = (
        "wide 你好世界 end\r\ncombining e\u0301o\u0308 n\u0303\r\n"
        "colon \x1b[38:2::255:0:0mred\x1b[0;4:3mcurly\x1b[m\r\n"
        "\x1bPq#0~~\x1b\\dcs \x1b_G\x1b\\apc \x1b]2;t\x07osc \x1b[<u\x1b[>1ukitty\r\n"
        + "x" * 79 + "你\r\n"
        + "\x1b[10;20Htab\ttab\x1b[12;1H\x1b[44mblue\x1b[K\x1b[m\x1b[14;1Habcdef\x1b[3D\x1b[2P\x1b[@"
        "\x1b[16;5Hrep\x1b[4b\x1b[20;78Hwrapped\x1b[22;1H你你你\x1b[22;3Hx"
    ).encode()  # fmt: skip
    screen = Screen(ROWS, COLUMNS)
    screen.feed(output)
    judge.show(output, tmp_path)
    assert screen.text() == judge.screen()


def test_a_stop_and_a_continue_by_the_shell(judge: Judge, tmp_path: Path) -> None:
    report = tmp_path / "report"
    program = r"""
        trap 'printf "\033[2J\033[Hsize %s" "$(stty size)"' WINCH
        printf '\033[?1049h\033[?1003h\033[?25l\033[2J\033[Hpicture'
        i=0; while [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done"""
    command = driver_command(["sh", "-c", program], report)
    script = tmp_path / "go"
    script.write_text(f"exec {shlex.join(command)}")
    judge.run(["bash", "--norc", "--noprofile", "-i"])
    judge.type(f"PS1='prompt> '; sh {script}; echo ended")
    judge.key("Enter")
    judge.wait_for_text("picture")
    assert judge.state()["mouse_all_flag"] == "1"

    judge.signal_foreground(signal.SIGTSTP)
    judge.wait_for_text("Stopped")
    state = judge.state()
    assert (state["alternate_on"], state["mouse_all_flag"], state["cursor_flag"]) == ("0", "0", "1")

    judge.type("fg")
    judge.key("Enter")
    judge.wait_for_text("size 24 80")
    state = judge.state()
    assert (state["alternate_on"], state["mouse_all_flag"], state["cursor_flag"]) == ("1", "1", "0")
    judge.signal_foreground(signal.SIGTERM)
    judge.wait_for_text("ended")
    eventually(report.exists, 20)
    assert json.loads(report.read_text())["reason"] == "signal"
    state = judge.state()
    assert (state["alternate_on"], state["mouse_all_flag"], state["cursor_flag"]) == ("0", "0", "1")
