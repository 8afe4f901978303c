"""An agent can hand over turns at any time and of any size, but its cost to the host is limited."""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from realm.errors import RejectedError
from realm.sandbox.report import Report
from realm.session import leftout, live, take
from realm.session.lock import run_directory
from realm.store.ingest import ingest
from realm.store.quarantine import Limits
from tests.support.store import Forge, assert_sound, project_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo


class Flood:
    """A sandbox that always says that there is something, and has it, each ``size`` bytes, or has it not."""

    def __init__(self, size: int | None) -> None:
        self.size, self.asked, self.ends = size, 0, time.monotonic() + 20
        self.refused, self.begged = False, 0

    @contextmanager
    def watch(self, *_: object, **__: object) -> Iterator[Flood]:
        yield self

    def read(self, _: float | None = None) -> list[bytes] | None:
        return [b"1"] if time.monotonic() < self.ends else None

    def handed_over(self, _: int, directory: Path) -> Report | None:
        self.asked += 1
        if self.size is None:
            return None
        (directory / "words").write_bytes(b"x" * self.size)
        return Report()

    def ask_for_all(self) -> None:
        self.begged += 1


def follow(flood: Flood, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the taker follow ``flood``; return the numbers of the turns that were taken in."""
    taken: list[int] = []

    def note(*_: object, number: int) -> SimpleNamespace:
        if flood.refused:
            raise RejectedError("it is no good")
        taken.append(number)
        return SimpleNamespace(is_partial=False)

    monkeypatch.setattr(take, "take", note)
    plan: Any = SimpleNamespace(
        agent=SimpleNamespace(tells_turns=True), session=SimpleNamespace(id="x"),
        run=SimpleNamespace(number=1), tty=False,
    )  # fmt: skip
    sandbox: Any = flood
    engine: Any = None
    live._Child(engine, plan, sandbox, -1)._follow()
    return taken


@pytest.mark.parametrize(("most", "size", "count"), [("_MOST", 1, 3), ("_MOST_BYTES", 2, 2)])
def test_it_is_not_taken_in_for_ever(
    monkeypatch: pytest.MonkeyPatch, most: str, size: int, count: int
) -> None:
    monkeypatch.setattr(live, most, 3)
    flood = Flood(size)
    assert follow(flood, monkeypatch) == list(range(1, count + 1))
    assert flood.asked == count


def test_what_is_refused_is_not_asked_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MOST", 3)
    flood = Flood(1)
    flood.refused = True
    assert follow(flood, monkeypatch) == []
    assert (flood.asked, flood.begged) == (3, 3)


def test_what_is_not_there_is_not_asked_for_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(None)
    flood.ends = time.monotonic() + 2
    assert follow(flood, monkeypatch) == []
    assert 1 <= flood.asked <= 12


def test_all_packs_of_a_run_together_have_a_limit(repo: Repo, tmp_path: Path) -> None:
    """The objects of earlier turns are held in memory with each later one."""
    earlier = tmp_path / "earlier"

    def hand_over(number: int) -> None:
        forge = Forge(project_of(repo))
        for at in range(10):
            forge.blob(b"%d of %d\n" % (at, number))
        wanted = forge.intake(tmp_path / "pack", forge.file(data=b"%d\n" % number), turn=number)
        ingest(wanted._replace(earlier=earlier, keep=f"{number:04d}"), Limits(objects=30))

    for number in (1, 2, 3):
        hand_over(number)
    with pytest.raises(RejectedError, match="more than 30 objects"):
        hand_over(4)
    assert len(list(earlier.glob("pack/*.pack"))) == 3
    assert_sound(repo)


@pytest.mark.parametrize(("name", "most"), [("LEFT_ROOM", 25), ("_MOST", 2)])
def test_what_is_left_out_each_time_fills_no_disk(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(leftout, name, most)
    plan: Any = SimpleNamespace(session=SimpleNamespace(id="x"), run=SimpleNamespace(number=1))
    said = [leftout.keep(plan, {b"file%d" % number: b"x" * 10}) for number in range(4)]
    place = run_directory("x") / "left-out"
    assert sorted(file.name for file in place.iterdir()) == ["0001-file0", "0001-file1"]
    assert said[1] == [f"files and links that were left out are in {place}"]
    assert said[2] == said[3] == [f"not all that was left out is in {place}: it is too much"]
    plan.run.number = 2
    assert leftout.keep(plan, {b"file": b"x" * 10}) == said[0]
