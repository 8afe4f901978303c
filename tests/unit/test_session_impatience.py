from __future__ import annotations

import select
import threading
import time
from typing import TYPE_CHECKING, cast

import pytest

from realm.errors import EngineError
from realm.session import impatience
from realm.session.impatience import Impatience
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.sandbox.sandbox import Sandbox

HURRY = 0.05


class Slow:
    """A sandbox whose engine answers when it is told to; ``codes`` are its answers, an error for -1."""

    id = "box"

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.asked = 0
        self.may = threading.Semaphore(0)
        self.engine = self

    def exec(self, *_: object, **__: object) -> int:
        self.asked += 1
        self.may.acquire(timeout=5)
        if (code := self.codes.pop(0)) < 0:
            raise EngineError("gone")
        return code


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impatience, "_HURRY", HURRY)


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Iterator[tuple[Slow, Impatience]]:
    slow = Slow(*request.param)
    with Impatience(cast("Sandbox", slow)) as heard:
        yield slow, heard


def ends(heard: Impatience) -> bool:
    return bool(select.select([heard.fileno()], [], [], 0.1)[0])


@pytest.mark.parametrize("made", [(0,)], indirect=True)
def test_the_key_after_the_one_that_finds_it_over_ends_the_wait(made: tuple[Slow, Impatience]) -> None:
    slow, heard = made
    slow.may.release()
    heard.pressed()
    assert not ends(heard)
    time.sleep(HURRY)
    heard.pressed()
    assert ends(heard)
    assert slow.asked == 1


@pytest.mark.parametrize("made", [(0,)], indirect=True)
def test_a_key_while_a_slow_engine_is_asked_counts(made: tuple[Slow, Impatience]) -> None:
    slow, heard = made
    heard.pressed()
    time.sleep(2 * HURRY)
    heard.pressed()
    assert not ends(heard)
    slow.may.release()
    assert ends(heard)


@pytest.mark.parametrize("made", [(0,)], indirect=True)
def test_a_key_that_was_pressed_twice_at_once_is_one(made: tuple[Slow, Impatience]) -> None:
    slow, heard = made
    heard.pressed()
    heard.pressed()
    slow.may.release()
    assert not ends(heard)


@pytest.mark.parametrize("made", [(1, 0), (-1, 0)], indirect=True)
def test_a_key_while_it_was_not_over_is_looked_for_again(made: tuple[Slow, Impatience]) -> None:
    """It may be the one that ended the agent: the next is for us."""
    slow, heard = made
    heard.pressed()
    time.sleep(2 * HURRY)
    heard.pressed()
    slow.may.release(2)
    eventually(lambda: slow.asked == 2)
    assert not ends(heard)
    time.sleep(HURRY)
    heard.pressed()
    assert ends(heard)


def test_an_answer_after_the_end_writes_nowhere() -> None:
    slow = Slow(0)
    with Impatience(cast("Sandbox", slow)) as heard:
        heard.pressed()
        time.sleep(2 * HURRY)
        heard.pressed()
    slow.may.release()
    eventually(lambda: not heard._looking)
