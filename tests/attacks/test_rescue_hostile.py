"""What a rescue writes of a container's files: nothing outside, nothing that git obeys, no surprises."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm.errors import RejectedError
from realm.session.rescue import Writer

FILE, DIRECTORY, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
Member = tuple[str, bytes, str]


def packed(*members: Member) -> bytes:
    """Return an archive of members: name, kind, and a file's content or a link's target."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid = kind, 0o4755, 3_000_000
            if kind == FILE:
                info.size = len(text.encode())
            else:
                info.linkname = text
            archive.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


def written(place: Path, *members: Member) -> Writer:
    writer = Writer(place / "out", "/workspace/p")
    writer.write([packed(*members)])
    return writer


def tree(place: Path) -> set[str]:
    return {str(path.relative_to(place / "out")) for path in (place / "out").rglob("*")}


def test_files_links_and_programs_arrive(tmp_path: Path) -> None:
    writer = written(
        tmp_path,
        ("workspace/p/", DIRECTORY, ""),
        ("workspace/p/src/run", FILE, "#!/bin/sh\n"),
        ("workspace/p/src/same", HARD, "workspace/p/src/run"),
        ("workspace/p/link", LINK, "src/run"),
        ("workspace/other/file", FILE, "x"),
    )
    assert tree(tmp_path) == {"src", "src/run", "src/same", "link"}
    assert (tmp_path / "out/link").read_text() == "#!/bin/sh\n"
    assert os.access(tmp_path / "out/src/same", os.X_OK)
    assert not (tmp_path / "out/src/run").stat().st_mode & 0o6000
    assert (writer.files, list(writer.notes())) == (3, [])


@pytest.mark.parametrize(
    "member",
    [
        ("workspace/p/../../../escaped", FILE, "x"),
        ("/workspace/p/../../escaped", FILE, "x"),
        ("workspace/p/link", LINK, "/etc/passwd"),
        ("workspace/p/link", LINK, "../escaped"),
        ("workspace/p/a/link", LINK, "b/../../../escaped"),
        ("workspace/p/hard", HARD, "/etc/passwd"),
        ("workspace/p/hard", HARD, "workspace/p/not-there"),
        ("workspace/p/fifo", tarfile.FIFOTYPE, ""),
        ("workspace/p/device", tarfile.BLKTYPE, ""),
    ],
)
def test_what_leads_elsewhere_or_is_no_file_is_left_out(tmp_path: Path, member: Member) -> None:
    written(tmp_path, ("workspace/p/a/b", DIRECTORY, ""), member)
    assert tree(tmp_path) == {"a", "a/b"}
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    writer = written(
        tmp_path,
        ("workspace/p/d", LINK, "."),
        ("workspace/p/d/file", FILE, "inside"),
        ("workspace/p/e", LINK, "d"),
        ("workspace/p/e/deep", LINK, "../../target/made"),
    )
    assert (tmp_path / "out/d/file").read_text() == "inside"
    assert not (tmp_path / "out/d").is_symlink()
    assert list((tmp_path / "target").iterdir()) == []
    assert any("taken" in note or "elsewhere" in note for note in writer.notes())


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".g\u200cit", ".git ", ".git::$INDEX_ALLOCATION"])
@pytest.mark.parametrize("place", ["", "a/b/"])
def test_no_repository_comes_along(tmp_path: Path, place: str, name: str) -> None:
    written(
        tmp_path,
        (f"workspace/p/{place}{name}/config", FILE, "[core]\n\tfsmonitor = touch /tmp/x\n"),
        (f"workspace/p/{place}{name}/hooks/pre-commit", FILE, "#!/bin/sh\n"),
        ("workspace/p/kept", FILE, "x"),
    )
    assert {path for path in tree(tmp_path) if "git" in path.lower() or "hook" in path} == set()
    assert (tmp_path / "out/kept").exists()


def test_a_bare_repository_is_no_repository_any_more(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    writer = written(
        tmp_path,
        ("workspace/p/bare/HEAD", FILE, "ref: refs/heads/main\n"),
        ("workspace/p/bare/config", FILE, f"[core]\n\tbare = false\n\tfsmonitor = touch {planted}\n"),
        ("workspace/p/bare/objects", DIRECTORY, ""),
        ("workspace/p/bare/refs", DIRECTORY, ""),
    )
    subprocess.run(["git", "status"], cwd=tmp_path / "out/bare", capture_output=True, check=False)
    assert not planted.exists()
    assert any("HEAD.rescued" in note for note in writer.notes())


BARE: tuple[Member, ...] = (
    ("workspace/p/bare/HEAD", FILE, "ref: refs/heads/main\n"),
    ("workspace/p/bare/config", FILE, "[core]\n\tbare = false\n\tfsmonitor = touch planted\n"),
    ("workspace/p/bare/objects", DIRECTORY, ""),
    ("workspace/p/bare/refs", DIRECTORY, ""),
)


def assert_no_repository(place: Path) -> None:
    for directory in (path for path in (place / "out").rglob("*") if path.is_dir()):
        done = subprocess.run(
            ["git", "rev-parse", "--git-dir"], cwd=directory, capture_output=True, check=False
        )
        assert done.returncode != 0, directory


@pytest.mark.parametrize(
    "after",
    [
        [("workspace/p/bare/HEAD.rescued/full", FILE, "x")],
        [("workspace/p/bare/HEAD:" + "x" * 249, FILE, "x")],
        [("workspace/p/bare/HEAD ", FILE, "x"), ("workspace/p/bare/head/x", FILE, "x")],
        [("workspace/p/bare/HEAD", HARD, "workspace/p/bare/config")],
    ],
    ids=range(4),
)
def test_no_name_beside_it_keeps_a_bare_repository_one(tmp_path: Path, after: list[Member]) -> None:
    other = [(name.replace("/bare", "/zoo"), kind, text) for name, kind, text in BARE]
    written(tmp_path, *BARE, *after, *other)
    assert_no_repository(tmp_path)


def test_what_breaks_off_leaves_no_repository(tmp_path: Path) -> None:
    """The agent ends the rescue in the middle, with a file that is too large."""
    whole = packed(*BARE, ("workspace/p/zoo", FILE, "x" * 2000))
    with pytest.raises(RejectedError):
        Writer(tmp_path / "out", "/workspace/p").write([whole[: whole.index(b"x" * 2000) + 512]])
    assert (tmp_path / "out/bare/config").exists()
    assert_no_repository(tmp_path)


def test_other_files_called_head_keep_their_names(tmp_path: Path) -> None:
    writer = written(
        tmp_path,
        ("workspace/p/HEAD", FILE, "mine"),
        ("workspace/p/a/head/HEAD", FILE, "mine"),
        ("workspace/p/b/HEAD", LINK, "../HEAD"),
    )
    assert tree(tmp_path) == {"HEAD", "a", "a/head", "a/head/HEAD", "b", "b/HEAD"}
    assert (tmp_path / "out/b/HEAD").read_text() == "mine"
    assert list(writer.notes()) == []


def test_hard_links_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realm.session.rescue.MOST_BYTES", 10_000)
    links = [(f"workspace/p/link{number}", HARD, "workspace/p/a") for number in range(100)]
    with pytest.raises(RejectedError, match="more than can be rescued"):
        written(tmp_path, ("workspace/p/a", FILE, "x" * 1000), *links)


def test_a_file_in_the_place_of_a_directory_costs_that_alone(tmp_path: Path) -> None:
    writer = written(
        tmp_path,
        ("workspace/p/a\x01", FILE, "x"),
        ("workspace/p/a\\/b/c", FILE, "y"),
        ("workspace/p/a\\/link", LINK, "x"),
        (f"workspace/p/{'/'.join(['d' * 200] * 30)}/link", LINK, "x"),
        ("workspace/p/kept", FILE, "z"),
        ("workspace/p/last", LINK, "kept"),
    )
    assert tree(tmp_path) == {"a_", "kept", "last"}
    assert any("taken" in note for note in writer.notes())


def test_names_are_cleaned(tmp_path: Path) -> None:
    writer = written(tmp_path, ("workspace/p/a\x1b[31m\nb", FILE, "x"), ("workspace/p/c\\d", FILE, "y"))
    assert tree(tmp_path) == {"a_[31m_b", "c_d"}
    assert list(writer.notes()) == ["2 names had harmful characters, which became _"]


def test_too_long_a_path_costs_that_file_alone(tmp_path: Path) -> None:
    deep = "/".join(["d" * 200] * 30)
    writer = written(tmp_path, (f"workspace/p/{deep}/f", FILE, "x"), ("workspace/p/kept", FILE, "y"))
    assert (tmp_path / "out/kept").exists()
    assert any("too long" in note for note in writer.notes())


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RejectedError):
        Writer(tmp_path / "out", "/workspace/p").write([b"x" * 2000])


NAMES = st.text(st.sampled_from("ab/.~\\\x1bé"), max_size=12)
KINDS = st.sampled_from([FILE, DIRECTORY, LINK, HARD])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(NAMES, KINDS, NAMES), max_size=8))
def test_whatever_comes_stays_inside(tmp_path_factory: pytest.TempPathFactory, found: list[Member]) -> None:
    place = tmp_path_factory.mktemp("wild")
    writer = Writer(place / "out", "/workspace/p")
    writer.write([packed(*((f"workspace/p/{name}", kind, text) for name, kind, text in found))])
    assert list(place.iterdir()) == [place / "out"]
    root = (place / "out").resolve()
    for path in root.rglob("*"):
        assert Path(os.path.realpath(path)).is_relative_to(root), path
        assert ".git" not in path.parts
