"""A file that git itself reads is replaced by a symbolic link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.store.names import is_gits_own
from tests.support.store import Forge, object_count, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore", ".mailmap", ".GitAttributes", "gitatt~1"])
def test_link_is_left_out(repo: Repo, tmp_path: Path, name: str) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("120000", name.encode(), forge.blob(b"elsewhere")), ("100644", b"z", forge.blob()))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.files("refs/realm/fix") == ["z"]
    assert done.dropped == [f"{name}: a link in place of a file that git reads"]


@pytest.mark.parametrize("name", [".gitmodules", ".GITMODULES", "gitmod~1", ".gitmodules "])
def test_linked_gitmodules_is_refused(repo: Repo, tmp_path: Path, name: str) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    tree = forge.tree(("120000", name.encode(), forge.blob(b"elsewhere")))
    assert is_gits_own(name.encode())
    with pytest.raises(RejectedError, match="refused"):
        take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert object_count(repo) == before
