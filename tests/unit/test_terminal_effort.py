"""What is left out of a recording that costs too much work to make into a cast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.emulator.screen import Screen
from realm.terminal.recording.cast import moments
from realm.terminal.recording.effort import effort, newest
from realm.terminal.recording.segments import Size

if TYPE_CHECKING:
    from realm.terminal.recording.recorder import Event


def lines(number: int) -> list[Event]:
    return [(float(place), b"line %04d\r\n" % place) for place in range(number)]


def test_what_costs_little_is_kept_whole() -> None:
    events: list[Event] = [(0.0, Size(10, 40)), *lines(1000)]
    assert newest(events) == (events, 0)
    assert newest([]) == ([], 0)


def test_work_is_counted() -> None:
    assert effort(b"a line of a log\r\n" * 1000) < effort(b"\x1b[5;9r" * 1000) < effort(b"\x1bc\x1b7" * 1000)
    assert effort(b"\x1b[31mred\x1b[m" * 1000) < 1000
    assert effort(b"\x1b[?6;7;25h") > effort(b"\x1b[?6h")


def test_the_oldest_goes_and_the_state_stays() -> None:
    events: list[Event] = [(0.0, Size(10, 40)), (0.0, b"\x1b[?1049h\x1b[31m\x1b[2;5r"), *lines(1000)]
    kept, left_out = newest(events, 2000)
    (_, size), (_, state), *rest = kept
    assert size == Size(10, 40)
    assert rest == events[-len(rest) :]
    assert 100 < len(rest) < 500
    assert left_out == sum(len(data) for _, data in events[: -len(rest)] if isinstance(data, bytes))
    screen = Screen(10, 40)
    assert isinstance(state, bytes)
    screen.feed(state)
    assert screen.alternate
    assert state.endswith(b"\x1b7\x1b[2;5r\x1b8\x1b[31m")
    assert next(moments(kept)) == (0.0, "r", "40x10")


def test_where_no_piece_is_cheap_enough_the_state_is_left() -> None:
    events: list[Event] = [(5.0, b"\x1b[?1049h"), (6.0, b"\x1b[?25l" * 1000)]
    kept, left_out = newest(events, 100)
    assert left_out == 8 + 6000
    assert [moment for moment, _ in kept] == [6.0]
