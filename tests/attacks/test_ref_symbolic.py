"""A symbolic ref below refs/realm would let realm move a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError
from realm.store import listing, refs
from tests.support.store import add_session, project_of

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.mark.parametrize("target", ["refs/heads/main", "refs/heads/not-there"])
@pytest.mark.parametrize("space", [refs.CODE, refs.META])
def test_never_written_through(repo: Repo, target: str, space: str) -> None:
    project = project_of(repo)
    head = repo.head()
    repo.write("more")
    later = repo.commit("Later")
    repo.git("symbolic-ref", space + "fix", target)
    for old in (None, later, head):
        with pytest.raises(RealmError, match="symbolic"):
            refs.transact(project, [refs.RefUpdate(space + "fix", old, head)], "test")
    with pytest.raises(RealmError, match="symbolic"):
        refs.transact(project, [refs.RefUpdate(space + "fix", later, None)], "test")
    assert repo.refs("refs/heads") == {"refs/heads/main": later}
    assert repo.git("symbolic-ref", space + "fix") == target


def test_shown_as_a_problem(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project, "good")
    repo.git("symbolic-ref", "refs/realm/fix", "refs/heads/main")
    rows = listing.rows(project)
    assert [(row.name, "symbolic ref" in row.problem) for row in rows] == [("fix", True), ("good", False)]
