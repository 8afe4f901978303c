"""What turns showed: taken at their ends, kept through every hand, given the turns' numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.model import Checkpoint
from realm.session import stills
from realm.session.stills import Album, Shown, Stills
from realm.session.view import View
from realm.terminal.emulator.screen import Screen
from realm.terminal.recording.recorder import Recorder
from realm.terminal.relay.ears import Sound

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
        return self.now - START + 5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stills, "time", made)
    return made


class Run:
    """A run's holder at work, its output and its marks."""

    def __init__(self, place: Path, clock: Clock, limit: int = 1 << 20) -> None:
        self.place, self.clock = place, clock
        self.screen = Screen(5, 30, limit)
        self.stills = Stills(self.screen, Album(place / stills.DIRECTORY))

    def show(self, text: bytes, after: float = 0.0) -> None:
        """Write something and be quiet."""
        self.clock.now += after
        self.screen.feed(text)
        self.idle()

    def idle(self) -> None:
        while self.screen.work() or self.stills.work():
            pass

    def turns(self, *ends: float, end_turn: int | None = None) -> dict[int, str]:
        """Return the texts of turns of which the box says that they ended so long after the start."""
        points = [Checkpoint("0", "0", turn, START + end) for turn, end in enumerate(ends, 1)]
        points.append(Checkpoint("0", "0", len(ends) if end_turn is None else end_turn, START + 9999))
        files, self.incomplete = Shown(place=self.place).of_turns(points)
        named = {name: data for name, data in files.items() if name.endswith("txt")}
        assert [f"{name[:-3]}ans" for name in named] == [name for name in files if name.endswith("ans")]
        return {int(name[6:10]): data.decode() for name, data in named.items()}


def test_each_turn_has_what_showed_when_its_end_was_drawn(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    for number in (1, 2):
        run.stills.hear(Sound.BEGUN)
        run.show(b"\x1b[H\x1b[2Jworking", after=5)
        run.stills.hear(Sound.ENDED)
        run.show(b"\x1b[H\x1b[2Janswer %d" % number, after=0.2)
        run.show(b"\r\nprompt", after=0.3)
        run.show(b"\r\ntyped", after=2)
    assert run.turns(5, 12) == {1: "answer 1\nprompt", 2: "answer 2\nprompt"}
    assert run.incomplete == []


def test_a_prompt_right_after_a_turn_is_not_in_its_picture(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.stills.hear(Sound.BEGUN)
    run.show(b"one", after=1)
    run.stills.hear(Sound.ENDED)
    run.stills.hear(Sound.BEGUN)
    run.show(b" two", after=0.1)
    run.stills.hear(Sound.ENDED)
    run.show(b" end", after=0.1)
    assert run.turns(1, 1) == {1: "one", 2: "one two end"}


def test_an_interrupted_turn_ends_when_the_next_one_begins(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.stills.hear(Sound.BEGUN)
    run.show(b"interrupted", after=1)
    run.stills.hear(Sound.BEGUN)
    run.show(b" next", after=1)
    assert run.turns(1) == {1: "interrupted"}


def test_a_ring_is_no_end(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.stills.hear(Sound.RING)
    run.show(b"x")
    assert run.turns(0) == {}


def test_what_was_dropped_unseen_has_no_picture_and_what_follows_says_it_is_incomplete(
    tmp_path: Path, clock: Clock
) -> None:
    run = Run(tmp_path, clock, limit=100)
    run.stills.hear(Sound.ENDED)
    for _ in range(10):
        run.screen.feed(b"x" * 30)
    run.show(b"\nlast", after=10)
    run.stills.hear(Sound.ENDED)
    run.show(b"!")
    turns = run.turns(0, 10)
    assert list(turns) == [2]
    assert turns[2].endswith("last!")
    assert run.incomplete == ["turns/0002.screen"]


def test_a_turn_of_which_nobody_heard_gets_no_other_turns_picture(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.stills.hear(Sound.ENDED)
    run.show(b"one")
    clock.now += 60
    run.stills.hear(Sound.ENDED)
    run.show(b" three")
    assert run.turns(0, 30, 60) == {1: "one", 3: "one three"}


def test_the_turn_that_ended_with_the_run_has_the_last_screen(tmp_path: Path) -> None:
    shown = Shown({"screen.txt": b"bye", "screen.ans": b"BYE"}, tmp_path, 10, incomplete=True)
    points = [Checkpoint("0", "0", 3, START)]
    assert shown.of_turns(points) == (
        {"turns/0003.screen.txt": b"bye", "turns/0003.screen.ans": b"BYE"},
        ["screen", "turns/0003.screen"],
    )
    assert shown.of_turns([Checkpoint("0", "0", 0, START)]) == ({}, ["screen"])
    assert shown.of_turns([]) == ({}, ["screen"])
    assert Shown().of_turns(points) == ({}, [])


def test_no_more_are_kept_than_the_limits_say(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stills, "MOST", 3)
    run = Run(tmp_path, clock)
    for number in range(6):
        clock.now = START + 10 * number
        run.stills.hear(Sound.ENDED)
        run.show(b"%d" % number)
    assert len(list((tmp_path / "turns").iterdir())) == 3
    assert run.turns(*range(0, 60, 10)) == {4: "0123", 5: "01234", 6: "012345"}
    monkeypatch.setattr(stills, "MOST_BYTES", 200)
    clock.now += 10
    run.stills.hear(Sound.ENDED)
    run.show(b"x" * 20)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "turns").iterdir())]
    assert sum(sizes) <= 200
    assert len(sizes) < 3
    assert sizes[-1] > 60


def test_damaged_and_foreign_files_cost_only_themselves(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path, clock)
    run.stills.hear(Sound.ENDED)
    run.show(b"good")
    directory = tmp_path / "turns"
    for name, data in (
        (f"{int(START * 1000) + 9000:016d}.still", b"noise"),
        (f"{int(START * 1000) + 19000:016d}.still", b'{"text": []}\n'),
        ("x.still", b""),
        ("1.still.part", b""),
    ):
        (directory / name).write_bytes(data)
    assert run.turns(0, 9, 19) == {1: "good"}


def test_a_place_that_cannot_be_written_costs_only_the_pictures(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_bytes(b"")
    run = Run(tmp_path / "file", clock)
    run.stills.hear(Sound.ENDED)
    run.show(b"x")
    assert run.turns(0) == {}
    stills.note_missed(tmp_path / "file", 1, incomplete=True)
    assert stills.missed(tmp_path / "file") == (0, False)


class TestView:
    @staticmethod
    def view(place: Path) -> View:
        view = View((5, 30), tty=True)
        view.record(Recorder(place, limit=1 << 20), place)
        return view

    def test_a_turns_end_is_on_the_disk_as_soon_as_it_is_quiet(self, tmp_path: Path) -> None:
        view = self.view(tmp_path)
        view.feed(b"done")
        view.hear(Sound.ENDED)
        while view.work():
            pass
        assert len(list((tmp_path / "turns").iterdir())) == 1

    def test_a_turns_end_is_there_for_whoever_takes_over_in_the_same_moment(self, tmp_path: Path) -> None:
        view = self.view(tmp_path)
        view.hear(Sound.ENDED)
        view.feed(b"done")
        view.flush()
        (kept,) = (tmp_path / "turns").iterdir()
        assert b"done" in kept.read_bytes()

    def test_what_was_dropped_is_counted_through_every_hand(self, tmp_path: Path) -> None:
        first = self.view(tmp_path)
        first.feed(b"x" * 1_000_000)
        first.flush()
        assert stills.missed(tmp_path)[0] > 500_000
        second = View((5, 30), tty=True)
        second.keep(first.drawing())
        second.record(Recorder(tmp_path, limit=1 << 20), tmp_path)
        second.feed(b"y")
        shown = second.shown()
        assert (shown.dropped, shown.incomplete) == stills.missed(tmp_path)
        assert shown.incomplete
        second.feed(b"\x1b[H\x1b[2Jnew")
        assert not second.shown().incomplete
        assert second.shown().dropped == shown.dropped

    def test_nothing_is_written_where_nothing_was_missed(self, tmp_path: Path) -> None:
        view = self.view(tmp_path)
        view.feed(b"x")
        view.flush()
        assert not (tmp_path / stills.SEEN).exists()
        assert not (tmp_path / stills.DIRECTORY).exists()

    def test_a_run_without_a_terminal_has_no_pictures(self, tmp_path: Path) -> None:
        view = View((5, 30), tty=False)
        view.record(Recorder(tmp_path, limit=1 << 20), tmp_path)
        view.hear(Sound.ENDED)
        view.feed(b"x")
        view.flush()
        assert view.shown() == Shown()
        assert not (tmp_path / stills.DIRECTORY).exists()
