from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from realm.sandbox.archive import BoxFile, Entry, entries, write

if TYPE_CHECKING:
    from pathlib import Path


def _read(made: list[Entry]) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(write(made, 5)))) as archive:
        return archive.getmembers()


def test_members_are_what_tar_reads(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1000)
    link = tmp_path / "link"
    link.symlink_to("else/where")
    files = [
        BoxFile("/realm/entry", b"#!", 0o555, owner="root"),
        BoxFile("/realm/claude/a/b", source, 0o600),
        BoxFile("/realm/claude/l", link),
        BoxFile("/realm/" + "n" * 150, b"1"),
        BoxFile("/workspace/p/other", b""),
    ]
    found = {info.name: info for info in _read(entries("/realm", files, ["/realm/out"], 7, 8))}
    assert set(found) == {"entry", "claude", "claude/a", "claude/a/b", "claude/l", "n" * 150, "out"}
    assert (found["entry"].uid, found["entry"].mode, found["claude/a/b"].uid, found["claude/a/b"].gid) == (
        0,
        0o555,
        7,
        8,
    )
    assert (found["claude/a/b"].size, found["claude/a/b"].mtime, found["claude/l"].linkname) == (
        1000,
        5,
        "else/where",
    )
    assert found["out"].isdir()
    assert found["out"].uid == 7


def test_directory_goes_in_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_text("1")
    made = entries("/workspace", [BoxFile("/workspace/p/d", tmp_path / "d")], [], 1, 1)
    assert [entry.name for entry in made] == [b"p", b"p/d", b"p/d/e", b"p/d/e/f"]


def test_file_that_shrinks_meanwhile_keeps_the_archive_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1000)
    made = entries("/realm", [BoxFile("/realm/a", source), BoxFile("/realm/b", b"after")], [], 1, 1)
    source.write_bytes(b"y")
    assert [info.name for info in _read(made)] == ["a", "b"]


def test_names_keep_their_bytes(tmp_path: Path) -> None:
    made = entries("/workspace", [BoxFile("/workspace/p/\udcff\n", b"")], [], 1, 1)
    assert made[-1].name == b"p/\xff\n"
