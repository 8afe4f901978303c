"""A record from elsewhere names directories of this machine, to have them shown or written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import RealmError
from realm.model import Neighbour, Run, State, Totals
from realm.session import approvals, homes, neighbours
from realm.session.remove import remove, restore
from realm.session.rename import rename
from realm.session.requests import Removal
from realm.store import record, refs
from tests.support.repos import Repo
from tests.support.store import STARTED, project_of
from tests.support.store import session as recorded

if TYPE_CHECKING:
    from realm.model import Session


@pytest.fixture
def private(repo: Repo) -> Repo:
    """Give another repository of the user's, which has a session's work of the same name."""
    made = Repo.init(repo.path.parent / "private")
    made.write("secret")
    made.commit("Secret")
    made.git("update-ref", "refs/realm/fix", made.head())
    return made


@pytest.fixture
def fetched(repo: Repo, private: Repo) -> Session:
    """Give a session whose record was made elsewhere and names the private repository, and a directory."""
    rows = (
        Neighbour(str(private.path), "private", private.head(), writable=True, ref="fix"),
        Neighbour(str(private.path.parent), "home"),
    )
    made = recorded(base=repo.head(), project=str(repo.path), neighbours=rows)
    project = project_of(repo)
    has = (("private", private.head()),)
    run = Run(1, STARTED, repo.head(), ended=STARTED, after=repo.head(), neighbours=has)
    meta = record.write(
        project, parent=None, previous=None, session=made, run=run, totals=Totals(), state=State.EXITED,
        files={},
    )  # fmt: skip
    repo.git("update-ref", "refs/realm-meta/fix", meta)
    repo.git("update-ref", "refs/realm/fix", repo.head())
    assert record.read_session(project, "fix") == made
    return made


def test_no_run_begins_that_nobody_approved(repo: Repo, private: Repo, fetched: Session) -> None:
    project = project_of(repo)
    with pytest.raises(
        RealmError,
        match=f"take commits into {private.path}, to show the container all files of {private.path.parent}",
    ) as caught:
        approvals.settle_record(project, fetched, TerminalUI(no_input=True), approve=False)
    assert "--approve" in (caught.value.hint or "")


def test_of_an_approved_record_no_repository_is_copied_as_plain_files(repo: Repo, private: Repo) -> None:
    (repo.path / ".env").write_text("KEY=secret\n")
    (repo.path.parent / "plain").mkdir()
    (repo.path.parent / "plain" / "file").write_text("text\n")
    rows = tuple(
        Neighbour(str(path), f"beside-{number}")
        for number, path in enumerate(
            [repo.path, private.path, repo.path.parent, repo.path / ".git", repo.path.parent / "plain"]
        )
    )
    made = recorded(base=repo.head(), project=str(repo.path), neighbours=rows)
    approvals.approve_record(project_of(repo), made)
    found = neighbours.plain(project_of(repo), made, made.neighbours)
    assert {name: [path for _, path in files] for name, files in found.items()} == {"beside-4": ["file"]}


def test_its_repository_is_not_opened_for_any_run(repo: Repo, private: Repo, fetched: Session) -> None:
    project = project_of(repo)
    assert neighbours.beginning(fetched, homes.repositories(project, fetched)) == ()
    run = Run(1, STARTED, repo.head(), neighbours=(("private", private.head()),))
    (one,) = neighbours.of_run(run, homes.repositories(project, fetched))
    assert one.clone is None


def test_nothing_is_moved_there(repo: Repo, private: Repo, fetched: Session) -> None:
    before, project = private.refs(), project_of(repo)
    homes.with_own_refs(project, fetched, fetched._replace(name="other"))
    approvals.approve_record(project, fetched)
    rename("fix", "renamed", repo.path)
    tips = refs.tips(project, "renamed")
    assert tips.code is not None
    now = fetched._replace(name="renamed")
    remove(Removal("renamed", project, tips.code, tips.meta, now), TerminalUI(no_input=True))
    restore("renamed", repo.path)
    assert private.refs() == before


def test_its_own_refs_are_not_anothers_whatever_was_approved(
    repo: Repo, private: Repo, fetched: Session
) -> None:
    project, clone = project_of(repo), project_of(private)
    approvals.approve_record(project, fetched)
    assert homes.held_by(project, fetched) == []
    there = homes.repositories(project, fetched)
    assert neighbours.beginning(fetched, there) == (("private", private.head()),)
    with pytest.raises(RealmError, match="is another session's"):
        homes.check_own(clone, fetched, "fix")
    again = neighbours.named(project, fetched, (), repo.path)
    assert again.neighbours[0].ref == f"fix-in-{project.name}"
