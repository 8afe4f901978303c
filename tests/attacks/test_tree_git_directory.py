"""A tree plants a ``.git`` directory, or a name that some file system takes for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.store.names import name_problem
from realm.store.quarantine import Limits
from tests.support.store import Forge, object_count, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

ALIASES = (
    ".git",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~1",
    ".g\u200cit",
    "\u200d.git",
    ".git\ufeff",
    ".git ",
    ".git.",
    ".git...",
    ".git::$INDEX_ALLOCATION",
    ".",
    "..",
    "",
)


@pytest.mark.parametrize("name", ALIASES)
def test_name_is_known(name: str) -> None:
    assert name_problem(name.encode())


@pytest.mark.parametrize("name", ALIASES)
@pytest.mark.parametrize("deep", [False, True])
def test_pack_is_refused(repo: Repo, tmp_path: Path, name: str, deep: bool) -> None:
    project = project_of(repo)
    before = object_count(repo)
    forge = Forge(project)
    hooks = forge.tree(("100755", b"post-checkout", forge.blob(b"#!/bin/sh\ntouch /tmp/owned\n")))
    tree = forge.tree(("40000", name.encode(), hooks))
    tree = forge.tree(("40000", b"src", tree)) if deep else tree
    with pytest.raises(RejectedError, match="refused"):
        take(forge.intake(tmp_path / "pack", forge.commit(tree)), Limits())
    assert object_count(repo) == before
    assert not repo.refs("refs/realm")


@pytest.mark.parametrize("name", [".github", ".gitignore", ".gitlab-ci.yml", "git", "a.git", "git~10", "..."])
def test_names_that_only_look_alike_stay(name: str) -> None:
    assert name_problem(name.encode()) == ""
