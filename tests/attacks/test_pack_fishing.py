"""An agent that knows the id of something that it was not given gets it into its session in no way."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from realm.errors import RejectedError
from realm.model import Checkpoint
from tests.support.store import Forge, Sandbox, assert_sound, copy_command, intake, project_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

SECRET = "the password is swordfish\n"


class Hidden(NamedTuple):
    """What is on a branch that the agent must not see."""

    commit: str
    tree: str
    blob: str


@pytest.fixture
def hidden(repo: Repo) -> Hidden:
    repo.git("checkout", "-q", "-b", "private")
    repo.write("secret/password", SECRET)
    commit = repo.commit("Private")
    repo.git("checkout", "-q", "-")
    tree, blob = (repo.git("rev-parse", f"{commit}:secret{path}") for path in ("", "/password"))
    return Hidden(commit, tree, blob)


def assert_refused(repo: Repo, forge: Forge, path: Path, snapshot: str, head: str | None = None) -> None:
    with pytest.raises(RejectedError, match="not in the container"):
        take(forge.intake(path, snapshot, head))
    assert repo.git("for-each-ref", "refs/realm", "refs/realm-tmp") == ""
    assert_sound(repo)


def test_commit_as_snapshot(repo: Repo, tmp_path: Path, hidden: Hidden) -> None:
    forge = Forge(project_of(repo))
    assert_refused(repo, forge, tmp_path / "pack", hidden.commit)
    assert_refused(repo, forge, tmp_path / "pack", hidden.commit, hidden.commit)


def test_nothing_came_but_the_id(repo: Repo, hidden: Hidden) -> None:
    project = project_of(repo)
    point = Checkpoint(hidden.commit, hidden.commit, 1, time.time())
    with pytest.raises(RejectedError, match="not in the container"):
        take(intake(project, Forge(project).tip, [point], None))


def test_tree_and_blob_in_a_new_tree(repo: Repo, tmp_path: Path, hidden: Hidden) -> None:
    for line in (("40000", b"stolen", hidden.tree), ("100644", b"stolen", hidden.blob)):
        forge = Forge(project_of(repo))
        assert_refused(repo, forge, tmp_path / "pack", forge.commit(forge.tree(line)))


def test_tree_of_an_agents_commit_in_between(repo: Repo, tmp_path: Path, hidden: Hidden) -> None:
    forge = Forge(project_of(repo))
    first = forge.commit(forge.tree(("40000", b"stolen", hidden.tree)))
    last = forge.commit(forge.tree(("100644", b"innocent", forge.blob())), first)
    assert_refused(repo, forge, tmp_path / "pack", last, last)


def test_delta_on_a_blob(repo: Repo, tmp_path: Path, hidden: Hidden) -> None:
    """The new object is the agent's own, but the object that it copies from is not."""
    forge = Forge(project_of(repo))
    copied = SECRET.encode() + b"!"
    forge.delta(hidden.blob, copy_command(0, len(SECRET)) + b"\x01!", len(SECRET), len(copied))
    stolen = forge.add("blob", copied, packed=False)
    snapshot = forge.commit(forge.tree(("100644", b"stolen", stolen)))
    assert_refused(repo, forge, tmp_path / "pack", snapshot)


def test_beside_an_object_that_git_refuses(repo: Repo, tmp_path: Path, hidden: Hidden) -> None:
    """What is taken in without the agent's commits is looked at in the same way."""
    forge = Forge(project_of(repo))
    bad = forge.commit(forge.tree(("100644", b"a", forge.blob())), author=b"Eve <eve 1 +0000")
    snapshot = forge.commit(forge.tree(("40000", b"stolen", hidden.tree)), bad)
    with pytest.raises(RejectedError):
        take(forge.intake(tmp_path / "pack", snapshot, bad))
    assert repo.git("for-each-ref", "refs/realm", "refs/realm-tmp") == ""


def test_what_it_was_given_may_come_back(repo: Repo, tmp_path: Path) -> None:
    """Old files on an old commit are none of the pack: the history that the agent began with has them."""
    for number in range(4):
        repo.write(f"old/{number}", f"{number}\n")
        repo.commit(f"Step {number}")
    subprocess.run(["git", "rm", "-rq", "old"], cwd=repo.path, check=True)
    repo.commit("Remove them")
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.git("reset", "-q", "--hard", "HEAD~2")
    sandbox.workspace.write("new", "new\n")
    sandbox.workspace.commit("On an old one")
    sandbox.point()
    done = sandbox.ingest()
    assert repo.files(done.tip) == ["README.md", "new", "old/0", "old/1", "old/2"]
    assert repo.git("show", f"{done.tip}:old/2") == "2"
    assert_sound(repo)


def test_into_a_partial_clone(repo: Repo, tmp_path: Path, hidden: Hidden) -> None:
    """There git does not check whether a tree's entries exist, nor their types."""
    old = repo.git("rev-parse", "HEAD^{tree}")
    repo.write("sub/file", "1\n")
    repo.commit()
    repo.git("repack", "-adq")
    next((repo.path / ".git/objects/pack").glob("*.pack")).with_suffix(".promisor").touch()
    project = project_of(repo)
    for mode, oid in (
        ("40000", hidden.tree), ("100644", hidden.blob), ("100644", "1" * 40), ("100644", old),
        ("100644", repo.head()), ("40000", repo.head("HEAD:sub/file")),
    ):  # fmt: skip
        forge = Forge(project)
        path = forge.intake(tmp_path / "pack", forge.commit(forge.tree((mode, b"stolen", oid))))
        with pytest.raises(RejectedError):
            take(path)
    assert repo.git("for-each-ref", "refs/realm", "refs/realm-tmp") == ""
    forge = Forge(project)
    take(forge.intake(tmp_path / "pack", forge.commit(forge.tree(("40000", b"again", old)))))
