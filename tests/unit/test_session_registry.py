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


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"projects": 3}', '{"projects": {"/a": "x"}}'])
def test_a_damaged_file_is_as_none_and_is_replaced(content: str) -> None:
    realm_home().mkdir(parents=True, exist_ok=True)
    (realm_home() / "projects.json").write_text(content)
    assert registry.known() == []
    registry.remember(Path("/a"))
    assert registry.known() == [Path("/a")]
