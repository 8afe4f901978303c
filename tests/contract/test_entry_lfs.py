"""Files that a project keeps with Git LFS are files in a sandbox, and come out as pointers with files."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from realm.store import lfs
from tests.support.repos import Repo, git
from tests.support.sandbox import SHELLS, HostSandbox
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

LARGE, OTHER = b"large\0" * 1000, b"other\0" * 1000


def pointer(data: bytes) -> str:
    oid = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    """A project with two pointers; the host has the file of one of them."""
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("here.bin", pointer(LARGE))
    repo.write("gone.bin", pointer(OTHER))
    repo.commit("Large files")
    oid = hashlib.sha256(LARGE).hexdigest()
    place = repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4]
    place.mkdir(parents=True)
    (place / oid).write_bytes(LARGE)
    there = [one for one in lfs.pointers(project_of(repo), repo.head()) if one.file]
    assert [one.path for one in there] == ["here.bin"]
    made = HostSandbox(tmp_path / "sandbox", repo, request.param)
    made.holds(large=True)
    made.layout = made.layout._replace(pointers=tuple(one.path for one in there))
    (made.state / "lfs").mkdir()
    for one in there:
        assert one.file is not None
        shutil.copy(one.file, made.state / "lfs" / one.oid)
    return made


def test_files_are_there_and_no_change(sandbox: HostSandbox) -> None:
    report = sandbox.run("git status --short >&2; cp here.bin gone.bin $HOME; touch here.bin; git add -A")
    assert (report.points[-1].snapshot, report.large) == (sandbox.tip, ())
    assert (sandbox.state / "home/here.bin").read_bytes() == LARGE
    assert (sandbox.state / "home/gone.bin").read_text() == pointer(OTHER)


def test_what_the_agent_made_comes_as_pointer_and_file(sandbox: HostSandbox) -> None:
    make = "printf new > one.bin; git add -A; git commit -qm one; printf more >> here.bin; : > empty.bin"
    report = sandbox.run(make)
    taken = sandbox.taken(report)
    new, more = b"new", LARGE + b"more"
    for name, data in (("one.bin", new), ("here.bin", more)):
        assert taken.show(f"{report.points[-1].snapshot}:{name}") + "\n" == pointer(data)
    assert taken.show(f"{report.points[-1].snapshot}:empty.bin") == ""
    project = project_of(sandbox.repo)
    lfs.store(project, report.large)
    stored = {
        path.name: path.read_bytes() for path in (project.common_dir / "lfs").rglob("*") if path.is_file()
    }
    assert stored == {hashlib.sha256(data).hexdigest(): data for data in (LARGE, new, more)}


def test_files_are_where_several_clones_have_them_together(repo: Repo, tmp_path: Path) -> None:
    """Git LFS has a setting for that."""
    repo.git("config", "lfs.storage", str(tmp_path / "large"))
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("one.bin", pointer(LARGE))
    repo.commit("Large file")
    brought = tmp_path / f"{hashlib.sha256(LARGE).hexdigest()}.lfs"
    brought.write_bytes(LARGE)
    lfs.store(project_of(repo), [brought])
    (found,) = lfs.pointers(project_of(repo), repo.head())
    assert found.file is not None
    assert found.file.is_relative_to(tmp_path / "large/objects")


def test_a_file_that_is_another_one_is_passed_over(repo: Repo, tmp_path: Path) -> None:
    forged = tmp_path / f"{'a' * 64}.lfs"
    forged.write_bytes(b"forged")
    lfs.store(project_of(repo), [forged])
    assert not [path for path in (repo.path / ".git/lfs").rglob("*") if path.is_file()]


def test_pointers_that_a_partial_clone_lacks_are_not_fetched(repo: Repo, tmp_path: Path) -> None:
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for name in ("a/here.bin", "b/gone.bin"):
        repo.write(name, pointer(name.encode()))
    repo.commit("Large files")
    repo.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--sparse", f"file://{repo.path}", "part")
    part = Repo(tmp_path / "part")
    part.git("sparse-checkout", "set", "a")
    repo.path.rename(tmp_path / "away")
    assert [one.path for one in lfs.pointers(project_of(part), part.head())] == ["a/here.bin"]


def test_checkout_leaves_out_pointers_outside_of_a_sparse_one(sandbox: HostSandbox) -> None:
    sandbox.layout = sandbox.layout._replace(patterns=b"/*\n!/here.bin\n")
    report = sandbox.run("ls >&2; git status --short; echo 1 > new")
    changed = sandbox.taken(report).git("diff", "--name-status", sandbox.tip, report.points[-1].snapshot)
    assert changed.split() == ["A", "new"]
    assert not (sandbox.workspace / "here.bin").exists()


def test_only_what_changed_is_looked_at_for_pointers(repo: Repo) -> None:
    project = project_of(repo)
    texts = {"kept.bin": b"kept", "moved.bin": b"moved", "changed.bin": b"before", "gone.bin": b"gone"}
    repo.write(".gitattributes", "*.bin filter=lfs -text\n")
    for name, data in texts.items():
        repo.write(name, pointer(data))
    before = repo.commit("Pointers")
    repo.git("rm", "-q", "gone.bin")
    repo.git("mv", "moved.bin", "there.bin")
    repo.write("changed.bin", pointer(b"after"))
    repo.write("new.bin", pointer(b"new"))
    repo.write("text.txt", "x" * 120)
    after = repo.commit("More")
    old, new = lfs.changed(project, before, after)
    assert [found.path for found in old] == ["changed.bin", "gone.bin", "moved.bin"]
    assert [found.path for found in new] == ["changed.bin", "new.bin", "there.bin"]
    assert lfs.missing(project, before, after) == ["changed.bin", "new.bin", "there.bin"]
    assert [found.path for found in lfs.pointers(project, after)] == [
        "changed.bin",
        "kept.bin",
        "new.bin",
        "there.bin",
    ]
