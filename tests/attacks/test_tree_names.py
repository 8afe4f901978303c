"""Files have names that mislead a terminal or another system's paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.store import Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

BAD = (
    "..\\..\\evil",
    "C:\\evil",
    "a\x1b[2Jb",
    "a\nb",
    "a\rb",
    "tab\tname",
    "bell\x07",
    "del\x7f",
    "c1\u009b2J",
    "txt.\u202egpj",
    "x\u2066y",
    "n" * 256,
    "invisible\u200b",
    "soft\u00adhyphen",
    "filler\u3164",
    "tagged\U000e0041",
    "\u200d",
    "\udc9b2J",
)
GOOD = (
    "plain",
    "sp ace",
    "-dash",
    "ünïcode",
    "emoji-👩\u200d💻",
    "\udcff\udcfe-latin",
    "quote\"'",
    "$(touch x)",
    "a:b",
    "con",
)


@pytest.mark.parametrize("name", BAD)
def test_file_is_left_out_and_the_rest_kept(repo: Repo, tmp_path: Path, name: str) -> None:
    forge = Forge(project_of(repo))
    lines = sorted([(name.encode("utf-8", "surrogateescape"), forge.blob()), (b"ok", forge.blob(b"ok\n"))])
    done = take(
        forge.intake(tmp_path / "pack", forge.commit(forge.tree(*(("100644", *line) for line in lines))))
    )
    assert repo.files("refs/realm/fix") == ["ok"]
    assert len(done.dropped) == 1
    assert done.dropped[0].isprintable()
    assert_sound(repo)


@pytest.mark.parametrize("name", GOOD)
def test_ordinary_names_stay(repo: Repo, tmp_path: Path, name: str) -> None:
    forge = Forge(project_of(repo))
    done = take(forge.intake(tmp_path / "pack", forge.file(name)))
    assert repo.files("refs/realm/fix") == [name]
    assert done.dropped == []


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("CON", "Windows"), ("aux.c", "Windows"), ("COM1 .txt", "Windows"), ("a:b", "Windows"),
        ("x.", "Windows"), ("x ", "Windows"), ("what?", "Windows"), ("pass\u200dword.py", "invisible"),
        ("emoji-👩\u200d💻", ""), ("❤\ufe0f.md", ""), ("\u0645\u06cc\u200c\u062e.txt", ""), ("conx", ""),
    ],
)  # fmt: skip
def test_what_other_systems_cannot_have_is_noted(repo: Repo, tmp_path: Path, name: str, noted: str) -> None:
    forge = Forge(project_of(repo))
    done = take(forge.intake(tmp_path / "pack", forge.file(name)))
    assert repo.files("refs/realm/fix") == [name]
    assert [noted in note for note in done.notes] == ([True] if noted else [])


ALIKE = (("a", "A"), ("Stra\u00dfe", "STRASSE"), ("\u00e9", "e\u0301"), ("app.py", "app\ufe0f.py"))


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_are_one_on_other_systems(repo: Repo, tmp_path: Path, one: str, other: str) -> None:
    forge = Forge(project_of(repo))
    lines = sorted(("100644", name.encode(), forge.blob()) for name in (one, other))
    done = take(forge.intake(tmp_path / "pack", forge.commit(forge.tree(*lines))))
    assert sorted(repo.files("refs/realm/fix")) == sorted([one, other])
    assert any("has the same name as" in note for note in done.notes)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_a_link_that_is_a_directory_there_is_left_out(
    repo: Repo, tmp_path: Path, one: str, other: str
) -> None:
    forge = Forge(project_of(repo))
    below = forge.tree(("100644", b"post-checkout", forge.blob()))
    lines = [("40000", one.encode(), below), ("120000", other.encode(), forge.blob(b"elsewhere"))]
    lines.sort(key=lambda line: line[1] + (b"/" if line[0] == "40000" else b""))
    done = take(forge.intake(tmp_path / "pack", forge.commit(forge.tree(*lines))))
    assert len(done.dropped) == 1
    kept = repo.git("ls-tree", "refs/realm/fix").splitlines()
    assert len(kept) == 1


def test_a_name_of_the_users_own_may_change_and_move(repo: Repo, tmp_path: Path) -> None:
    repo.write("units/a\\x2db.slice", "1\n")
    repo.commit("The user's own")
    forge = Forge(project_of(repo))
    moved = forge.tree(("100644", b"a\\x2db.slice", forge.blob(b"2\n")), ("100644", b"c\\d", forge.blob()))
    done = take(forge.intake(tmp_path / "pack", forge.commit(forge.tree(("40000", b"elsewhere", moved)))))
    assert repo.files("refs/realm/fix") == ["elsewhere/a\\x2db.slice"]
    assert done.dropped == ["elsewhere/c\\\\d: a backslash in the name"]


def test_directory_with_a_bad_name_goes_as_a_whole(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    below = forge.tree(("40000", b"in\x1bner", forge.tree(("100644", b"f", forge.blob()))))
    tree = forge.tree(("40000", b"outer", below), ("100644", b"z", forge.blob()))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert repo.files("refs/realm/fix") == ["z"]
    assert done.dropped == ["outer/inner: a control character in the name"]


def test_many_findings_are_counted(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    blob = forge.blob()
    tree = forge.tree(*(("100644", b"%03d\\" % at, blob) for at in range(250)), ("100644", b"z", blob))
    done = take(forge.intake(tmp_path / "pack", forge.commit(tree)))
    assert len(done.dropped) == 101
    assert done.dropped[-1] == "and 150 more"
