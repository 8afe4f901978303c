"""What turns showed: played from the recording, up to their marks, given the turns' numbers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.config import Config
from realm.model import Checkpoint
from realm.session import recordings
from realm.session.recordings import Shown, TerminalState, TurnScreens
from realm.terminal.ansi.modes import Modes
from realm.terminal.recording import recorder as recorder_module
from realm.terminal.recording.recorder import Recorder
from realm.terminal.relay.events import Event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_000.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(recorder_module, "time", made)
    return made


class Run:
    """A run's holder at work, its output and its marks."""

    def __init__(self, place: Path, clock: Clock, limit: int = 1 << 20) -> None:
        self.place, self.clock = place, clock
        modes = Modes()
        recorder = Recorder(place, limit=limit, state=modes.redo)
        self.state = TerminalState((5, 30), modes, recorder, place, tty=True)
        self.incomplete: list[str] = []

    def show(self, text: bytes, after: float = 0.0) -> None:
        """Write something after a while."""
        self.clock.now += after
        self.state.keep(text)

    def hear(self, *sounds: Event) -> None:
        for sound in sounds:
            self.state.hear(sound)

    def turns(self, *ends: float, end_turn: int | None = None) -> dict[int, str]:
        """Return the texts of turns of which the container says that they ended so long after the start."""
        points = [Checkpoint("0", "0", turn, START + end) for turn, end in enumerate(ends, 1)]
        points.append(Checkpoint("0", "0", len(ends) if end_turn is None else end_turn, START + 9999))
        self.state.flush()
        files, incomplete = recordings.shown(self.place, (5, 30), Config(self.place)).of_turns(points)
        self.incomplete = [*incomplete]
        named = {name: data for name, data in files.items() if name.endswith("txt")}
        assert [f"{name[:-3]}ans" for name in named] == [name for name in files if name.endswith("ans")]
        return {int(name[6:10]): data.decode() for name, data in sorted(named.items())}


def test_each_turn_has_what_showed_when_its_end_was_drawn(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    for number in (1, 2):
        run.hear(Event.BEGUN)
        run.show(b"\x1b[H\x1b[2Jworking", after=5)
        run.hear(Event.ENDED)
        run.show(b"\x1b[H\x1b[2Janswer %d" % number, after=0.2)
        run.show(b"\r\nprompt", after=0.3)
        run.show(b"\r\ntyped", after=2)
    assert run.turns(5, 12) == {1: "answer 1\nprompt", 2: "answer 2\nprompt"}
    assert run.incomplete == []


def test_a_picture_that_is_not_complete_yet_does_not_count(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.hear(Event.BEGUN, Event.ENDED)
    run.show(b"answer", after=0.5)
    clock.now += 0.1
    for _ in range(200):
        run.show(b"\x1b[2;1H\x1b[Kturning", after=0.005)
    assert run.turns(0) == {1: "answer"}


def test_a_prompt_right_after_a_turn_is_not_in_its_picture(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.hear(Event.BEGUN)
    run.show(b"one", after=1)
    run.hear(Event.ENDED, Event.BEGUN)
    run.show(b" two", after=0.1)
    run.hear(Event.ENDED)
    run.show(b" end", after=0.1)
    assert run.turns(1, 1) == {1: "one", 2: "one two end"}


def test_an_interrupted_turn_ends_when_the_next_one_begins(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.hear(Event.BEGUN)
    run.show(b"interrupted", after=1)
    run.hear(Event.BEGUN)
    run.show(b" next", after=1)
    assert run.turns(1) == {1: "interrupted"}


def test_a_ring_is_no_end(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.hear(Event.BELL)
    run.show(b"x")
    assert run.turns(0) == {}


def test_a_turn_that_a_flood_took_has_no_picture_and_what_follows_says_it_is_incomplete(
    tmp_path: Path, clock: Clock
) -> None:
    run = Run(tmp_path, clock, limit=8000)
    run.hear(Event.ENDED)
    run.show(b"one", after=1)
    for _ in range(400):
        run.show(b"x" * 30, after=0.01)
    run.show(b"\x1b[5;1H", after=10)
    for _ in range(100):
        run.show(b"\x1b[Hy" + b"x" * 70, after=0.01)
    run.show(b"\nlast", after=10)
    run.hear(Event.ENDED)
    run.show(b"!", after=0.1)
    turns = run.turns(0, 25.0)
    assert list(turns) == [2]
    assert turns[2].endswith("last!")
    assert run.incomplete == ["screen", "turns/0002.screen"]


def test_a_turn_of_which_nobody_heard_gets_no_other_turns_picture(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.hear(Event.ENDED)
    run.show(b"one", after=0.1)
    clock.now += 60
    run.hear(Event.ENDED)
    run.show(b" three", after=0.1)
    assert run.turns(0, 30, 60) == {1: "one", 3: "one three"}


def test_the_turn_that_ended_with_the_run_has_the_last_screen(tmp_path: Path) -> None:
    shown = Shown({"screen.txt": b"bye", "screen.ans": b"BYE"}, tmp_path, dropped=10, incomplete=True)
    points = [Checkpoint("0", "0", 3, START)]
    assert shown.of_turns(points) == (
        {"turns/0003.screen.txt": b"bye", "turns/0003.screen.ans": b"BYE"},
        ["screen", "turns/0003.screen"],
    )
    assert shown.of_turns([Checkpoint("0", "0", 0, START)]) == ({}, ["screen"])
    assert shown.of_turns([]) == ({}, ["screen"])
    assert Shown().of_turns(points) == ({}, [])


def test_when_there_is_no_time_the_newest_turns_come_first(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_PATIENCE", 0.2)
    run = Run(tmp_path, clock, limit=8 << 20)
    for number in range(40):
        clock.now = START + 10 * number
        run.show(b"\x1b[H" + b"\x1b[K%d\r" % number * 20_000)
        run.hear(Event.ENDED)
    began = time.monotonic()
    turns = run.turns(*range(0, 400, 10))
    assert time.monotonic() - began < 6
    assert 0 < len(turns) < 40
    assert max(turns) == 40
    assert turns[40] == "39"


def test_a_second_holder_goes_on_and_what_did_not_come_is_said(tmp_path: Path, clock: Clock) -> None:
    first = Run(tmp_path, clock)
    first.show(b"one")
    first.hear(Event.ENDED)
    drawing = first.state.drawing()
    second = Run(tmp_path, clock)
    second.state.modes.feed(drawing)
    second.show(b" two", after=10)
    assert second.turns(0) == {1: "one"}
    second.state.doubt()
    second.show(b" three", after=1)
    second.turns(0)
    assert second.incomplete == ["screen"]
    second.show(b"\x1b[H\x1b[2Jnew", after=1)
    second.turns(0)
    assert second.incomplete == []


def test_while_the_run_goes_on_each_screen_is_there_once_when_it_has_been_drawn(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_DRAWN", 0.3)
    run = Run(tmp_path, clock)
    screens = TurnScreens(tmp_path, (5, 30))
    assert screens.wait() is None
    for number in (1, 2):
        run.hear(Event.BEGUN)
        run.show(b"\x1b[H\x1b[2Janswer %d" % number, after=5)
        run.hear(Event.ENDED)
        screens.ended(number, clock.now)
        run.show(b" is drawn", after=0.3)
        clock.now += 1
    run.state.flush()
    assert screens.wait()
    assert not screens.drawn().files
    eventually(lambda: screens.wait() == 0, 5)
    found = screens.drawn()
    texts = {name: data for name, data in found.files.items() if name.endswith(".txt")}
    assert texts == {
        "turns/0001.screen.txt": b"answer 1 is drawn", "turns/0002.screen.txt": b"answer 2 is drawn",
    }  # fmt: skip
    assert screens.wait() is None
    assert not screens.drawn().files


def test_what_the_record_has_is_not_played_again_but_for_the_last_turn(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    for number in (1, 2):
        run.hear(Event.BEGUN)
        run.show(b"\x1b[H\x1b[2Janswer %d" % number, after=5)
        run.hear(Event.ENDED)
    run.state.flush()
    points = [Checkpoint("0", "0", turn, START + end) for turn, end in ((1, 5), (2, 10), (2, 99))]
    shown = recordings.shown(tmp_path, (5, 30), Config(tmp_path))
    assert {name[:10] for name in shown.of_turns(points, {1, 2}).files} == {"turns/0002"}


def test_a_place_that_cannot_be_written_costs_only_the_pictures(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_bytes(b"")
    run = Run(tmp_path / "file", clock)
    run.hear(Event.ENDED)
    run.show(b"x")
    assert recordings.shown(tmp_path / "file", (5, 30), Config(tmp_path)) == Shown()


def test_a_run_without_a_terminal_has_a_recording_and_no_pictures(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, limit=1 << 20)
    state = TerminalState((5, 30), Modes(), recorder, tmp_path, tty=False)
    state.hear(Event.ENDED)
    state.feed(b"one\ntwo\n")
    state.flush()
    shown = recordings.shown(tmp_path, (5, 30), Config(tmp_path), tty=False)
    assert list(shown.files) == ["session.cast"]
    assert b"one\\r\\ntwo" in shown.files["session.cast"]
    assert shown.of_turns([Checkpoint("0", "0", 1, START), Checkpoint("0", "0", 1, START)]) == ({}, [])
