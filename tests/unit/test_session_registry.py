from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from realm.model import Project
from realm.paths import realm_home
from realm.session import registry


def test_the_last_used_project_comes_first() -> None:
    registry.remember(Path("/a"))
    registry.remember(Path("/b"))
    registry.remember(Path("/a"))
    assert registry.known() == [Path("/a"), Path("/b")]


def test_the_main_work_tree_is_remembered_for_a_linked_one(tmp_path: Path) -> None:
    def use(root: str, common: str) -> None:
        (tmp_path / root / ".git").mkdir(parents=True, exist_ok=True)
        project = Project(tmp_path / root, tmp_path / common, tmp_path / common, "x")
        registry.remember_project(project)

    (tmp_path / "main/.git").mkdir(parents=True)
    (tmp_path / "main/.git/index").touch()
    use("main", "main/.git")
    use("linked", "main/.git")
    use("beside", "bare/.git")
    use("inner", "main/.git/modules/inner")
    assert registry.known() == [tmp_path / name for name in ("inner", "beside", "main")]


def test_several_are_forgotten_at_once() -> None:
    for name in ("/a", "/b", "/c"):
        registry.remember(Path(name))
    registry.forget(Path("/a"), Path("/c"), Path("/never"))
    assert registry.known() == [Path("/b")]


def test_a_place_without_its_repository_is_gone(tmp_path: Path) -> None:
    assert registry.is_gone(tmp_path / "never")
    assert registry.is_gone(tmp_path)
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    assert not registry.is_gone(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"projects": 3}', '{"projects": {"/a": "x"}}'])
def test_a_damaged_file_is_as_none_and_is_replaced(content: str) -> None:
    realm_home().mkdir(parents=True, exist_ok=True)
    (realm_home() / "projects.json").write_text(content)
    assert registry.known() == []
    registry.remember(Path("/a"))
    assert registry.known() == [Path("/a")]


MANY = """
import sys
from pathlib import Path
from realm.session import registry
sys.stdin.read()
for number in range(20):
    registry.remember(Path(f"/{sys.argv[1]}/{number}"))
    registry.forget(Path(f"/gone/{sys.argv[1]}"))
"""


def test_many_processes_at_once_lose_nothing_of_each_other() -> None:
    for name in range(8):
        registry.remember(Path(f"/gone/{name}"))
    processes = [
        subprocess.Popen([sys.executable, "-c", MANY, str(name)], stdin=subprocess.PIPE) for name in range(8)
    ]
    for process in processes:  # they wait for this, to begin together
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0] * 8
    assert set(registry.known()) == {Path(f"/{name}/{number}") for name in range(8) for number in range(20)}


def test_where_nothing_can_be_written_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REALM_HOME", str(tmp_path / "file"))
    registry.remember(Path("/a"))
    registry.forget(Path("/a"))
    assert registry.known() == []
