"""A pack is cut off, garbage, or lacks objects that it needs."""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from tests.support.store import Forge, copy_command, object_count, oid_of, project_of, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.repos import Repo

NOWHERE = "9" * 40


def damaged(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a function that changes a pack and gives it a valid checksum again."""

    def apply(pack: bytes) -> bytes:
        body = change(pack[:-20])
        return body + hashlib.sha1(body, usedforsecurity=False).digest()

    return apply


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda pack: pack[: len(pack) // 2],
    "one byte": lambda pack: pack[:1],
    "garbage": lambda pack: os.urandom(len(pack)),
    "wrong checksum": lambda pack: pack[:-1] + bytes([pack[-1] ^ 1]),
    "text": lambda pack: b"hello\n" * len(pack),
    "version": damaged(lambda body: b"PACK" + struct.pack(">I", 9) + body[8:]),
    "count": damaged(lambda body: body[:8] + struct.pack(">I", 2**31) + body[12:]),
    "fewer": damaged(lambda body: body[:8] + struct.pack(">I", 1) + body[12:]),
    "bad stream": damaged(lambda body: body[:20] + b"\xff" * 8 + body[28:]),
    "bad type": damaged(lambda body: body[:12] + b"\x50" + body[13:]),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_pack_is_refused(repo: Repo, tmp_path: Path, kind: str) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    intake = forge.intake(tmp_path / "pack", forge.file(data=b"payload" * 50))
    (tmp_path / "pack").write_bytes(DAMAGE[kind]((tmp_path / "pack").read_bytes()))
    with pytest.raises(RejectedError) as caught:
        take(intake)
    assert caught.value.message.isprintable()
    assert object_count(repo) == before


def missing_blob(forge: Forge) -> str:
    return forge.commit(forge.tree(("100644", b"a", NOWHERE)))


def missing_tree(forge: Forge) -> str:
    return forge.commit(forge.tree(("40000", b"a", NOWHERE)))


def missing_root(forge: Forge) -> str:
    return forge.commit(NOWHERE)


def missing_parent(forge: Forge) -> str:
    return forge.commit(forge.tree(("100644", b"a", forge.blob())), NOWHERE)


def missing_delta_base(forge: Forge) -> str:
    forge.delta(NOWHERE, copy_command(0, 1), 1, 1)
    return forge.file()


def bad_delta(forge: Forge) -> str:
    forge.delta(forge.blob(b"abc"), copy_command(1000, 1000), 3, 1000)
    return forge.file()


@pytest.mark.parametrize(
    "make", [missing_blob, missing_tree, missing_root, missing_parent, missing_delta_base, bad_delta]
)
def test_pack_without_what_it_needs_is_refused(
    repo: Repo, tmp_path: Path, make: Callable[[Forge], str]
) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    with pytest.raises(RejectedError):
        take(forge.intake(tmp_path / "pack", make(forge)))
    assert object_count(repo) == before


def test_pack_may_not_be_a_link_or_a_pipe(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    intake = forge.intake(tmp_path / "real", forge.file())
    pack = tmp_path / "pack"
    pack.symlink_to(tmp_path / "real")
    with pytest.raises(RejectedError):
        take(intake._replace(pack=pack))


def test_point_that_is_not_a_commit_is_refused(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    blob = forge.blob()
    for snapshot in (
        blob,
        oid_of("blob", b"never sent"),
        "HEAD",
        "refs/heads/main",
        "a" * 39,
        "-x",
        "A" * 40,
    ):
        with pytest.raises(RejectedError):
            take(forge.intake(tmp_path / "pack", snapshot))
    assert not repo.refs("refs/realm")
