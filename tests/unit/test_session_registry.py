from __future__ import annotations

from pathlib import Path

import pytest

from realm.paths import realm_home
from realm.session import registry


def test_the_last_used_project_comes_first() -> None:
    registry.remember(Path("/a"))
    registry.remember(Path("/b"))
    registry.remember(Path("/a"))
    assert registry.known() == [Path("/a"), Path("/b")]


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
