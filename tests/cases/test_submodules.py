"""Work in submodules comes home like all other work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def lib(user: User, tmp_path: Path) -> Repo:
    """Give the submodule ``lib`` of the user's project, which has ``deep``; ``gone`` was never fetched."""
    for name in ("deep", "library", "gone"):
        made = Repo.init(tmp_path / name)
        made.write(f"{name}.txt", f"{name}\n")
        made.commit(name)
    library = Repo(tmp_path / "library")
    library.git("submodule", "add", "-q", str(tmp_path / "deep"), "deep")
    library.commit("Add deep")
    user.repo.git("submodule", "add", "-q", str(library.path), "lib")
    user.repo.git("submodule", "add", "-q", str(tmp_path / "gone"), "gone")
    user.repo.git("submodule", "--quiet", "update", "--init", "--recursive")
    user.repo.commit("Add submodules")
    user.repo.git("submodule", "--quiet", "deinit", "-f", "gone")
    user.repo.git("config", "--remove-section", "submodule.gone", check=False)
    user.repo.path.joinpath(".git/modules/gone").rename(tmp_path / "gone.git")
    return Repo(user.repo.path / "lib")


def test_what_an_agent_did_in_submodules_is_in_their_repositories(user: User, lib: Repo) -> None:
    """Commits, what was not committed, at any depth; no tree names a commit that is not there."""
    deep = Repo(lib.path / "deep")
    done = user.scripted(
        "inner",
        "git submodule status --recursive; cat lib/deep/deep.txt; cd lib; echo 1 >one; git add one; "
        "git commit -qm One; cd ..; git add lib; git commit -qm Outer; "
        "echo 2 >lib/two; echo 3 >lib/deep/three",
    )
    assert "deep\n" in done.out
    assert "also in lib: 2 commits" in done.err
    assert "also in lib/deep: 1 commit\n" in done.err
    shown = user.realm("show", "inner").out
    assert "in lib:\nOne\nWork of run 1\n" in shown
    assert "in lib/deep:\nWork of run 1\n" in shown
    assert user.listed()
    assert "no sessions yet" in user.realm("list", cwd=lib.path).err
    assert lib.git("log", "--format=%s", "main..refs/realm/inner").splitlines() == ["Work of run 1", "One"]
    assert user.repo.head("refs/realm/inner:lib") == lib.head("refs/realm/inner")
    assert user.repo.head("refs/realm/inner~1:lib") == lib.head("refs/realm/inner~1")
    assert lib.head("refs/realm/inner:deep") == deep.head("refs/realm/inner")
    assert deep.files("refs/realm/inner") == ["deep.txt", "three"]
    assert lib.git("status", "--porcelain") == user.repo.git("status", "--porcelain") == ""
    again = user.realm(
        "resume", "inner", "-c", "git status --short; cat lib/two lib/deep/three; echo 4 >lib/four"
    )
    assert again.out == "2\n3\n"
    assert lib.git("log", "--format=%s", "main..refs/realm/inner").splitlines()[0] == "Work of run 2"
    assert user.repo.head("refs/realm/inner:lib") == lib.head("refs/realm/inner")
    inside = sum(int(repo.git("rev-list", "--count", "main..refs/realm/inner")) for repo in (lib, deep))
    own = int(user.repo.git("rev-list", "--count", "main..refs/realm/inner"))
    kept = user.realm("remove", "inner", code=1)
    assert f"inner has {own + inside} commits found nowhere else" in kept.err
    remote = Repo.init(user.repo.path.parent / "remote", bare=True)
    user.repo.git("remote", "add", "fork", str(remote.path))
    user.repo.git("config", "remote.pushDefault", "fork")
    pushed = user.realm("push", "inner", "--yes")
    library, deepest = (Repo(user.repo.path.parent / name) for name in ("library", "deep"))
    assert library.head("inner") == remote.head("inner:lib") == lib.head("refs/realm/inner")
    assert deepest.head("inner") == deep.head("refs/realm/inner"), pushed.err
    user.realm("rename", "inner", "other")
    user.realm("remove", "other")
    assert {ref.split("/")[1] for ref in lib.refs()} == {"heads", "remotes", "realm-trash"}
    user.realm("restore", "other")
    assert lib.head("refs/realm/other") == user.repo.head("refs/realm/other:lib")
    merged = user.realm("merge", "other")
    user.repo.git("submodule", "--quiet", "update", "--recursive")
    assert (lib.path / "four").read_text() == "4\n", merged.err
    assert (deep.path / "three").read_text() == "3\n"


def test_what_else_an_agent_left_in_other_repositories_is_there(user: User, lib: Repo) -> None:
    """Branches and stashes, in a submodule and in a repository beside the project; the next run has them."""
    near = Repo.init(user.repo.path.parent / "near")
    near.write("near.txt", "near\n")
    near.commit("Near")
    leave = (
        "git checkout -q -b alt; echo 1 >one; git add one; git commit -qm One; echo 2 >two; git stash -q -u; "
        "git checkout -q"
    )
    done = user.scripted(
        "side", f"(cd lib; {leave} --detach main); cd ../near; {leave} side", "--with", "../near"
    )
    top = "refs/realm-branches/side"
    for repo in (lib, near):
        assert [*repo.refs(top)] == [f"{top}/heads/alt", f"{top}/stash/1"]
        assert repo.files(f"{top}/stash/1^3") == ["two"]
        assert f"git -C {repo.path} for-each-ref refs/realm-branches" in done.err
    assert "  also kept in lib: branch alt (1 commit), 1 stash\n" in done.err
    also = "branch alt (1 commit), 1 stash"
    assert user.listed()[0]["also_kept"] == f"in ../near: {also}; in lib: {also}"
    look = "git show alt:one; git stash pop >/dev/null; cat two"
    again = user.realm("resume", "side", "-c", f"(cd lib; {look}); cd ../near; {look}; git branch -qD alt")
    assert again.out == "1\n2\n1\n2\n"
    assert ([*lib.refs(top)], [*near.refs(top)]) == ([f"{top}/heads/alt"], [])
    assert "found nowhere else" in user.realm("remove", "side", code=1).err
    user.realm("remove", "side", "--yes")
    assert lib.refs(top) == {}
    user.realm("restore", "side")
    assert [*lib.refs(top)] == [f"{top}/heads/alt"]


def test_an_agent_that_does_nothing_in_a_submodule_changes_nothing(user: User, lib: Repo) -> None:
    user.realm("new", "idle", "--agent", "true")
    assert user.tip("idle") == user.repo.head()
    assert lib.refs("refs/realm") == {}


def test_files_in_a_submodule_of_which_there_is_no_clone(user: User, lib: Repo) -> None:
    assert lib.path.is_dir()
    done = user.scripted("plain", "echo new >gone/new")
    assert user.repo.show("refs/realm/plain:gone/new") == "new"
    assert "gone is a submodule of which there is no clone here" in done.err
