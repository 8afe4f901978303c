"""A pack carries more than the session's files: none of it reaches the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.store import Forge, assert_sound, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_only_what_the_tip_reaches_is_moved(repo: Repo, tmp_path: Path) -> None:
    forge = Forge(project_of(repo))
    stray = forge.blob(b"stray payload")
    bad = forge.blob(b"/etc/passwd")
    tag = forge.add(
        "tag", b"object %s\ntype commit\ntag x\ntagger E <e@e> 1 +0000\n\nx\n" % forge.tip.encode()
    )
    sandbox = forge.commit(forge.tree(("100644", b"ok", forge.blob()), ("120000", b"out", bad)))
    take(forge.intake(tmp_path / "pack", sandbox))
    for oid in (stray, bad, tag, sandbox):
        assert repo.git("cat-file", "-t", oid, check=False) == ""
    assert_sound(repo)


def test_quarantine_is_gone_afterwards(repo: Repo, tmp_path: Path, sealed: Path) -> None:
    forge = Forge(project_of(repo))
    take(forge.intake(tmp_path / "pack", forge.file()))
    assert list((sealed / ".realm/tmp").iterdir()) == []
    assert not list((repo.path / ".git/objects/pack").glob("*.keep"))
