"""A project that realm remembers and cannot use stops no command in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.session import registry
from realm.session.find import find, list_sessions
from realm.store import repo as repository
from realm.store import stores
from tests.support.hostile import powerless
from tests.support.repos import Repo
from tests.support.store import add_session, project_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def closed(repo: Repo, make_repo: Callable[..., Repo]) -> Repo:
    """Another remembered project, which may not be entered; ``repo`` has a session ``fix``."""
    other = make_repo("other")
    other.commit()
    for made in (repo, other):
        registry.remember_project(project_of(made))
    add_session(project_of(repo), "fix")
    other.path.chmod(0)
    return other


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*powerless(), sys.executable, "-m", "realm", *arguments]
    source = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": str(source)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_in_one_that_git_cannot_open_no_other_is_meant(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    registry.remember_project(project_of(repo))
    add_session(project_of(repo), "fix")
    broken = make_repo("broken")
    (broken.path / ".git/config").write_text(
        "[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tnewer = 1\n"
    )
    for verb in ("remove", "log", "list", "push"):
        done = run(verb, *(["fix"] if verb != "list" else []), cwd=broken.path)
        assert (done.returncode, done.stdout) == (1, ""), done.stdout
        assert "git cannot open the repository at" in done.stderr
        assert "found: newer" in done.stderr
    assert "refs/realm/fix" in repo.refs()


def test_one_that_may_not_be_entered(closed: Repo, repo: Repo, tmp_path: Path) -> None:
    try:
        listed = run("list", "--all", "--json", cwd=repo.path)
        assert listed.returncode == 0, listed.stderr
        assert [row["name"] for row in json.loads(listed.stdout)] == ["fix"]
        assert f"{closed.path} cannot be entered" in listed.stderr
        pruned = run("list", "--all", "--prune", cwd=tmp_path)
        assert "forgot" not in pruned.stderr
        removed = run("remove", "fix", "--yes", cwd=tmp_path)
        assert removed.returncode == 0, removed.stderr
        unknown = run("push", "nothing", cwd=tmp_path)
        assert "there is no session nothing" in unknown.stderr
    finally:
        closed.path.chmod(0o755)


def test_one_whose_refs_cannot_be_read(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    other = make_repo("other")
    other.commit()
    for made in (repo, other):
        registry.remember_project(project_of(made))
    add_session(project_of(repo), "fix")
    (other.path / ".git/packed-refs").write_bytes(b"\0garbage")
    listing = list_sessions(None, all_projects=True)
    assert [row.name for row in listing.rows] == ["fix"]
    assert any(str(other.path) in text for text in listing.warnings)
    assert find("fix", None).root == repo.path


def test_a_removed_linked_work_tree_is_not_missed(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    registry.remember_project(repository.discover(tmp_path / "linked"))
    add_session(project_of(repo), "fix")
    repo.git("worktree", "remove", str(tmp_path / "linked"))
    listing = list_sessions(None, all_projects=True)
    assert listing.warnings == ()
    assert [row.name for row in listing.rows] == ["fix"]


def test_alternates_as_deep_as_git_follows_them(repo: Repo, tmp_path: Path) -> None:
    before = repo.path / ".git/objects"
    for number in range(6):
        made = Repo.init(tmp_path / f"level{number}")
        (made.path / ".git/objects/info/alternates").write_text(f"{before}\n")
        before = made.path / ".git/objects"
    made.git("update-ref", "refs/heads/main", repo.head())
    made.git("reset", "-q", "--hard")
    project = project_of(made)
    assert len(project.object_stores) == 7
    stores.ensure_readable(project, made.head())


def test_packs_that_are_links(repo: Repo, tmp_path: Path) -> None:
    repo.git("gc", "-q")
    packs = repo.path / ".git/objects/pack"
    away = tmp_path / "packs"
    packs.rename(away)
    packs.symlink_to(away)
    for path in [*away.iterdir()]:
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    project = project_of(repo)
    stores.ensure_readable(project, repo.head())
    meta = add_session(project, "fix")
    assert repo.refs("refs/realm-meta") == {"refs/realm-meta/fix": meta}
