"""A ``git gc --prune=now`` at any step of moving a session's refs removes nothing."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from realm import git as gits
from realm.cli.ui import TerminalUI
from realm.session import drop, integrate, onto, remove, rename, travel
from realm.session.find import locate
from realm.session.requests import At, Removal
from realm.store import refs
from tests.support.history import Asked, Past
from tests.support.store import assert_sound, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from tests.support.repos import Repo

WRITING = {"add", "commit-tree", "hash-object", "index-pack", "merge-tree", "pack-objects", "write-tree"}


@pytest.fixture
def past(repo: Repo) -> Past:
    """Return a session of three turns on a commit that no branch has, and a branch beside it."""
    repo.write("mine.txt", "mine\n")
    repo.commit("Begin")
    made = Past(repo)
    repo.git("reset", "-q", "--hard", "HEAD^")
    made.run(
        Asked("one", {"a": "1\n"}), Asked("two", {"a": "2\n", "b": "2\n"}), files={"screen.txt": b"one\n"}
    )
    made.run(Asked("three", {"a": "3\n"}), files={"screen.txt": b"two\n"})
    beside = repo.git("commit-tree", "-p", made.tip, "-m", "Beside", f"{made.tip}^{{tree}}")
    repo.git("update-ref", "refs/realm-branches/fix/heads/alt", beside)
    repo.git("reflog", "expire", "--expire=now", "--all")
    return made


@pytest.fixture
def collected(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect garbage after each git that writes objects, and before each that moves refs.

    That one has seen the refs neither where they were nor where they will be: it reads them one by one.
    """
    run = gits.run
    seen: list[str] = []

    def running(argv: list[str], **options: Any) -> gits.GitResult:
        verb = gits._verb(argv)
        if verb == "update-ref":
            moved = {
                words.split(b" ")[1].decode() for words in options["stdin"].split(b"\0") if b" refs/" in words
            }
            blind(repo, tmp_path / f"blind-{len(seen)}", moved)
        result = run(argv, **options)
        if verb in WRITING:
            subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=repo.path, check=True)
        if verb in WRITING | {"update-ref"}:
            seen.append(verb)
        return result

    monkeypatch.setattr(gits, "run", running)
    return seen


def blind(repo: Repo, place: Path, moved: set[str]) -> None:
    """Collect as a git that saw none of the refs ``moved``."""
    subprocess.run(["git", "init", "-q", "--bare", place], check=True)
    kept = "".join(f"{oid} {ref}\n" for ref, oid in repo.refs().items() if ref not in moved)
    (place / "packed-refs").write_text(f"# pack-refs with: sorted\n{kept}")
    (place / "objects").rename(place / "unused")
    (place / "objects").symlink_to(repo.path / ".git/objects")
    for order in ("repack", "-a", "-d", "-q"), ("prune", "--expire=now"):
        subprocess.run(["git", "--git-dir", place, *order], check=True)
    (repo.path / ".git/objects/info/commit-graph").unlink(missing_ok=True)


def own(repo: Repo) -> dict[str, str]:
    return {ref: oid for ref, oid in repo.refs().items() if ref.startswith("refs/realm")}


UI = TerminalUI(no_input=True)
MOVING: Mapping[str, Callable[[Path], object]] = {
    "rename": lambda at: rename.rename("fix", "new", at),
    "rewind": lambda at: travel.rewind(At("fix", 2), at),
    "fork": lambda at: travel.fork(At("fix", 2), "other", at),
    "drop": lambda at: drop.drop("fix", at, ["b"]),
    "remove": lambda at: remove._move_refs(_removal(at)),
}


def _removal(at: Path) -> Removal:
    project, row = locate("fix", at)
    return Removal("fix", project, row.code or "", row.meta, remove._session(project, "fix"))


@pytest.mark.parametrize("verb", MOVING)
def test_refs_move(past: Past, collected: list[str], verb: str) -> None:
    repo, before = past.repo, set(own(past.repo).values())
    MOVING[verb](repo.path)
    assert "update-ref" in collected
    assert before <= set(own(repo).values()) or verb == "rename"
    assert_sound(repo)
    if verb in ("remove", "rewind", "drop"):
        remove.restore("fix", repo.path, replace=verb != "remove")
        assert own(repo)["refs/realm/fix"] == past.tip
        assert repo.show("refs/realm-meta/fix:runs/0001/screen.txt") == "one"
    name = "new" if verb == "rename" else "fix"
    assert repo.files(f"refs/realm/{name}") == ["README.md", "a", "b", "mine.txt"]
    assert_sound(repo)
    assert list((repo.path / ".git/objects").rglob("*.keep")) == []


TAKING: Mapping[str, Callable[[Path], object]] = {
    "apply": lambda at: integrate.apply(At("fix"), at, [], UI),
    "apply a part": lambda at: integrate.apply(At("fix"), at, ["a"], UI),
    "squash": lambda at: integrate.merge(At("fix"), at, UI, squash=True),
    "merge": lambda at: integrate.merge(At("fix"), at, UI),
}


@pytest.mark.parametrize("verb", TAKING)
def test_work_is_taken(past: Past, collected: list[str], verb: str) -> None:
    repo = past.repo
    repo.write("a.own", "own\n")
    repo.commit("Own")
    if verb.startswith("apply"):
        repo.write("untracked", "mine\n")
    TAKING[verb](repo.path)
    assert (repo.path / "a").read_text() == "3\n"
    assert_sound(repo)


def test_commits_of_the_users_own_are_put_on_top(past: Past, collected: list[str]) -> None:
    repo = past.repo
    repo.write("own", "own\n")
    repo.commit("Own")
    onto.put(project_of(repo), "fix", "HEAD", UI)
    assert "own" in repo.files("refs/realm/fix")
    assert refs.tips(project_of(repo), "fix").code != past.tip
    assert_sound(repo)
