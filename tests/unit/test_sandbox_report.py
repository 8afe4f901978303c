from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from realm.sandbox import report

if TYPE_CHECKING:
    from pathlib import Path


def archive(name: str, size: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = size
        tar.addfile(info, io.BytesIO(b"x" * size))
    return made.getvalue()


@pytest.mark.parametrize(("size", "too_long"), [(100, 0), (101, 101)])
def test_a_transcript_that_is_too_long_is_not_dropped_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, too_long: int
) -> None:
    monkeypatch.setitem(report._LIMITS, b"transcript", 100)
    report.receive(iter([archive("out/transcript", size)]), tmp_path, 1 << 20)
    found = report.load(tmp_path)
    assert found.too_long == too_long
    assert (found.transcript is None) == bool(too_long)
