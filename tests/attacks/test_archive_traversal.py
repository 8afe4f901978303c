"""Results from a sandbox cannot name where they are written on the host."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from realm.sandbox import report

if TYPE_CHECKING:
    from pathlib import Path

OID = "a" * 40


def _tar(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _file(name: str, data: bytes = b"evil") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), data


def _link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def _receive(data: bytes, tmp_path: Path) -> Path:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    report.receive(iter([data]), inside, 1 << 20)
    return inside


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/tmp/evil", "out/../../evil", "out/turns/../../evil", "out/turns/0001.point/../../../evil",  # noqa: E501
        "out/pack/../x", "out//pack", "out/./pack", "out/turns/0001.point\n", "out/turns/../report", "pack/x",
        "out/" + "x" * 300, "out/turns/0000.point", "out/turns/99999.prompt.json", "out/turns/\u0661.point",
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_unknown_names_are_passed_over(name: str, format: int, tmp_path: Path) -> None:  # noqa: A002
    inside = _receive(_tar(_file(name), _file("out/report", b"done yes\n"), format=format), tmp_path)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["a/b/report"]
    assert report.load(inside).complete


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_passed_over(kind: bytes, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    data = _tar(_link("out/pack", str(target), kind), _file("out/pack"), _file("out/report", b"done yes\n"))
    inside = _receive(data, tmp_path)
    assert (target.read_text(), (inside / "pack").read_bytes()) == ("mine", b"evil")
    assert not (inside / "pack").is_symlink()


def test_name_from_an_extended_header_is_not_believed(tmp_path: Path) -> None:
    info = tarfile.TarInfo("out/report")
    info.pax_headers = {"path": "../../evil"}
    inside = _receive(_tar((info, b"done yes\n"), format=tarfile.PAX_FORMAT), tmp_path)
    assert sorted(path.name for path in inside.iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_report_is_taken_by_syntax_only(tmp_path: Path) -> None:
    data = _tar(
        _file("out/end.point", f"{OID} {OID} 12\n".encode()),
        _file("out/turns/0001.point", f"{OID} --upload-pack=x 12\n".encode()),
        _file("out/turns/0002.point", f"{OID[1:]} {OID} 12\n".encode()),
        _file("out/turns/0003.point", f"{OID} {OID} 12\nmore".encode()),
        _file("out/report", b"exit 0\nexit $(id)\nerror \xff\x1b[31m\ndone yes\n"),
    )
    found = report.load(_receive(data, tmp_path))
    assert [(point.head, point.turn) for point in found.points] == [(OID, 3)]
    assert (found.exit_code, found.complete) == (None, True)
