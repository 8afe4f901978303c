"""What a sandbox may see of a repository: these refs, that history, and no other object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from realm.store import history
from realm.store.history import History, HistoryChoice
from tests.support.repos import Repo, git
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_HOME", str(tmp_path / "home"))


@pytest.fixture
def feature(repo: Repo, tmp_path: Path) -> Repo:
    """A clone on a feature branch, beside a main that has moved here and at the remote."""
    repo.git("tag", "-a", "-m", "One", "v1")
    git(tmp_path, "clone", "-q", str(repo.path), "clone")
    made = Repo(tmp_path / "clone")
    made.git("checkout", "-q", "-b", "feature")
    made.write("feature", "1\n")
    made.commit("On the feature")
    made.git("push", "-q", "-u", "origin", "feature")
    repo.write("main", "1\n")
    repo.commit("On the remote's main")
    repo.git("tag", "v2")
    made.git("fetch", "-q")
    made.git("checkout", "-q", "main")
    made.write("local", "1\n")
    made.commit("On the local main")
    made.git("checkout", "-q", "-b", "private")
    made.write("secret", "another branch\n")
    made.commit("Private")
    made.git("tag", "-a", "-m", "Mine", "private-tag")
    made.git("checkout", "-q", "feature")
    return made


def seen(repo: Repo, **changes: object) -> History:
    """Return the history that a sandbox on HEAD may see."""
    return history.find(project_of(repo), HistoryChoice(**changes), repo.head())  # type: ignore[arg-type]


def packed(project: Project, found: History, directory: Path) -> Repo:
    """Return a repository that holds the history as a sandbox gets it, and nothing else."""
    made = Repo.init(directory / "inside", bare=True)
    wanted = (*found.tips, *found.annotated)
    pack = history.pack(project, wanted, (), found.shallow, directory / "spool")
    assert pack is not None
    for path in pack.files:
        (made.path / "objects" / "pack" / path.name).write_bytes(path.read_bytes())
    lines = "".join(f"{oid}\n" for oid in found.shallow)
    if lines:
        (made.path / "shallow").write_text(lines)
    return made


def objects(repo: Repo) -> set[str]:
    return set(repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


def test_a_feature_branch_sees_what_it_is_merged_with(feature: Repo) -> None:
    found = seen(feature)
    assert set(found.refs) == {
        "refs/heads/feature",
        "refs/heads/main",
        "refs/remotes/origin/feature",
        "refs/remotes/origin/main",
    }
    assert found.symbolic == {"refs/remotes/origin/HEAD": "refs/remotes/origin/main"}
    assert set(found.trunk) == {feature.head("main"), feature.head("origin/main")}
    assert set(found.tags) == {"refs/tags/v1", "refs/tags/v2"}
    assert found.annotated == (feature.head("v1"),)


def test_the_pack_holds_that_and_nothing_else(feature: Repo, tmp_path: Path) -> None:
    feature.write("staged", "only staged\n")
    feature.git("add", "staged")
    feature.git("stash", "-q")
    feature.write("later", "only staged\n")
    feature.git("add", "later")
    found = seen(feature)
    inside = packed(project_of(feature), found, tmp_path)
    reached = feature.git("rev-list", "--objects", *found.tips, *found.annotated).splitlines()
    assert objects(inside) == {line.split(" ")[0] for line in reached}
    assert inside.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_patterns_add_branches_and_tags(feature: Repo) -> None:
    found = seen(feature, patterns=("priv*",))
    assert "refs/heads/private" in found.refs
    assert "refs/tags/private-tag" in found.tags
    assert set(seen(feature, patterns=("refs/heads/private",)).refs) > {"refs/heads/private"}


def test_patterns_that_name_nothing_are_told(feature: Repo) -> None:
    found = seen(feature, patterns=("priv*", "relase/*", "refs/tags/v9", "--all"))
    assert found.unmatched == ("relase/*", "refs/tags/v9", "--all")
    assert "refs/heads/private" in found.refs


@pytest.mark.parametrize(
    "kept",
    [
        '[{"tips": ["--output=made"], "tags": {}, "merged": []}]',
        '[{"tips": ["HEAD"], "tags": {"refs/tags/v1": "--all"}, "merged": ["refs/tags/v1"]}]',
        '[{"tips": [1]}]',
        '{"tips": 1}',
        "[1]",
        "nonsense",
    ],
)
def test_what_is_remembered_is_no_option_of_gits(feature: Repo, kept: str) -> None:
    expected = seen(feature).tags
    (path,) = (realm_home() / "history").glob("*.tags")
    path.write_text(kept)
    assert seen(feature).tags == expected
    assert json.loads(path.read_text())[0]["merged"] == sorted(expected)
    assert not (feature.path / "made").exists()


@pytest.mark.parametrize(("default", "trunk"), [("trunk", "trunk"), ("", "main"), ("none", "main")])
def test_default_branch_without_a_remote(repo: Repo, default: str, trunk: str) -> None:
    repo.git("branch", "trunk")
    repo.git("checkout", "-q", "-b", "other")
    found = seen(repo, default=default)
    assert set(found.refs) == {f"refs/heads/{trunk}", "refs/heads/other"}


def test_repository_without_a_default_branch(repo: Repo) -> None:
    repo.git("branch", "-m", "odd")
    found = seen(repo)
    assert (found.trunk, found.tips) == ((), (repo.head(),))


def test_detached_head(repo: Repo) -> None:
    repo.git("checkout", "-q", "--detach")
    repo.commit("On no branch")
    found = seen(repo)
    assert (set(found.refs), set(found.tips)) == ({"refs/heads/main"}, {repo.head(), repo.head("main")})


def test_ref_to_a_commit_that_is_gone_is_left_out(repo: Repo) -> None:
    base = repo.head()
    repo.git("checkout", "-q", "--detach")
    (repo.path / ".git" / "refs" / "heads" / "main").write_text("f" * 40 + "\n")
    found = history.find(project_of(repo), HistoryChoice(), base)
    assert (dict(found.refs), found.tips) == ({}, (base,))


def test_tags_are_remembered_and_follow_what_moves(repo: Repo) -> None:
    repo.git("tag", "v1")
    assert set(seen(repo).tags) == {"refs/tags/v1"}
    old = repo.head()
    repo.commit("Next")
    repo.git("tag", "v2")
    repo.git("tag", "late", old)
    repo.git("tag", "-f", "v1", "HEAD")
    repo.git("checkout", "-q", "-b", "other")
    repo.commit("Elsewhere")
    repo.git("tag", "elsewhere")
    repo.git("checkout", "-q", "main")
    expected = {"refs/tags/v1", "refs/tags/v2", "refs/tags/late"}
    assert [set(seen(repo).tags) for _ in range(2)] == [expected, expected]
    repo.git("tag", "-d", "v2")
    repo.git("reset", "-q", "--hard", old)
    assert set(seen(repo).tags) == {"refs/tags/late"}


def test_a_known_history_is_walked_no_more(feature: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    first = seen(feature)
    monkeypatch.setattr(history, "_walked", None)
    assert seen(feature) == first
    feature.git("checkout", "-q", "main")
    feature.commit("Further")
    feature.git("tag", "v3")
    feature.git("checkout", "-q", "feature")
    assert set(seen(feature).tags) == {*first.tags, "refs/tags/v3"}


def test_limited_history_is_a_shallow_repository(repo: Repo, tmp_path: Path) -> None:
    for number in range(8):
        repo.write("n", f"{number}\n")
        repo.commit(f"Number {number}")
    repo.git("branch", "old", "HEAD~6")
    repo.git("tag", "old-tag", "HEAD~6")
    repo.git("tag", "new-tag", "HEAD~1")
    found = seen(repo, limit=3, patterns=("refs/heads/old",))
    assert set(found.tags) == {"refs/tags/old-tag", "refs/tags/new-tag"}
    inside = packed(project_of(repo), found, tmp_path)
    assert len(inside.git("rev-list", repo.head()).split()) == 3
    assert inside.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""
    assert repo.head("HEAD~4") not in objects(inside)


def test_limited_history_with_merges(repo: Repo, tmp_path: Path) -> None:
    for number in range(4):
        repo.git("checkout", "-q", "-b", f"side{number}")
        repo.write(f"s{number}", f"{number}\n")
        repo.commit(f"Side {number}")
        repo.git("checkout", "-q", "main")
        repo.write("n", f"{number}\n")
        repo.commit(f"Main {number}")
        repo.git("merge", "-q", "--no-edit", f"side{number}")
    inside = packed(project_of(repo), seen(repo, limit=4), tmp_path)
    assert 1 <= len(inside.git("rev-list", repo.head()).split()) <= 4
    assert inside.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_shallow_clone(repo: Repo, tmp_path: Path) -> None:
    repo.commit("Second")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo.path}", "cut")
    cut = Repo(tmp_path / "cut")
    inside = packed(project_of(cut), seen(cut), tmp_path)
    assert inside.git("rev-list", cut.head()).split() == [cut.head()]
    cut.commit("On it")
    assert len(seen(cut, limit=1).shallow) == 2


def test_partial_clone_fetches_nothing(repo: Repo, tmp_path: Path) -> None:
    repo.write("old", "old content\n")
    repo.commit("Old")
    blob = repo.head("HEAD:old")
    repo.write("old", "new content\n")
    repo.commit("New")
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{repo.path}", "partial")
    partial = Repo(tmp_path / "partial")
    inside = packed(project_of(partial), seen(partial), tmp_path)
    assert len(inside.git("rev-list", partial.head()).split()) == 3
    assert blob not in objects(inside)
    assert list((inside.path / "objects" / "pack").glob("*.promisor"))


def test_increment_has_only_what_is_new(repo: Repo, tmp_path: Path) -> None:
    before = repo.head()
    repo.write("new", "1\n")
    tip = repo.commit("New")
    made = history.pack(project_of(repo), [tip], [before], (), tmp_path / "spool")
    assert made is not None
    listed = git(tmp_path, "verify-pack", "-v", str(made.files[1])).splitlines()
    ids = {line.split()[0] for line in listed if line.split()[1] in ("commit", "tree", "blob")}
    assert ids == {tip, repo.head(f"{tip}^{{tree}}"), repo.head(f"{tip}:new")}


def test_nothing_new_is_no_pack(repo: Repo, tmp_path: Path) -> None:
    assert history.pack(project_of(repo), [repo.head()], [repo.head()], (), tmp_path / "spool") is None


def test_packs_are_spooled_on_another_disk_and_nothing_is_written_into_the_project(
    feature: Repo, other_disk: Path
) -> None:
    before = sorted(path for path in (feature.path / ".git").rglob("*"))
    packed(project_of(feature), seen(feature), other_disk)
    assert sorted(path for path in (feature.path / ".git").rglob("*")) == before


def test_alternates_and_objects_of_their_own_are_read(feature: Repo, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(feature.path), "borrower")
    borrower = Repo(tmp_path / "borrower")
    borrower.write("own", "1\n")
    borrower.commit("Own")
    inside = packed(project_of(borrower), seen(borrower), tmp_path)
    assert inside.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_contains(feature: Repo) -> None:
    project = project_of(feature)
    tips = [feature.head("feature"), feature.head("main")]
    assert history.contains(project, [feature.head("v1^{}")], tips)
    assert not history.contains(project, [feature.head("private")], tips)
    assert not history.contains(project, ["f" * 40], tips)
