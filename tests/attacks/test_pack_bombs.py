"""A small pack unpacks to something huge."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.store.quarantine import Limits
from tests.support.store import Forge, assert_sound, copy_command, object_count, oid_of, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

MIB = 1024 * 1024


def bomb(forge: Forge, mib: int) -> str:
    """Return a commit with a file of ``mib`` MiB of zeros that travels as a delta of some bytes."""
    base = forge.blob(bytes(MIB))
    forge.delta(base, copy_command(0, MIB) * mib, MIB, mib * MIB)
    huge = oid_of("blob", bytes(mib * MIB))
    return forge.commit(forge.tree(("100644", b"huge", huge), ("100644", b"ok", forge.blob())))


def test_large_file_is_left_out(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    snapshot = bomb(forge, 64)
    done = take(forge.intake(tmp_path / "pack", snapshot), Limits(file=16 * MIB))
    assert (tmp_path / "pack").stat().st_size < 10_000
    assert repo.files("refs/realm/fix") == ["ok"]
    assert done.dropped == ["huge: 64 MiB, above the limit of 16 (realm.limit.file)"]
    assert_sound(repo)


LIMITS = {
    "memory": (Limits(memory=100 * MIB), "limit|memory"),
    "total": (Limits(total=100 * MIB), r"unpacks to \d+ bytes .realm.limit.total"),
    "pack": (Limits(pack=500), "maximum allowed size"),
    "objects": (Limits(objects=2), "realm.limit.objects"),
    "time": (Limits(wall=0.01), "did not end within .*: realm.limit.seconds"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_bomb_is_refused(repo: Repo, tmp_path: Path, limit: str) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    started = time.monotonic()
    limits, said = LIMITS[limit]
    with pytest.raises(RejectedError, match=said):
        take(forge.intake(tmp_path / "pack", bomb(forge, 200)), limits)
    assert time.monotonic() - started < 30
    assert object_count(repo) == before


@pytest.mark.parametrize("kind", ["tree", "commit"])
def test_huge_tree_or_commit_is_refused(repo: Repo, tmp_path: Path, kind: str) -> None:
    forge = Forge(project_of(repo))
    blob = forge.blob()
    tree = forge.tree(*(("100644", b"%06d" % at, blob) for at in range(2000)))
    snapshot = forge.commit(tree, message=b"m" * 20_000)
    limits = Limits()._replace(**{kind: 10_000})
    with pytest.raises(RejectedError, match=kind):
        take(forge.intake(tmp_path / "pack", snapshot), limits)
