"""Another realm process is faster: its changes to a session are noticed or reported before a ref is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import NoSuchSessionError, RealmError, RefRaceError
from realm.model import Run, State, Totals
from realm.session import claim, drop, remove, rename, travel
from realm.session.lock import RunLock
from realm.session.requests import At, Removal
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


@pytest.mark.parametrize("is_run", [False, True])
def test_a_push_that_notes_itself_meanwhile_does_not_keep_a_session(past: Past, *, is_run: bool) -> None:
    repo, project = past.repo, project_of(past.repo)
    ui = TerminalUI(no_input=True)
    planned = Removal("fix", project, past.tip, past.meta, record.read_session(project, "fix"))
    with record.Record(project, "fix") as found:
        session, run = found.session(), found.last()
    assert run is not None
    assert past.meta is not None
    before = record.parent(project, past.meta)
    run = Run(run.number + 1, STARTED, past.tip) if is_run else run
    meta = record.write(
        project, parent=past.meta if is_run else before, previous=None,
        session=session._replace(pushed={"origin fix": past.tip}), run=run, totals=Totals(),
        state=State.RUNNING if is_run else State.EXITED, files={},
    )  # fmt: skip
    refs.transact(project, [refs.RefUpdate("refs/realm-meta/fix", past.meta, meta)], "test")
    if is_run:
        with pytest.raises(RefRaceError):
            remove.remove(planned, ui)
        assert repo.head("refs/realm/fix") == past.tip
    else:
        assert remove.remove(planned, ui).meta == meta
        assert refs.tips(project, "fix") == refs.Tips(None, None)
        assert [trash.meta for trash in refs.list_trash(project, "fix")] == [meta]
