"""A ``.gitmodules`` would make the user's git run a command or write elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from tests.support.store import Forge, object_count, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

BAD = (
    '[submodule "x"]\n\tpath = x\n\turl = https://example.com/x\n\tupdate = !touch /tmp/owned\n',
    '[submodule "../../hooks"]\n\tpath = x\n\turl = https://example.com/x\n',
    '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n',
    '[submodule "x"]\n\tpath = -x\n\turl = https://example.com/x\n',
    '[submodule "x"]\n\tpath = x\n\turl = https://example.com/%0ahost=evil\n',
)


@pytest.mark.parametrize("content", BAD)
def test_pack_is_refused(repo: Repo, tmp_path: Path, content: str) -> None:
    before = object_count(repo)
    forge = Forge(project_of(repo))
    snapshot = forge.file(".gitmodules", data=content.encode())
    with pytest.raises(RejectedError, match="refused"):
        take(forge.intake(tmp_path / "pack", snapshot))
    assert object_count(repo) == before
