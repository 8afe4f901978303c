from __future__ import annotations

import time

import pytest

from realm.terminal.relay.loop import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


def flood(pace: Pace, clock: Clock, count: int, total: int = 2 * Pace.FLOOD) -> None:
    for _ in range(0, total, count):
        clock.now += Pace.BREATH / 10
        pace.took(count)


def test_a_screen_or_an_echo_is_never_kept_waiting(clock: Clock) -> None:
    pace = Pace()
    for _ in range(100):
        clock.now += 2 * Pace.BREATH
        pace.took(60_000)
        assert pace.wait() == 0
        assert pace.size() == Pace.PIECE


def test_small_pieces_of_a_flood_are_left_to_gather_for_a_few_milliseconds_at_most(clock: Clock) -> None:
    pace = Pace()
    flood(pace, clock, 4096)
    assert pace.flood
    assert pace.size() == Pace.LARGE
    assert pace.wait() == pytest.approx(Pace.LONGEST)
    clock.now += Pace.LONGEST
    assert pace.wait() == 0


def test_a_flood_ends_with_a_breath(clock: Clock) -> None:
    pace = Pace()
    flood(pace, clock, 4096)
    clock.now += 2 * Pace.BREATH
    pace.took(4096)
    assert not pace.flood
    assert pace.wait() == 0


def test_large_pieces_are_taken_sooner_and_small_ones_later_again(clock: Clock) -> None:
    pace = Pace()
    flood(pace, clock, Pace.MUCH + 1, 10 * Pace.MUCH)
    assert pace.wait() == 0
    for _ in range(20):
        pace.took(Pace.LITTLE - 1)
    assert pace.wait() == pytest.approx(Pace.LONGEST)
