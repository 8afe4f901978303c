"""History volumes: packs are only added, only sandboxes that may see all of one share it, unused ones go."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from realm.sandbox import history
from tests.support.sandbox import Laboratory, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine


@pytest.fixture
def lab(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laboratory]:
    """Yield a laboratory in which nothing is small enough to be put into each sandbox."""
    monkeypatch.setattr(history, "OWN_LIMIT", 0)
    yield from laboratory(repo, tmp_path)


def used(lab: Laboratory) -> history.HistoryVolume:
    """Return the volume that a sandbox at HEAD gets."""
    with lab.outfit() as (ready, _, _):
        volume = history.read(ready.volume)
    assert volume is not None
    return volume


def there(lab: Laboratory) -> set[str]:
    return {volume.name for volume in lab.engine.volumes(f"realm.maker={lab.id}", "realm.role=history")}


def test_a_pack_of_what_is_new_is_added_when_the_default_branch_moves(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def progress(text: str) -> AbstractContextManager[object]:
        said.append(text)
        return nullcontext()

    monkeypatch.setattr("tests.support.sandbox._quietly", progress)
    lab.repo.write("large", "".join(f"{number * 7919 % 10007}\n" for number in range(20_000)))
    lab.repo.commit("Large")
    first = used(lab)
    lab.repo.write("small", "1\n")
    lab.repo.commit("Small")
    second = used(lab)
    assert (second.name, second.parts[:1]) == (first.name, first.parts)
    assert len(second.parts) == 2
    assert second.size - first.size < first.size / 4
    assert used(lab) == second
    assert said == ["packing the project's history, once", "packing what is new in the project's history"]
    ran = lab.run("git log --format=%s && git fsck && ls /history")
    assert ran.stdout.split() == ["Small", "Large", "Start", *sorted(second.parts)]


def test_what_others_may_not_see_is_in_another_volume(lab: Laboratory) -> None:
    main = used(lab)
    lab.repo.git("checkout", "-q", "-b", "private")
    lab.repo.write("secret", "1\n")
    private = lab.repo.commit("Private")
    other = used(lab)
    assert other.name != main.name
    assert private in other.tips
    assert used(lab) == other
    lab.repo.git("checkout", "-q", "main")
    assert used(lab) == main
    lab.repo.git("merge", "-q", "--ff-only", "private")
    assert used(lab) == other, "what all may see now is there already"


def test_the_oldest_that_no_sandbox_has_goes(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_RECENT", -1.0)
    kept = lab.create("true")
    first = used(lab)
    later = []
    for number in range(history.MOST_VOLUMES + 2):
        lab.repo.git("checkout", "-q", "--orphan", f"rewritten{number}")
        lab.repo.commit("Start anew")
        lab.repo.git("branch", "-q", "-M", "main")
        later.append(used(lab).name)
    assert there(lab) == {first.name, *later[-history.MOST_VOLUMES :]}
    kept.remove()
