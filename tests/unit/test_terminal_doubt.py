"""When a program that says nothing is looked after: it may have stopped itself."""

from __future__ import annotations

import time

import pytest

from realm.terminal.relay.loop import Doubt, Pace


class Watched:
    """Doubt about a program, on a clock that the test moves."""

    def __init__(self, *, alone: bool) -> None:
        self.now, self.asked = 100.0, list[float]()
        self.alone = alone

    def begin(self) -> None:
        self.pace = Pace()
        self.doubt = Doubt(lambda: self.asked.append(round(self.now - 100, 1)), self.pace, alone=self.alone)

    def wait(self, seconds: float) -> None:
        """Let time go by as the relay does: it looks whenever nothing came for as long as it was told."""
        end = self.now + seconds
        while (left := self.doubt.wait()) is not None and self.now + left <= end:
            self.now += left
            self.doubt.look()
        self.now = end


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Watched:
    made = Watched(alone=request.param)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    made.begin()
    return made


with_user = pytest.mark.parametrize("watched", [False], indirect=True, ids=["with a user"])
alone = pytest.mark.parametrize("watched", [True], indirect=True, ids=["alone"])


@with_user
def test_without_a_key_nothing_is_looked_after(watched: Watched) -> None:
    watched.wait(10_000)
    assert watched.asked == []


@with_user
@pytest.mark.parametrize(("answer", "asked"), [(0, [1.0]), (2, [1.0]), (500, [])])
def test_a_key_has_a_second_to_be_answered_and_an_echo_is_no_answer(
    watched: Watched, answer: int, asked: list[float]
) -> None:
    watched.doubt.typed()
    if answer:
        watched.pace.took(answer)
    watched.wait(100)
    assert watched.asked == asked


@with_user
def test_more_keys_do_not_put_it_off(watched: Watched) -> None:
    for _ in range(4):
        watched.doubt.typed()
        watched.wait(0.5)
    assert watched.asked == [1.0, 2.0]


@alone
def test_with_nobody_there_it_is_looked_after_ever_more_rarely(watched: Watched) -> None:
    watched.wait(200)
    assert watched.asked == [5.0, 15.0, 35.0, 75.0, 155.0]
    watched.wait(3600)
    gaps = [later - one for one, later in zip(watched.asked, watched.asked[1:], strict=False)]
    assert max(gaps) == Doubt.LAST


@alone
def test_output_begins_it_anew(watched: Watched) -> None:
    watched.wait(12)
    watched.pace.took(10)
    watched.wait(8)
    assert watched.asked == [5.0, 17.0]


def test_nothing_is_waited_for_where_nobody_asks() -> None:
    doubt = Doubt(None, Pace(), alone=True)
    doubt.typed()
    doubt.look()
    assert doubt.wait() is None
