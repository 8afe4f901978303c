"""Names of refs with characters that Python takes for line ends, which git and servers allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.store import history, quarantine, refs
from tests.support.store import add_session, project_of

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_a_session_begins_and_goes_beside_them(repo: Repo, end: str) -> None:
    repo.git("tag", "-a", "-m", "x", "v1")
    for place in ("heads", "tags", "remotes/origin", "realm", "realm-meta", "realm-tmp"):
        repo.git("update-ref", f"refs/{place}/a{end}b", repo.head())
    repo.git("update-ref", f"refs/tags/t{end}x", repo.git("rev-parse", "v1"))
    repo.git("update-ref", f"refs/realm-trash/a{end}b/1/code", repo.head())
    repo.git("update-ref", f"refs/realm/new/a{end}b", repo.head())
    project = project_of(repo)
    seen = history.find(project, history.HistoryChoice(patterns=("*",)), repo.head())
    assert f"refs/heads/a{end}b" in seen.refs
    assert seen.tags.keys() >= {f"refs/tags/a{end}b", f"refs/tags/t{end}x", "refs/tags/v1"}
    assert refs.tips(project, "new") == refs.Tips(None, None)
    refs.check_new(project, "fix")
    quarantine.sweep(project)
    add_session(project, "fix")
    assert refs.list_trash(project, "fix") == []
    assert [trash.when for trash in refs.list_trash(project)] in ([], [1])
