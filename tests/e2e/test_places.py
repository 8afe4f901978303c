"""Where a session starts from: directories, work trees, submodules, remotes, files taken along."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_a_subdirectory_is_where_the_agent_starts(user: User) -> None:
    user.repo.write("src/deep/a.txt", "a\n")
    user.repo.commit("Deep")
    done = user.realm(
        "new", "--agent", "sh", "sub", "-c", "pwd; echo b >b.txt", cwd=user.repo.path / "src/deep"
    )
    assert done.out == "/workspace/project/src/deep\n"
    assert "src/deep/b.txt" in user.repo.files("refs/realm/sub")
    assert "committed" not in done.err
    new = user.repo.path / "new"
    new.mkdir()
    done = user.realm("new", "--agent", "pwd", "elsewhere", cwd=new)
    assert done.out == "/workspace/project\n"
    assert "warning: nothing in new is committed: the agent starts at the top" in done.err


def test_a_filter_that_fails_is_no_reason_not_to_start(user: User) -> None:
    user.repo.write(".gitattributes", "*.txt filter=bad\n")
    user.repo.write("a.txt", "a\n")
    user.repo.commit("Text")
    user.repo.git("config", "filter.bad.clean", "false")
    user.repo.git("config", "filter.bad.required", "true")
    user.repo.write("a.txt", "b\n")
    done = user.realm("new", "--agent", "sh", "filtered", "-c", "cat a.txt; echo x >x")
    assert done.out == "a\n"
    assert "warning: uncommitted changes stay out of the container" in done.err
    assert "x" in user.repo.files("refs/realm/filtered")


def test_the_second_argument_is_the_project(user: User, tmp_path: Path) -> None:
    user.realm("new", "--agent", "sh", "there", str(user.repo.path), "-c", "echo x >x", cwd=tmp_path)
    assert "x" in user.repo.files("refs/realm/there")
    user.realm("-C", str(user.repo.path), "resume", "there", "-c", "echo y >y", cwd=tmp_path)
    assert "y" in user.repo.files("refs/realm/there")


def test_a_session_is_found_from_elsewhere(user: User, tmp_path: Path) -> None:
    user.scripted("far", "true")
    said = user.realm("resume", "far", "-c", "echo x >x", cwd=tmp_path).err
    assert f"far is a session of {user.repo.path}\n" in said
    assert "x" in user.repo.files("refs/realm/far")
    assert "is a session of" not in user.scripted("far", "true", verb="resume").err
    assert [row["name"] for row in user.listed("--all")] == ["far"]


def test_a_linked_work_tree(user: User, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    user.repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    Repo(linked).write("side.txt", "side\n")
    side = Repo(linked).commit("Side")
    user.realm("new", "--agent", "sh", "wt", "-c", "cat side.txt; echo x >x", cwd=linked)
    assert user.repo.head("refs/realm/wt~1") == side
    assert user.repo.files("refs/realm/wt") == ["README.md", "side.txt", "x"]
    assert git(linked, "status", "--porcelain") == ""


def test_a_session_of_a_linked_work_tree_that_is_removed(user: User, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    user.repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    user.realm("new", "--agent", "true", "wt", cwd=linked)
    user.repo.git("worktree", "remove", str(linked))
    listed = user.realm("list", "--all", "--json", cwd=tmp_path)
    (row,) = json.loads(listed.out)
    assert (row["name"], row["project"]) == ("wt", str(user.repo.path))
    assert listed.err == ""  # the session is the repository's, and nothing of it is missing
    user.realm("resume", "wt", "-c", "true", cwd=tmp_path)


def test_inside_a_submodule(user: User, tmp_path: Path) -> None:
    library = Repo.init(tmp_path / "library")
    library.write("lib.txt", "lib\n")
    library.commit("Library")
    user.repo.git("submodule", "add", "-q", str(library.path), "lib")
    user.repo.commit("Add library")
    inner = Repo(user.repo.path / "lib")
    user.realm("new", "--agent", "sh", "inner", "-c", "cat lib.txt; echo x >x", cwd=inner.path)
    assert inner.files("refs/realm/inner") == ["lib.txt", "x"]
    assert "refs/realm/inner" not in user.repo.refs()


def test_a_project_with_a_submodule(user: User, tmp_path: Path) -> None:
    library = Repo.init(tmp_path / "library")
    library.write("lib.txt", "lib\n")
    pinned = library.commit("Library")
    user.repo.git("submodule", "add", "-q", str(library.path), "lib")
    user.repo.commit("Add library")
    user.scripted("outer", "echo x >x")
    assert user.repo.head("refs/realm/outer:lib") == pinned
    assert "x" in user.repo.files("refs/realm/outer")


def test_another_base(user: User) -> None:
    start = user.repo.head()
    user.repo.write("later.txt")
    user.repo.commit("Later")
    done = user.scripted("older", "ls", "--base", "HEAD~1")
    assert done.out == "README.md\n"
    assert user.tip("older") == start
    bad = user.realm("new", "--agent", "true", "--base", "nowhere", "bad", code=125)
    assert "nowhere" in bad.err


@pytest.fixture
def secretive(user: User) -> User:
    """A project that ignores ``.env`` files and has some."""
    user.repo.write(".gitignore", ".env*\n")
    user.repo.commit("Ignore secrets")
    user.repo.write(".env.test", "A=1\n")
    user.repo.write(".env.prod", "B=2\n")
    return user


def test_include_copies_ignored_files_in_and_never_out(secretive: User) -> None:
    done = secretive.scripted("inc", "ls -A; cat .env.test; echo x >x", "--include", ".env.test")
    assert "A=1" in done.out
    assert ".env.prod" not in done.out
    assert ".env.test" not in secretive.repo.files("refs/realm/inc")
    secretive.repo.write(".env.test", "A=3\n")
    again = secretive.realm("resume", "inc", "-c", "cat .env.test")
    assert again.out == "A=3\n"


def test_included_files_keep_their_permissions(secretive: User) -> None:
    (secretive.repo.path / ".env.test").chmod(0o600)
    (secretive.repo.path / ".env.prod").chmod(0o755)
    words = ("--include", ".env.test", "--include", ".env.prod")
    done = secretive.scripted("inc", "stat -c %a .env.test .env.prod; test -O .env.test", *words)
    assert done.out == "600\n755\n"


def test_worktreeinclude_and_the_setting(secretive: User) -> None:
    secretive.repo.write(".worktreeinclude", ".env.test\n")
    secretive.repo.commit("Include for tests")
    secretive.realm("include", "--approve")
    done = secretive.scripted("inc", "ls -A")
    assert ".env.test" in done.out.split()
    assert ".env.prod" not in done.out.split()
    assert "copied into the container: .env.test" in done.err
    secretive.repo.git("config", "realm.include", ".env.prod")
    done = secretive.scripted("inc2", "ls -A")
    assert {".env.prod", ".env.test"} <= set(done.out.split())


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", ".git/config"])
def test_include_stays_inside(secretive: User, path: str) -> None:
    (secretive.repo.path.parent / "outside").write_text("x")
    refused = secretive.realm("new", "--agent", "true", "--include", path, "inc", code=None)
    assert refused.code in (2, 125)
    assert not secretive.repo.refs("refs/realm")


def test_remote_starts_on_the_branch_of_that_name(user: User, tmp_path: Path) -> None:
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    user.repo.git("remote", "add", "origin", str(origin.path))
    user.repo.git("checkout", "-q", "-b", "feature")
    user.repo.write("feature.txt")
    feature = user.repo.commit("Feature")
    user.repo.git("push", "-q", "origin", "feature")
    user.repo.git("checkout", "-q", "main")
    user.repo.git("branch", "-q", "-D", "feature")
    user.realm("new", "feature", "--remote", "--agent", "true")
    assert user.tip("feature") == feature
    assert "refs/heads/feature" not in user.repo.refs()
    missing = user.realm("new", "nothere", "--remote", "--agent", "true", code=125)
    assert "nothere" in missing.err


def test_a_shallow_clone(user: User, tmp_path: Path) -> None:
    for number in range(3):
        user.repo.write("n.txt", f"{number}\n")
        user.repo.commit(f"N {number}")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{user.repo.path}", "shallow")
    shallow = Repo(tmp_path / "shallow")
    user.realm("new", "--agent", "sh", "sh", "-c", "git log --oneline | wc -l; echo x >x", cwd=shallow.path)
    assert shallow.files("refs/realm/sh") == ["README.md", "n.txt", "x"]
    assert shallow.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_a_repository_with_alternates(user: User, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(user.repo.path), "borrowing")
    borrowing = Repo(tmp_path / "borrowing")
    user.realm("new", "--agent", "sh", "alt", "-c", "cat README.md; echo x >x", cwd=borrowing.path)
    assert borrowing.files("refs/realm/alt") == ["README.md", "x"]


def test_history_mode_and_plain_workspace(user: User) -> None:
    user.extra |= {"REALM_OBJECTS": "history", "REALM_WORKSPACE": "plain"}
    user.repo.git("checkout", "-q", "-b", "private")
    user.repo.write("private.txt", "private\n")
    hidden = user.repo.commit("Private")
    user.repo.git("checkout", "-q", "main")
    done = user.scripted(
        "less", f"git cat-file -e {hidden} && echo seen; git log --format=%s; echo x >x", code=0
    )
    assert done.out == "Start\n"
    assert user.repo.files("refs/realm/less") == ["README.md", "x"]


@pytest.mark.skipif(os.getuid() != 0, reason="others' sandboxes run under their own id")
def test_objects_that_only_root_may_read(user: User) -> None:
    subprocess.run(["chmod", "-R", "go=", str(user.repo.path / ".git")], check=True)
    user.scripted("private", "cat README.md; echo x >x")
    assert user.repo.files("refs/realm/private") == ["README.md", "x"]
    user.scripted("private", "cat x", verb="resume")


def test_an_overlay_workspace(user: User) -> None:
    user.extra["REALM_WORKSPACE"] = "overlay"
    user.scripted("over", "echo x >x; rm README.md")
    assert user.repo.files("refs/realm/over") == ["x"]
    user.scripted("over", "ls >seen", verb="resume")
    assert user.repo.show("refs/realm/over:seen").splitlines() == ["seen", "x"]


def test_a_project_that_moved(user: User, tmp_path: Path) -> None:
    user.scripted("mover", "echo x >x")
    moved = tmp_path / "elsewhere"
    user.repo.path.rename(moved)
    user.repo.path = moved
    user.scripted("mover", "pwd; echo y >y", verb="resume")
    assert user.repo.files("refs/realm/mover") == ["README.md", "x", "y"]


def test_resume_rebase_replays_on_head(user: User) -> None:
    user.scripted("rb", "echo x >x")
    user.repo.write("new.txt")
    head = user.repo.commit("Moved on")
    user.realm("resume", "--rebase", "rb", "-c", "ls")
    assert user.repo.head("refs/realm/rb~1") == head
    assert user.repo.files("refs/realm/rb") == ["README.md", "new.txt", "x"]


def test_resume_rebase_reports_conflicts_and_loses_nothing(user: User) -> None:
    user.scripted("rb", "echo theirs >README.md")
    tip = user.tip("rb")
    user.repo.write("README.md", "ours\n")
    user.repo.commit("Ours")
    done = user.realm("resume", "--rebase", "rb", "-c", "true", code=None)
    assert done.code != 0
    assert "README.md" in done.err
    assert user.tip("rb") == tip


def test_after_a_conflict_the_agent_can_merge_the_users_branch(user: User) -> None:
    user.repo.git("checkout", "-q", "-b", "feature")
    user.scripted("rb", "echo theirs >README.md")
    user.repo.write("README.md", "ours\n")
    user.repo.commit("Ours")
    hidden = user.scripted("rb", "git rev-parse -q --verify refs/heads/feature", verb="resume", code=1)
    assert hidden.out == ""
    user.realm("resume", "--rebase", "rb", "-c", "true", code=125)
    user.scripted(
        "rb", "git merge -X ours feature >log 2>&1; git log --format=%s feature -1 >>log", verb="resume"
    )
    assert user.repo.show("refs/realm/rb:log").endswith("Ours")
    assert user.repo.show("refs/realm/rb:README.md") == "theirs"


def test_what_the_user_fixed_by_hand_reaches_the_agent(user: User) -> None:
    user.scripted("rb", "echo theirs >made.txt")
    user.repo.write("mine.txt", "mine\n")
    user.repo.commit("Mine")
    done = user.realm("resume", "--take", "main", "rb", "-c", "cat mine.txt made.txt")
    assert done.out == "mine\ntheirs\n"
    assert "1 commit of main on top of rb" in done.err
    assert user.repo.files("refs/realm/rb") == ["README.md", "made.txt", "mine.txt"]
