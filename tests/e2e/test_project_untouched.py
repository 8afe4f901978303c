"""Whatever sessions do, the project's own state stays bit for bit the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.repos import Repo
    from tests.support.user import User

pytestmark = pytest.mark.engine

_SESSIONS = ("objects", "refs/realm", "refs/realm-meta", "refs/realm-trash", "logs/refs/realm")
"""What sessions may write below ``.git``."""


def photograph(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, modification time and content of everything below ``root`` that is not a session's."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(directory, name)
            inside = path.relative_to(root).as_posix()
            if inside.startswith(tuple(f".git/{part}" for part in _SESSIONS)):
                continue
            found[inside] = _portrait(path)
    return found


def _portrait(path: Path) -> tuple[int, int, str]:
    status = path.lstat()
    if path.is_symlink():
        return status.st_mode, status.st_mtime_ns, str(path.readlink())
    if path.is_dir():
        # The times of .git and .git/refs change with every lock file made there.
        return status.st_mode, 0, ""
    return status.st_mode, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def busy_repo(repo: Repo) -> Repo:
    """A project in the middle of work: stash, staged, changed, untracked, ignored, hooks, branches."""
    repo.write(".gitignore", "ignored/\n")
    repo.write("tracked.txt", "one\n")
    repo.commit("Work")
    repo.git("branch", "other")
    repo.git("tag", "-a", "v1", "-m", "v1")
    repo.write("tracked.txt", "stashed\n")
    repo.git("stash", "-q")
    repo.write("staged.txt", "staged\n")
    repo.git("add", "staged.txt")
    repo.write("tracked.txt", "changed\n")
    repo.write("untracked.txt", "new\n")
    repo.write("ignored/secret", "s\n")
    for hook in ("pre-commit", "post-checkout", "post-commit", "pre-auto-gc"):
        repo.write(f".git/hooks/{hook}", "#!/bin/sh\ntouch hook-ran\n", mode=0o755)
    return repo


def test_new_resume_and_remove_touch_nothing_else(busy_repo: Repo, user: User) -> None:
    before = photograph(busy_repo.path)
    user.scripted("work", "echo x >x; git add x; git commit -qm X; git branch evil; echo y >tracked.txt")
    user.scripted("work", "echo z >z", verb="resume")
    user.listed()
    assert photograph(busy_repo.path) == before
    assert busy_repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""
    user.realm("remove", "work", "--yes")
    assert photograph(busy_repo.path) == before


def test_wip_takes_changes_along_without_touching_them(busy_repo: Repo, user: User) -> None:
    before = photograph(busy_repo.path)
    done = user.scripted("wip", "cat tracked.txt staged.txt untracked.txt; test ! -e ignored", "--wip")
    assert done.out.splitlines() == ["changed", "staged", "new"]
    assert photograph(busy_repo.path) == before
    assert busy_repo.git("rev-list", "--count", "main..refs/realm/wip") == "1"


def test_without_wip_a_warning_counts_what_stays_behind(busy_repo: Repo, user: User) -> None:
    done = user.scripted("plain", "cat tracked.txt")
    assert done.out == "one\n"
    assert "3 changed files" in done.err
    assert "--wip" in done.err


def test_gc_loses_nothing(repo: Repo, user: User) -> None:
    user.scripted("kept", "echo x >x; git add x; git commit -qm X; echo y >y")
    tips = repo.refs("refs/realm") | repo.refs("refs/realm-meta")
    repo.git("gc", "--prune=now", "--quiet")
    assert repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""
    assert repo.refs("refs/realm") | repo.refs("refs/realm-meta") == tips
    user.scripted("kept", "cat x y", verb="resume")


def test_plain_git_sees_sessions(repo: Repo, user: User) -> None:
    user.scripted("seen", "echo x >x")
    log = repo.git("log", "--format=%H", "--glob=refs/realm/*", "--not", "--branches")
    assert log == user.tip("seen")
    assert repo.git("diff", "--name-only", "main", "refs/realm/seen") == "x"
    assert '"exit_code": 0' in repo.show("refs/realm-meta/seen:runs/0001/run.json")
