"""Trees are malformed: double, unsorted, cut off, or of the wrong type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from tests.support.store import Forge, object_count, project_of, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.repos import Repo


def double(forge: Forge) -> str:
    return forge.tree(("100644", b"a", forge.blob()), ("100644", b"a", forge.blob(b"other")))


def file_and_directory(forge: Forge) -> str:
    below = forge.tree(("100644", b"b", forge.blob()))
    return forge.tree(
        ("100644", b"a", forge.blob()), ("100644", b"a.b", forge.blob()), ("40000", b"a", below)
    )


def unsorted(forge: Forge) -> str:
    return forge.tree(("100644", b"b", forge.blob()), ("100644", b"a", forge.blob()))


def cut_off(forge: Forge) -> str:
    return forge.add("tree", b"100644 a\0" + b"\1" * 10)


def no_mode(forge: Forge) -> str:
    return forge.add("tree", b"garbage")


def slash(forge: Forge) -> str:
    return forge.tree(("100644", b"a/b", forge.blob()))


def null_id(forge: Forge) -> str:
    return forge.tree(("100644", b"a", "0" * 40))


def blob_as_directory(forge: Forge) -> str:
    return forge.tree(("40000", b"a", forge.blob()))


def directory_as_file(forge: Forge) -> str:
    return forge.tree(("100644", b"a", forge.tree(("100644", b"b", forge.blob()))))


def commit_as_file(forge: Forge) -> str:
    return forge.tree(("100644", b"a", forge.tip))


def blob_as_root(forge: Forge) -> str:
    return forge.blob()


KINDS = (
    *(double, file_and_directory, unsorted, cut_off, no_mode, slash, null_id),
    *(blob_as_directory, directory_as_file, commit_as_file, blob_as_root),
)


@pytest.mark.parametrize("make", KINDS)
def test_pack_is_refused(repo: Repo, tmp_path: Path, make: Callable[[Forge], str]) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    intake = forge.intake(tmp_path / "pack", forge.commit(make(forge)))
    with pytest.raises(RejectedError):
        take(intake)
    assert object_count(repo) == before
    assert not repo.refs("refs/realm")
