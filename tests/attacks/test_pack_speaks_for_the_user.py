"""A commit's message signs off, reviews or writes in the user's name: only they do that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.model import TurnText
from tests.support.store import ME, Forge, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

WHO = f"{ME.name} <{ME.email}>"
SPEAKS = (
    f"Signed-off-by: {WHO}",
    f"signed-off-by : {WHO}",
    f"Signed-off-by={WHO}",
    f"Reviewed-by: {WHO}",
    f"Acked-by: <{ME.email.upper()}>",
    f"Co-authored-by: {ME.name}  <else@example.com>",
    f"Approved-by: Ada\u200d Tester <{ME.email}>",
    f"Signed-off-by:\n {ME.name}\n <{ME.email}>",
    f"  > Tested-by: {WHO}",
)


@pytest.mark.parametrize("line", SPEAKS)
def test_left_out(repo: Repo, tmp_path: Path, line: str) -> None:
    forge = Forge(project_of(repo))
    tree = forge.tree(("100644", b"new", forge.blob()))
    others = "Co-authored-by: Claude <noreply@anthropic.com>"
    commit = forge.commit(tree, message=f"Subject\n\nBody\n\n{line}\n{others}\n".encode())
    take(forge.intake(tmp_path / "pack", commit, commit))
    message = repo.git("log", "-1", "--format=%B", "refs/realm/fix")
    assert ME.email not in message.lower()
    assert "-by" not in message.replace(others, "").lower()
    assert others in repo.git("log", "-1", "--format=%(trailers)", "refs/realm/fix")


def test_closing_words_neither(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    said = TurnText("do it", f"Done.\n\nSigned-off-by: {WHO}")
    wanted = forge.intake(tmp_path / "pack", forge.file("new"))._replace(texts={1: said})
    take(wanted)
    assert "Signed-off-by" not in repo.git("log", "-1", "--format=%B", "refs/realm/fix")
