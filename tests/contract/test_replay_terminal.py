"""Playing a recording on a real pseudo-terminal: its time, its keys, and every way out of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from realm.terminal.ansi.modes import Modes
from realm.terminal.recording.cast import Header, Moment, lines
from realm.terminal.recording.segments import Size
from tests.support.terminal import Seat

if TYPE_CHECKING:
    from pathlib import Path

PLAYER = """
import pathlib, sys
from realm.terminal.recording import cast
from realm.terminal.recording import replay
from realm.terminal.relay.tty import Terminal
_, events = cast.read(pathlib.Path(sys.argv[1]).read_bytes())
code = replay.play(events, Terminal(), speed=float(sys.argv[2]), idle_limit=float(sys.argv[3]))
print(f"ended by {code}")
"""
LONG = 1000.0


class Stage:
    """A seat at which a recording is played."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def play(self, *events: Moment, speed: float = 1, idle: float = LONG) -> Seat:
        self._path.write_bytes(b"".join(lines(Header(Size(24, 80)), events)))
        return Seat([sys.executable, "-c", PLAYER, str(self._path), str(speed), str(idle)])


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "x.cast")


def left_on(seat: Seat) -> bytes:
    modes = Modes()
    modes.feed(seat.output)
    return modes.undo()


BUSY = (
    Moment(
        0.0, "o", "\x1b[?1049h\x1b[?25l\x1b[31m\x1b[3;9r\x1b)0\x0e\x1b[4h\x1b[5 q\x1b[?1003h\x1b[>1udrawn"
    ),
    Moment(LONG, "o", "never"),
)


def test_it_plays_to_the_end_and_leaves_the_terminal_as_it_was(stage: Stage) -> None:
    events = (*BUSY[:1], Moment(0.2, "o", "\x1b]52;c;ZXZpbA==\x07 more"))
    with stage.play(*events) as seat:
        assert seat.finish() == 0
        assert seat.settings() == seat.before
        assert b"drawn" in seat.output
        assert seat.output.endswith(b"ended by 0\r\n")
        assert b"ZXZpbA" not in seat.output
        assert b"1003" not in seat.output
        assert left_on(seat) == b""


@pytest.mark.parametrize(
    ("speed", "idle", "least", "most"), [(1, LONG, 1.5, 15), (100, LONG, 0, 1.4), (1, 0.01, 0, 1.4)]
)
def test_its_time(stage: Stage, speed: float, idle: float, least: float, most: float) -> None:
    events = [Moment(number * 0.5, "o", f"<{number}>") for number in range(4)]
    with stage.play(*events, speed=speed, idle=idle) as seat:
        seat.read_until(b"<0>")
        began = time.monotonic()
        seat.read_until(b"<3>")
        assert least - 0.3 <= time.monotonic() - began <= most
        assert seat.finish() == 0


@pytest.mark.parametrize(
    ("key", "code"), [(b"q", 0), (b"\x03", signal.SIGINT), (b"xyz q", 0), (b"\x1b[A\x03", signal.SIGINT)]
)
def test_keys_end_it(stage: Stage, key: bytes, code: int) -> None:
    with stage.play(*BUSY) as seat:
        seat.read_until(b"drawn")
        seat.type(key)
        assert seat.finish() == 0
        assert seat.output.endswith(b"ended by %d\r\n" % code)
        assert b"drawn" + key not in seat.output
        assert seat.settings() == seat.before
        assert left_on(seat) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(stage: Stage, number: signal.Signals) -> None:
    with stage.play(*BUSY) as seat:
        seat.read_until(b"drawn")
        seat.signal(number)
        assert seat.finish() == 0
        assert seat.output.endswith(b"ended by %d\r\n" % number)
        assert seat.settings() == seat.before
        assert left_on(seat) == b""


def test_the_space_bar_halts_it_and_goes_on(stage: Stage) -> None:
    events = [Moment(number * 0.3, "o", f"<{number}>") for number in range(1, 5)]
    with stage.play(*events) as seat:
        seat.read_until(b"<1>")
        seat.type(b" ")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            seat.pump(0.1)
        assert b"<4>" not in seat.output
        seat.type(b" ")
        seat.read_until(b"<4>")
        assert seat.finish() == 0


def test_a_flood_without_pauses_can_be_ended(stage: Stage) -> None:
    events = [Moment(0.0, "o", "flood " * 50) for _ in range(40_000)]
    with stage.play(*events) as seat:
        seat.read_until(b"flood", 60)
        seat.type(b"\x03")
        assert seat.finish(60) == 0
        assert seat.output.endswith(b"ended by 2\r\n")
        assert len(seat.output) < 40_000 * 300


def test_a_terminal_that_is_closed_ends_it(stage: Stage) -> None:
    with stage.play(*BUSY) as seat:
        seat.read_until(b"drawn")
        for name in ("master", "slave"):
            os.close(getattr(seat, name))
            setattr(seat, name, -1)
        assert seat.process.wait(20) is not None


def test_a_damaged_recording_leaves_the_terminal_as_it_was(stage: Stage, tmp_path: Path) -> None:
    with stage.play(*BUSY[:1], Moment(0.5, "o", "x")) as seat:
        seat.finish()
    path = tmp_path / "x.cast"
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    with Seat([sys.executable, "-c", PLAYER, str(path), "1", "1"]) as seat:
        assert seat.finish() == 1
        assert b"drawn" in seat.output
        assert b"RealmError" in seat.output
        assert seat.settings() == seat.before
        assert left_on(seat) == b""
