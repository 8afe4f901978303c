"""Another realm process is faster: its changes to a session are noticed or reported before a ref is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import NoSuchSessionError, RealmError
from realm.model import Run, State, Totals
from realm.session import claim, drop, remove, rename, travel
from realm.session.lock import RunLock
from realm.session.requests import At
from realm.store import record, refs
from tests.support.history import Asked, Past
from tests.support.store import STARTED, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.repos import Repo

CHANGES: Mapping[str, Callable[[Path], object]] = {
    "drop": lambda at: drop.drop("fix", at, ["b"]),
    "rename": lambda at: rename.rename("fix", "other", at),
    "rewind": lambda at: travel.rewind(At("fix", 1), at),
}


@pytest.fixture
def past(repo: Repo) -> Past:
    made = Past(repo)
    made.run(Asked("one", {"a": "1\n"}))
    made.run(Asked("two", {"b": "2\n"}))
    return made


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_that_was_cut_off_before_the_lock_is_seen(
    past: Past, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    repo, project = past.repo, project_of(past.repo)

    class Late(RunLock):
        def __enter__(self) -> Self:
            meta = record.write(
                project, parent=past.meta, previous=None, session=record.read_session(project, "fix"),
                run=Run(3, STARTED, past.tip), totals=Totals(), state=State.RUNNING, files={},
            )  # fmt: skip
            refs.transact(project, [refs.RefUpdate("refs/realm-meta/fix", past.meta, meta)], "test")
            return super().__enter__()

    monkeypatch.setattr(claim, "RunLock", Late)
    with pytest.raises(RealmError, match="the last run of fix is not over"):
        CHANGES[name](repo.path)
    assert repo.head("refs/realm/fix") == past.tip


def test_what_another_renamed_is_not_called_removed(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = past.repo
    monkeypatch.setattr(remove, "_bring_home", lambda *_: rename.rename("fix", "other", repo.path))
    with pytest.raises(NoSuchSessionError, match="session fix is gone"):
        remove.plan("fix", repo.path, TerminalUI(no_input=True))
    assert repo.head("refs/realm/other") == past.tip
