"""The project's history can be read in a sandbox and not written; nothing else of the project is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import git
from tests.support.sandbox import Laboratory, environment_of, laboratory

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


def test_history_cannot_be_changed(lab: Laboratory) -> None:
    before = _contents(lab.repo.path / ".git")
    script = (
        "cd /history; touch x 2>/dev/null && echo wrote; rm -rf ./* 2>/dev/null; chmod -R 777 . 2>/dev/null;"
        f"cd {lab.spec().workspace}; echo 1 > new; git add -A; git commit -qm x; git gc -q --prune=now; git repack -adq; true"  # noqa: E501
    )
    ran = lab.run(script)
    assert (ran.code, ran.stdout) == (0, "")
    assert lab.run("git log --format=%s && git fsck").stdout == "Start\n"
    assert _contents(lab.repo.path / ".git") == before


def test_layout_cannot_be_changed(lab: Laboratory) -> None:
    script = "cd /realm; touch layout/x x; echo x > layout/known; rm -rf layout entry; mv layout y; ls"
    ran = lab.run(f"({script}) 2> /dev/null; echo work > work.txt")
    assert {"layout", "entry"} <= set(ran.stdout.split())
    assert "x" not in ran.stdout.split()
    assert ran.report().points[-1].snapshot != lab.repo.head()


def test_no_directory_of_the_host_is_mounted(lab: Laboratory) -> None:
    for how in ("plain", "overlay"):
        inspected = environment_of(lab.create("true", volumes=how))
        assert {mount["Type"] for mount in inspected["Mounts"]} == {"volume"}
        assert not inspected["HostConfig"]["Binds"]


def test_work_tree_and_configuration_are_not_there(lab: Laboratory) -> None:
    lab.repo.write("secret.env", "TOKEN=precious-token\n")
    lab.repo.git("config", "http.extraHeader", "precious-token")
    script = (
        "grep -rl precious-token /workspace /realm /history /home /tmp 2>/dev/null;"
        f"ls -d {lab.repo.path} 2>/dev/null; grep -c {lab.repo.path} /proc/self/mountinfo"
    )
    assert lab.run(script).stdout.split() == ["0"]


def test_borrowed_objects_are_there_and_their_place_is_not(lab: Laboratory, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(lab.repo.path), "borrower")
    lab.repo.path = tmp_path / "borrower"
    ran = lab.run("git log --format=%s; git fsck; cat .git/objects/info/alternates")
    assert ran.stdout.split()[0] == "Start"
    assert str(tmp_path) not in ran.stdout
