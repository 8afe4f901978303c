from __future__ import annotations

from typing import TYPE_CHECKING

from realm.store import manifests
from realm.store.repo import discover

if TYPE_CHECKING:
    from tests.support.repos import Repo


def test_only_what_a_set_up_depends_on_counts(repo: Repo) -> None:
    found = []
    for path in (
        "web/package.json", "README", "requirements-dev.txt", "bin/setup", "src/go.mod.py", "src/App.csproj",
    ):  # fmt: skip
        repo.write(path, path)
        repo.commit(path)
        found.append(manifests.digest(discover(repo.path), repo.head(), "sh -c \"sh './bin/setup'; x\""))
    assert len(set(found)) == 4
    assert found[0] == found[1]
    assert found[3] == found[4]
