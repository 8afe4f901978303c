"""Links planted in realm's own directory: nothing behind them is changed or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]
FILES = ("key", "clock", "projects.json", ".gitignore")
DIRECTORIES = ("tmp", "runs", "approvals", "history", "volumes", "caches", "egress", "quarantine")


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_they_lead_to_stays(user: User, tmp_path: Path) -> None:
    precious, home = tmp_path / "precious", tmp_path / "planted"
    home.mkdir()
    for name in DIRECTORIES:
        (precious / name / "mine").mkdir(parents=True)
        (precious / name / "mine/letter").write_text("dear\n")
        (precious / name / "note.json").write_text("{}\n")
        (home / name).symlink_to(precious / name)
    for name in FILES:
        (precious / name).write_text("dear\n")
        (home / name).symlink_to(precious / name)
    before = contents(precious)
    user.extra["REALM_HOME"] = str(home)

    user.scripted("fix", "echo work > work")
    assert user.repo.show("refs/realm/fix:work") == "work"
    (own,) = (path for path in (home / "runs").iterdir() if path.name != "mine" and path.is_dir())
    own.rename(tmp_path / "own")
    own.symlink_to(precious / "runs/mine")
    user.realm("resume", "fix", "-c", "echo more > more")
    assert user.repo.show("refs/realm/fix:more") == "more"
    for line in (["gc"], ["remove", "--yes", "fix"], ["gc"], ["list", "--all", "--prune"]):
        user.realm(*line)
    assert {path: path.read_bytes() if path.exists() else None for path in before} == before
