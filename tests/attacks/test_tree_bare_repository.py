"""A bare repository among an agent's files: git would obey its configuration once it lies on the host."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from realm.config import AGENT, DOCKER_ARGS, Config
from realm.errors import NotARepositoryError
from realm.store import listing, worktree
from realm.store import repo as repository
from tests.support.repos import Repo
from tests.support.store import ME, Forge, Sandbox, project_of, take

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GIT = ("HEAD", "config", "objects", "refs")


def commit(forge: Forge, names: Sequence[str]) -> str:
    """Return a commit with a directory ``odd`` that holds files and directories of these names."""
    blob = forge.blob()
    below = forge.tree(("100644", b"keep", blob))
    lines = [
        ("40000", name.encode(), below)
        if name.lower() in ("objects", "refs")
        else ("100644", name.encode(), blob)
        for name in sorted(names)
    ]
    return forge.commit(forge.tree(("40000", b"odd", forge.tree(*lines)), ("100644", b"sound", blob)))


@pytest.mark.parametrize(
    "names",
    [
        GIT,
        ("HEAD", "objects", "refs"),
        ("head", "Config", "OBJECTS", "Refs"),
        ("HEAD", "commondir"),
        ("HE\u200cAD", "objects", "refs"),
        (*GIT, "description", "hooks"),
    ],
)
def test_left_out_and_said(repo: Repo, tmp_path: Path, names: Sequence[str]) -> None:
    forge = Forge(project_of(repo))
    done = take(forge.intake(tmp_path / "pack", commit(forge, names)))
    assert repo.files(done.tip) == ["sound"]
    assert [line for line in done.dropped if line.startswith("odd: a bare git repository")]


@pytest.mark.parametrize(
    "names", [("HEAD", "config"), ("objects", "refs", "config"), ("HEAD.md", "objects", "refs")]
)
def test_what_is_none_is_kept(repo: Repo, tmp_path: Path, names: Sequence[str]) -> None:
    forge = Forge(project_of(repo))
    done = take(forge.intake(tmp_path / "pack", commit(forge, names)))
    assert not done.dropped
    assert any(path.startswith("odd/") for path in repo.files(done.tip))


def test_in_pieces(repo: Repo, tmp_path: Path) -> None:
    """One part lies in the work tree when a turn ends, the other is committed afterwards."""
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("odd/HEAD", "ref: refs/heads/x\n")
    sandbox.workspace.write("odd/config", "[core]\n")
    sandbox.point(1)
    for name in ("objects", "refs"):
        sandbox.workspace.write(f"odd/{name}/keep")
    sandbox.workspace.git("add", "odd/objects", "odd/refs")
    sandbox.workspace.git("reset", "-q", "--", "odd/HEAD", "odd/config")
    sandbox.workspace.commit("The rest", add=False)
    sandbox.point(2)
    done = sandbox.ingest()
    for oid in repo.git("rev-list", f"{repo.head()}..{done.tip}").split():
        found = {path.split("/")[1] for path in repo.files(oid) if path.startswith("odd/")}
        assert not {"HEAD", "objects", "refs"} <= found
    assert [line for line in done.dropped if line.startswith("odd: a bare git repository")]


def test_the_projects_own_stays_as_it_was(repo: Repo, tmp_path: Path) -> None:
    for name in GIT:
        repo.write(f"data/a.git/{name}{'/keep' if name in ('objects', 'refs') else ''}", "old")
    repo.commit()
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("data/a.git/config", "[core]\n\tfsmonitor = touch /tmp/x\n")
    sandbox.workspace.write("data/new", "new")
    sandbox.point(1)
    done = sandbox.ingest()
    assert repo.git("show", f"{done.tip}:data/a.git/config") == "old"
    assert repo.git("show", f"{done.tip}:data/new") == "new"
    assert len(done.dropped) == 1


@pytest.fixture
def trap(repo: Repo, tmp_path: Path) -> Path:
    """A bare repository in the work tree whose configuration runs a program and sets realm up."""
    place = repo.path / "vendor"
    other = Repo.init(tmp_path / "other")
    other.write("x")
    other.commit("Evil")
    other.git("update-ref", "refs/realm/evil", "HEAD")
    shutil.copytree(other.path / ".git", place)
    proof = tmp_path / "proof"
    (place / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ..\n"
        f'\tfsmonitor = "touch {proof}; false"\n'
        "[realm]\n\tagent = evil\n\tdockerArgs = --privileged\n[user]\n\tname = Mallory\n"
    )
    return place


@pytest.mark.parametrize("below", ["", "objects", "refs/heads"])
def test_never_obeyed(repo: Repo, tmp_path: Path, trap: Path, below: str) -> None:
    start = trap / below
    project = repository.discover(start)
    assert project.git_dir == repo.path / ".git"
    assert project.subdir == start.relative_to(repo.path).as_posix()
    worktree.dirty(project)
    worktree.write_wip(project, repo.head(), "Changes", ME)
    assert Config(start).lookup(AGENT).text == ""
    assert Config(start).lookup(DOCKER_ARGS).text == ""
    assert repository.identity(project, Config(start).of_git()).name == "Ada Tester"
    assert listing.rows(project) == []
    assert not (tmp_path / "proof").exists()


def test_alone_it_is_no_project(tmp_path: Path, trap: Path) -> None:
    alone = trap.rename(tmp_path / "alone")
    with pytest.raises(NotARepositoryError, match="bare repository"):
        repository.discover(alone)
    assert Config(alone).lookup(AGENT).text == ""


def test_the_users_own_variable_names_one(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As people keep their home directory in git; elsewhere the variable means nothing."""
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    shutil.copytree(repo.path / ".git", home / "dotfiles")
    Repo(home / "dotfiles").git("config", "realm.agent", "mine")
    monkeypatch.setenv("GIT_DIR", str(home / "dotfiles"))
    monkeypatch.setenv("GIT_WORK_TREE", str(home))
    project = repository.discover(home / "sub")
    assert (project.root, project.git_dir, project.subdir) == (home, home / "dotfiles", "sub")
    assert Config(home).lookup(AGENT).text == "mine"
    assert repository.discover(repo.path).git_dir == repo.path / ".git"
    with pytest.raises(NotARepositoryError):
        repository.discover(tmp_path)
