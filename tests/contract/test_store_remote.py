"""Fetching and pushing between real repositories with real git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError, UsageError
from realm.store import remote
from realm.store.commits import commit_tree, tree_of
from realm.store.repo import identity
from tests.support.repos import Repo, git
from tests.support.store import assert_sound, project_of, seen

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project


@pytest.fixture
def origin(repo: Repo, tmp_path: Path) -> Repo:
    """Return the bare repository that ``repo`` has as its remote ``origin``."""
    git(tmp_path, "clone", "-q", "--bare", str(repo.path), "origin.git")
    repo.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    return Repo(tmp_path / "origin.git")


def work(project: Project, parent: str, message: str = "Work") -> str:
    return commit_tree(
        project, tree=tree_of(project, parent), parent=parent, message=message, identity=identity(project)
    )


def other_work(origin: Repo, tmp_path: Path, branch: str) -> str:
    """Let a colleague put a commit on a branch."""
    git(tmp_path, "clone", "-q", str(origin.path), "colleague")
    colleague = Repo(tmp_path / "colleague")
    colleague.git("config", "user.name", "Bob")
    oid = colleague.commit("A fix by Bob")
    colleague.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
    return oid


def test_fetch_brings_the_commit_and_nothing_else(repo: Repo, origin: Repo, tmp_path: Path) -> None:
    oid = other_work(origin, tmp_path, "topic/one")
    before = seen(repo)
    assert remote.fetch_branch(project_of(repo), "origin", "topic/one") == oid
    assert repo.git("log", "-1", "--format=%an", oid) == "Bob"
    assert seen(repo) == before
    assert not repo.refs("refs/realm-tmp")


@pytest.mark.parametrize(
    ("name", "branch", "message"),
    [
        ("origin", "nope", "origin has no branch 'nope'"),
        ("upstream", "main", "no remote called 'upstream'"),
        ("-x", "main", "no remote called '-x'"),
        ("--upload-pack=/bin/true", "main", "no remote called"),
        ("", "main", "no remote called ''"),
        (".", "main", "no remote called '.'"),
        ("/not/there", "main", "cannot fetch"),
    ],
)
def test_fetch_failures(repo: Repo, origin: Repo, name: str, branch: str, message: str) -> None:
    with pytest.raises(RealmError, match=message) as caught:
        remote.fetch_branch(project_of(repo), name, branch)
    assert caught.value.hint


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "HEAD", "x.lock", "a\0b", "a:b", "@{u}", "+x"])
def test_bad_branches(repo: Repo, origin: Repo, branch: str) -> None:
    project = project_of(repo)
    if branch == "+x":
        with pytest.raises(RealmError, match="no branch"):
            remote.fetch_branch(project, "origin", branch)
        return
    with pytest.raises(UsageError, match="not a valid branch name"):
        remote.push(project, oid=repo.head(), remote="origin", branch=branch, lease=None)
    with pytest.raises(UsageError):
        remote.fetch_branch(project, "origin", branch)


def test_push_creates_and_moves_forward(repo: Repo, origin: Repo) -> None:
    project = project_of(repo)
    first = work(project, repo.head())
    before = seen(repo)
    done = remote.push(project, oid=first, remote="origin", branch="fix", lease=None)
    assert not done.unchanged
    assert origin.head("fix") == first
    done = remote.push(project, oid=first, remote="origin", branch="fix", lease=first)
    assert done.unchanged
    second = work(project, first)
    done = remote.push(project, oid=second, remote="origin", branch="fix", lease=first)
    assert not done.unchanged
    assert origin.head("fix") == second
    after = seen(repo)
    assert repo.refs("refs/heads") == {"refs/heads/main": repo.head()}
    assert {name for name in after.files if after.files[name] != before.files.get(name)} <= {
        ".git/refs/remotes/origin/fix",  # git's own note of where the remote is
        ".git/logs/refs/remotes/origin/fix",
    }
    assert_sound(origin)


def test_lease_lets_own_work_be_replaced_and_nobody_elses(repo: Repo, origin: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    first, rebased = work(project, repo.head(), "One"), work(project, repo.head(), "Rebased")
    remote.push(project, oid=first, remote="origin", branch="fix", lease=None)
    with pytest.raises(RealmError, match="has other work"):
        remote.push(project, oid=rebased, remote="origin", branch="fix", lease=None)
    remote.push(project, oid=rebased, remote="origin", branch="fix", lease=first)
    assert origin.head("fix") == rebased
    origin.git("update-ref", "refs/heads/main", rebased)
    theirs = other_work(origin, tmp_path, "fix")
    for lease in (None, rebased):
        with pytest.raises(RealmError, match=r"'fix' on origin has other work: \w+ by Bob, .*: A fix by Bob"):
            remote.push(project, oid=first, remote="origin", branch="fix", lease=lease)
        assert origin.head("fix") == theirs
    remote.push(project, oid=first, remote="origin", branch="fix", lease=None, force=True)
    assert origin.head("fix") == first


def test_a_branch_that_was_deleted_is_made_again(repo: Repo, origin: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    first, rebased = work(project, repo.head(), "One"), work(project, repo.head(), "Rebased")
    remote.push(project, oid=first, remote="origin", branch="fix", lease=None)
    origin.git("update-ref", "-d", "refs/heads/fix")
    done = remote.push(project, oid=first, remote="origin", branch="fix", lease=first)
    assert not done.unchanged
    origin.git("update-ref", "-d", "refs/heads/fix")
    remote.push(project, oid=rebased, remote="origin", branch="fix", lease=first)
    assert origin.head("fix") == rebased


def test_a_branch_that_was_pushed_by_hand_moves_forward(repo: Repo, origin: Repo) -> None:
    project = project_of(repo)
    first = work(project, repo.head())
    second = work(project, first)
    third = work(project, second)
    remote.push(project, oid=first, remote="origin", branch="fix", lease=None)
    repo.git("push", "-q", "origin", f"{second}:refs/heads/fix")
    remote.push(project, oid=third, remote="origin", branch="fix", lease=first)
    assert origin.head("fix") == third


def test_how_much_other_work_there_is(repo: Repo, origin: Repo, tmp_path: Path) -> None:
    other_work(origin, tmp_path, "fix")
    git(tmp_path / "colleague", "commit", "-q", "--allow-empty", "-m", "Another")
    git(tmp_path / "colleague", "push", "-q", "origin", "HEAD:refs/heads/fix")
    project = project_of(repo)
    with pytest.raises(
        remote.RefusedError, match=r"other work: \w+ by Bob, .*: Another \(and 1 more\)$"
    ) as said:
        remote.push(project, oid=work(project, repo.head()), remote="origin", branch="fix", lease=None)
    assert said.value.moved


@pytest.mark.parametrize("leased", [False, True])
def test_a_push_that_loses_a_race_says_who_won(
    repo: Repo, origin: Repo, tmp_path: Path, *, leased: bool
) -> None:
    """The colleague pushes after our git has read the branch's value and before its own push."""
    project = project_of(repo)
    first = work(project, repo.head(), "One")
    remote.push(project, oid=first, remote="origin", branch="fix", lease=None)
    theirs = other_work(origin, tmp_path, "elsewhere")
    move = f"git update-ref refs/heads/fix {theirs}"
    origin.write("hooks/update", f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\n{move}\n", mode=0o755)
    with pytest.raises(remote.RefusedError, match=r"'fix' on origin has other work: \w+ by Bob") as said:
        remote.push(
            project, oid=work(project, first), remote="origin", branch="fix", lease=first if leased else None
        )
    assert said.value.moved
    assert origin.head("fix") == theirs


def test_what_the_server_says_is_passed_on_clean(repo: Repo, origin: Repo) -> None:
    text = "echo; echo 'Create a pull request for fix:'; printf '  https://example.com/\\033[31mx\\n'"
    origin.write("hooks/post-receive", f"#!/bin/sh\n{text}\n", mode=0o755)
    done = remote.push(project_of(repo), oid=repo.head(), remote="origin", branch="fix", lease=None)
    assert done.lines == ("Create a pull request for fix:", "https://example.com/[31mx")


def test_server_refuses(repo: Repo, origin: Repo) -> None:
    origin.write("hooks/pre-receive", "#!/bin/sh\necho 'No pushes on Mondays'\nexit 1\n", mode=0o755)
    with pytest.raises(RealmError, match=r"origin refused 'fix': .*hook declined.*No pushes on Mondays"):
        remote.push(project_of(repo), oid=repo.head(), remote="origin", branch="fix", lease=None)


def test_pre_push_hook_of_the_user_applies(repo: Repo, origin: Repo) -> None:
    repo.write(".git/hooks/pre-push", "#!/bin/sh\necho 'tests fail' >&2\nexit 1\n", mode=0o755)
    with pytest.raises(RealmError, match="cannot push to origin: tests fail"):
        remote.push(project_of(repo), oid=repo.head(), remote="origin", branch="fix", lease=None)
    assert "refs/heads/fix" not in origin.refs()


def test_urls_of_the_user_are_rewritten(repo: Repo, origin: Repo) -> None:
    repo.git("remote", "add", "short", "home:project")
    repo.git("config", f"url.{origin.path}.pushInsteadOf", "home:project")
    remote.push(project_of(repo), oid=repo.head(), remote="short", branch="fix", lease=None)
    assert origin.head("fix") == repo.head()


def test_tags_do_not_follow(repo: Repo, origin: Repo) -> None:
    repo.git("tag", "-a", "-m", "x", "v1")
    repo.git("config", "push.followTags", "true")
    remote.push(project_of(repo), oid=repo.head(), remote="origin", branch="fix", lease=None)
    assert not origin.refs("refs/tags")


def test_remotes(repo: Repo, origin: Repo) -> None:
    repo.git("remote", "add", "backup", "/nowhere")
    assert remote.remotes(project_of(repo)) == ["backup", "origin"]


@pytest.mark.parametrize(
    ("remote_name", "said"),
    [
        ("origin", "origin"),
        ("https://ada:secret@example.com/x.git", "https://example.com/x.git"),
        ("ssh://git@example.com/x@y.git", "ssh://example.com/x@y.git"),
        ("git@example.com:x.git", "git@example.com:x.git"),
        ("/srv/a@b.git", "/srv/a@b.git"),
    ],
)
def test_passwords_in_urls_are_not_shown(remote_name: str, said: str) -> None:
    assert remote.shown(remote_name) == said


def test_paths_are_seen_from_where_the_user_is(repo: Repo, origin: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    (repo.path / "deep").mkdir()
    assert remote.place(project, "../../origin.git", repo.path / "deep") == str(origin.path.resolve())
    assert remote.place(project, "../nowhere.git", repo.path) == "../nowhere.git"
    for name in ("origin", "https://example.com/x.git", "deep", "~nobody-at-all/x.git"):
        assert remote.place(project, name, repo.path) == name
    repo.git("remote", "add", "team/deep", "/srv/x.git")
    (repo.path / "team/deep").mkdir(parents=True)
    assert remote.place(project, "team/deep", repo.path) == "team/deep"


def test_squash_is_what_was_pushed_as_long_as_it_is_the_same(repo: Repo) -> None:
    project = project_of(repo)
    base = repo.head()
    repo.write("a")
    tip = repo.commit("One")
    first = remote.squash(project, base, tip, "All")
    assert remote.squash(project, base, tip, "Other words", first) == first
    repo.write("b")
    later = remote.squash(project, base, repo.commit("Two"), "All", first)
    assert later != first
    assert remote.squash(project, base, repo.head(), "All", "9" * 40) != first


def test_squash(repo: Repo) -> None:
    project = project_of(repo)
    base = repo.head()
    repo.write("a")
    repo.commit("One")
    repo.write("b")
    tip = repo.commit("Two")
    oid = remote.squash(project, base, tip, "Both\n\nAs one.")
    assert repo.git("rev-list", "--parents", "-1", oid).split() == [oid, base]
    assert repo.files(oid) == repo.files(tip)
    assert repo.git("log", "-1", "--format=%an %B", oid) == "Ada Tester Both\n\nAs one.\n"
