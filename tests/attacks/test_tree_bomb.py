"""A few small trees stand for billions of files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.store.quarantine import Limits
from tests.support.store import Forge, object_count, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_tree_bomb_is_refused(repo: Repo, tmp_path: Path) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"f", forge.blob()))
    for _ in range(10):
        tree = forge.tree(*(("40000", b"%d" % at, tree) for at in range(10)))
    started = time.monotonic()
    with pytest.raises(RejectedError, match="too many"):
        take(forge.intake(tmp_path / "pack", forge.commit(tree)), Limits(entries=200_000))
    assert time.monotonic() - started < 30
    assert object_count(repo) == before
