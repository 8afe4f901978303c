"""Results from a sandbox end where the host's limit is, and broken ones are refused."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies

from realm.errors import RejectedError
from realm.sandbox import report, transfer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _endless(head: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield b"\0" * 65536


@pytest.mark.parametrize("name", ["out/pack", "out/unknown", "out/report", "out/turns/0001.prompt.json"])
def test_endless_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="larger than allowed"):
        report.receive(_endless(_header(name, 1 << 50)), tmp_path, 1 << 20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1 << 20


def test_endless_tail_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="larger than allowed"):
        report.receive(_endless(b"\0" * 1024), tmp_path, 1 << 20)


def test_endless_members_are_refused(tmp_path: Path) -> None:
    def members() -> Iterator[bytes]:
        while True:
            yield _header("out/x", 0)

    with pytest.raises(RejectedError, match="larger than allowed"):
        report.receive(members(), tmp_path, 1 << 20)


def test_large_report_is_left_out(tmp_path: Path) -> None:
    data = _header("out/report", 2 << 20) + b"x" * (2 << 20) + b"\0" * 1024
    report.receive(iter([data]), tmp_path, 1 << 30)
    assert list(tmp_path.iterdir()) == []


def test_long_name_without_end_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = b"L", 1 << 40
    with pytest.raises(RejectedError, match="larger than allowed"):
        report.receive(_endless(info.tobuf(tarfile.GNU_FORMAT)), tmp_path, 1 << 20)


def _extended(records: bytes) -> bytes:
    info = tarfile.TarInfo("PaxHeaders.0/x")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    return info.tobuf(tarfile.USTAR_FORMAT) + records + b"\0" * (-len(records) % 512)


@pytest.mark.parametrize(
    "records",
    [
        b"99 size=1\n", b"x size=1\n", b"0 a=b\n", b"11 size=-1\n", b"12 size=1e9\n", b"no space",
        b"29 size=99999999999999999999\n",
    ],
)  # fmt: skip
def test_broken_extended_header_is_refused(records: bytes, tmp_path: Path) -> None:
    data = _extended(records) + _header("out/report", 1) + b"x" * 512 + b"\0" * 1024
    with pytest.raises(RejectedError):
        report.receive(iter([data]), tmp_path, 1 << 20)


def test_endless_extended_header_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("PaxHeaders.0/x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with pytest.raises(RejectedError, match="larger than allowed"):
        report.receive(_endless(info.tobuf(tarfile.GNU_FORMAT)), tmp_path, 1 << 20)


def test_size_of_an_extended_header_counts(tmp_path: Path) -> None:
    data = _extended(b"18 size=999999999\n") + _header("out/pack", 1)
    with pytest.raises(RejectedError, match="larger than allowed"):
        report.receive(_endless(data), tmp_path, 1 << 20)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"x" * 2048, _header("out/pack", 5000) + b"cut"])
def test_what_is_no_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(RejectedError):
        report.receive(iter([data]), tmp_path, 1 << 20)


def _valid() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name in ("out/report", "out/pack", "out/turns/0001.point"):
            info = tarfile.TarInfo(name)
            info.size = 4
            made.addfile(info, io.BytesIO(b"data"))
    return buffer.getvalue()


@hypothesis.given(
    strategies.lists(strategies.tuples(strategies.integers(0, 3000), strategies.integers(0, 255)), max_size=8)
)
def test_damaged_archives_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(_valid())
    for place, value in changes:
        data[place] = value
    reader = transfer.Reader(iter([bytes(data)]), 1 << 20)
    try:
        for member in reader.files():
            assert len(member.read()) == member.size
    except RejectedError:
        pass
