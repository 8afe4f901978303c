"""However much a sandbox reports about a run, its record can be read again.

A record that is larger than what is read would make the session one that nobody can go on with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from realm.model import Kept, Run, State, Totals
from realm.store import record, refs, schema
from tests.support.store import STARTED, project_of, session

if TYPE_CHECKING:
    from realm.model import Project
    from tests.support.repos import Repo

WIDE = "\N{GRINNING FACE}"
"""A character that JSON has as twelve."""

FLOODS: dict[str, dict[str, Any]] = {
    "notes": {"notes": tuple(f"{at} {WIDE * 290}" for at in range(2500))},
    "many notes": {"notes": tuple(f"note {at}" for at in range(10_500))},
    "prompts": {"prompts": tuple(f"{at} {WIDE * 66}" for at in range(10_000))},
    "more prompts than are believed": {"prompts": ("go on",) * 10_500, "took": (1.0,) * 10_500},
    "branches": {"kept": tuple(Kept("heads", f"{at}{WIDE * 200}", "1" * 40, 1) for at in range(2000))},
}
ALL = {key: value for flood in FLOODS.values() for key, value in flood.items()}


def written(project: Project, repo: Repo, flood: dict[str, Any]) -> Run:
    """Return the run with ``flood`` as it is read again."""
    base = repo.head()
    run = Run(1, STARTED, base, ended=STARTED + 1)._replace(**flood)
    meta = record.write(
        project, parent=None, previous=None, session=session(base=base), run=run,
        totals=Totals(), state=State.EXITED, files={},
    )  # fmt: skip
    refs.transact(project, [refs.RefUpdate(refs.META + "fix", None, meta)], "test")
    return record.read_runs(project, "fix")[0]


@pytest.mark.parametrize("what", FLOODS)
def test_the_record_can_be_read(repo: Repo, what: str) -> None:
    flood = FLOODS[what]
    found = written(project_of(repo), repo, flood)
    for key, values in flood.items():
        assert getattr(found, key)[:20] == values[:20]


def test_all_of_it_at_once(repo: Repo) -> None:
    flood = {**ALL, "notes": FLOODS["notes"]["notes"], "prompts": FLOODS["prompts"]["prompts"]}
    found = written(project_of(repo), repo, flood)
    assert found.notes[0] == flood["notes"][0]
    assert "more" in found.notes[-1]
    assert len(found.prompts) == len(flood["prompts"])  # turns are counted by them


def test_what_is_ordinary_is_kept_as_it_is(repo: Repo) -> None:
    told: dict[str, Any] = {
        "notes": ("one", "two"), "prompts": ("a", "b"), "kept": (Kept("heads", "alt", "1" * 40, 1),),
    }  # fmt: skip
    found = written(project_of(repo), repo, told)
    assert {key: getattr(found, key) for key in told} == told


def test_what_was_cut_once_is_not_counted_twice(repo: Repo) -> None:
    """Notes are read and written again with each turn."""
    notes = tuple(f"note {at}" for at in range(10_000))
    cut = schema.fitting(Run(1, STARTED, repo.head(), notes=notes)).notes
    more = schema.fitting(Run(1, STARTED, repo.head(), notes=(*cut, "one more"))).notes
    assert (len(more), more[:-1]) == (len(cut), cut[:-1])
    assert more[-1].startswith("and ")
