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
    lines = sorted([(name.encode(), forge.blob()), (b"ok", forge.blob(b"ok\n"))])
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
