"""The project's object store can be read in a box and not written; nothing else of the project is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import Laboratory, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def test_objects_cannot_be_changed(lab: Laboratory) -> None:
    before = _contents(lab.repo.path / ".git")
    script = (
        "cd /objects/0; touch x 2>/dev/null && echo wrote; rm -rf ./* 2>/dev/null; chmod -R 777 . 2>/dev/null;"  # noqa: E501
        f"cd {lab.spec().workspace}; echo 1 > new; git add -A; git commit -qm x; git gc -q --prune=now; git repack -adq; true"  # noqa: E501
    )
    ran = lab.run(script)
    assert (ran.code, ran.stdout) == (0, "")
    assert _contents(lab.repo.path / ".git") == before


def test_work_tree_and_configuration_are_not_there(lab: Laboratory) -> None:
    lab.repo.write("secret.env", "TOKEN=precious-token\n")
    lab.repo.git("config", "http.extraHeader", "precious-token")
    script = (
        "grep -rl precious-token /workspace /realm /objects /home /tmp 2>/dev/null;"
        f"ls -d {lab.repo.path} 2>/dev/null; grep -c {lab.repo.path} /proc/self/mountinfo"
    )
    assert lab.run(script).stdout.split() == ["1"]


def test_alternates_of_the_store_do_not_lead_out(lab: Laboratory, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (lab.repo.path / ".git/objects/info/alternates").write_text(f"{elsewhere}\n")
    ran = lab.run("wc -c < /objects/0/info/alternates; git log --format=%s; git status")
    assert (ran.stdout.split()[:2], ran.stderr) == (["0", "Start"], "")
