from __future__ import annotations

import io
import itertools
import tarfile
from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.sandbox.transfer import Entry, Member, Reader, SandboxFile, entries, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _read(made: list[Entry]) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(write(made)))) as archive:
        return archive.getmembers()


def test_members_are_what_tar_reads(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1000)
    link = tmp_path / "link"
    link.symlink_to("else/where")
    files = [
        SandboxFile("/realm/entry", b"#!", 0o555, owner="root"),
        SandboxFile("/realm/claude/a/b", source, 0o600),
        SandboxFile("/realm/claude/l", link),
        SandboxFile("/realm/" + "n" * 150, b"1"),
        SandboxFile("/workspace/p/other", b""),
    ]
    found = {info.name: info for info in _read(entries("/realm", files, ["/realm/out"], (7, 8)))}
    assert set(found) == {"entry", "claude", "claude/a", "claude/a/b", "claude/l", "n" * 150, "out"}
    assert (found["entry"].uid, found["entry"].mode, found["claude/a/b"].uid, found["claude/a/b"].gid) == (
        0,
        0o555,
        7,
        8,
    )
    assert (found["claude/a/b"].size, found["claude/a/b"].isreg(), found["claude/l"].linkname) == (
        1000,
        True,
        "else/where",
    )
    assert found["out"].isdir()
    assert found["out"].uid == 7


def test_directory_goes_in_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_text("1")
    made = entries("/workspace", [SandboxFile("/workspace/p/d", tmp_path / "d")], [], (1, 1))
    assert [entry.info.name for entry in made] == ["p", "p/d", "p/d/e", "p/d/e/f"]


def test_file_that_shrinks_meanwhile_keeps_the_archive_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1000)
    made = entries("/realm", [SandboxFile("/realm/a", source), SandboxFile("/realm/b", b"after")], [], (1, 1))
    source.write_bytes(b"y")
    assert [info.name for info in _read(made)] == ["a", "b"]


def test_names_keep_their_bytes(tmp_path: Path) -> None:
    made = entries("/workspace", [SandboxFile("/workspace/p/\udcff\n", b"")], [], (1, 1))
    assert b"p/\xff\n" in b"".join(write(made))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_reader_knows_long_names_and_large_numbers(form: int) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=form, pax_headers={"comment": "global"}) as archive:
        for name in ("short", "n" * 300, "after"):
            info = tarfile.TarInfo(name)
            info.uid, info.gid, info.size, info.mtime = 2_200_000, 2_300_000, len(name), 1.5
            archive.addfile(info, io.BytesIO(name.encode()))
    reader = Reader(iter([held.getvalue()]), 1 << 20)
    assert [(member.name, member.read()) for member in reader.files()] == [
        (name, name) for name in (b"short", b"n" * 300, b"after")
    ]


def test_only_regular_files_are_handed_out(tmp_path: Path) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for kind in (tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("x")
            info.type = kind
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("file"))
    reader = Reader(iter([held.getvalue()]), 1 << 20)
    assert [member.name for member in reader.files()] == [b"file"]


@pytest.mark.parametrize("take", [Member.read, Member.skip])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(take: Callable[[Member], object]) -> None:
    """A sparse one costs a container nothing, and would keep the host busy for minutes."""
    info = tarfile.TarInfo("pack")
    info.size = 5 << 30
    read = []

    def pieces() -> Iterator[bytes]:
        yield info.tobuf()
        read.append("more")
        yield bytes(1000)

    (member,) = itertools.islice(Reader(pieces(), 4 << 30).files(), 1)
    with pytest.raises(RejectedError, match="larger than allowed"):
        take(member)
    assert read == []
