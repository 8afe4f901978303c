"""Git is the only way into a sandbox, wherever the repository is, and whoever may read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import engines, hostile
from tests.support.repos import Repo, git
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

TREE = "git ls-tree --name-only refs/realm"
WORK = "git log --format=%s && git fsck && echo new > new.txt"


def shared(user: User) -> list[str]:
    """Return the roles of the volumes that stay for the next sandbox."""
    found = []
    for role in ("history", "base"):
        found += [role] * len(
            engines.labelled("volume", f"realm.project={user.repo.path}", f"realm.role={role}")
        )
    return found


def test_what_is_merged_with_is_there_beside_a_main_that_moved(user: User, tmp_path: Path) -> None:
    user.repo.git("tag", "-a", "-m", "One", "v1")
    git(tmp_path, "clone", "-q", str(user.repo.path), "clone")
    user.repo.write("upstream", "1\n")
    user.repo.commit("Upstream")
    user.repo = Repo(tmp_path / "clone")
    user.repo.git("checkout", "-q", "-b", "feature")
    user.repo.commit("On the feature")
    user.repo.git("fetch", "-q")
    script = (
        "git describe --tags && git log --format=%s main.. && git diff --name-status origin/main "
        "&& git rev-parse main origin/main"
    )
    lines = user.scripted("merge", script).out.splitlines()
    assert lines[0].startswith("v1-1-g")
    assert lines[1:] == [
        "On the feature", "D\tupstream", user.repo.head("main"), user.repo.head("origin/main"),
    ]  # fmt: skip


def test_repository_that_the_engine_cannot_see(user: User, tmp_path: Path) -> None:
    """As on another machine: on a filesystem of a mount namespace that only realm is in."""
    where = tmp_path / "hidden"
    where.mkdir()
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("no mount namespaces")
    script = f"""
        mount -t tmpfs none {where} && git clone -q {user.repo.path} {where}/project && cd {where}/project &&
        {user.installed.realm} new --agent sh far -c '{WORK}' && {TREE}/far
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], env=user.env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == ["Start", "README.md", "new.txt"]


def test_repository_that_nobody_else_may_read(user: User) -> None:
    words = f"umask 077 && git clone -q {user.repo.path} private && cd private && chmod -R go= . && "
    words += f"{user.installed.realm} new --agent sh own -c '{WORK}' && {TREE}/own"
    cwd = user.repo.path.parent
    done = subprocess.run(["sh", "-c", words], cwd=cwd, env=user.env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == ["Start", "README.md", "new.txt"]


def test_objects_that_a_supplementary_group_alone_may_read(user: User) -> None:
    if os.getuid() != 0:
        pytest.skip("not root, who can belong to any group")
    for path in [user.repo.path / ".git/objects", *(user.repo.path / ".git/objects").rglob("*")]:
        os.chown(path, 54321, 54321)
        path.chmod(0o2770 if path.is_dir() else 0o440)
    cwd, powerless = user.repo.path, hostile.powerless()

    def done(groups: str, *command: str) -> subprocess.CompletedProcess[bytes]:
        line = ["setpriv", groups, *powerless, *command]
        return subprocess.run(line, cwd=cwd, env=user.env, capture_output=True, check=False)

    assert done("--clear-groups", "git", "cat-file", "-e", "HEAD:README.md").returncode != 0
    ran = done("--groups=54321", str(user.installed.realm), "new", "--agent", "sh", "group", "-c", WORK)
    assert ran.returncode == 0, ran.stderr
    assert user.repo.files("refs/realm/group") == ["README.md", "new.txt"]


def test_realms_directory_on_another_disk(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    other = subprocess.run(
        ["mktemp", "-d", "-p", "/dev/shm"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if not other:
        pytest.skip("no other filesystem to write to")
    try:
        monkeypatch.setenv("REALM_HOME", other)
        user.scripted("far", WORK)
        assert user.repo.files("refs/realm/far") == ["README.md", "new.txt"]
        # What proves to be ours is gone with the directory: removed by whom it belongs to.
        user.realm("remove", "far", "--yes")
    finally:
        shutil.rmtree(other)


def test_limited_history(user: User) -> None:
    for number in range(5):
        user.repo.commit(f"Number {number}")
    user.repo.git("config", "realm.history", "2")
    commit = "echo new > new.txt; git add .; git commit -qm Mine"
    done = user.scripted("short", f"git log --format=%s; git status --short; {commit}")
    assert done.out.split("\n")[:3] == ["Number 4", "Number 3", ""]
    user.scripted("short", "echo more > more.txt", verb="resume")
    assert user.repo.files("refs/realm/short") == ["README.md", "more.txt", "new.txt"]
    assert user.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


def test_several_first_starts_at_once_make_one_history_and_one_base(user: User) -> None:
    user.repo.make_files(250)
    started = [user.start("new", "--agent", "sh", f"at-once-{n}", "-c", "ls | wc -l") for n in range(4)]
    for process in started:
        out, err = process.communicate(timeout=180)
        assert (process.returncode, out.strip()) == (0, "1"), err
    assert shared(user) == ["history", "base"]
    user.scripted("later", "true")
    assert shared(user) == ["history", "base"]


def test_volumes_of_a_project_that_is_gone_are_pruned(user: User) -> None:
    user.repo.make_files(250)
    user.scripted("done", "true")
    assert shared(user) == ["history", "base"]
    moved = user.repo.path.rename(user.repo.path.parent / "moved")
    user.realm("list", "--all", "--prune", cwd=moved)
    assert shared(user) == []


def test_history_that_was_removed_by_hand_is_made_anew(user: User) -> None:
    user.scripted("first", "true")
    (volume,) = engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=history")
    engines.docker("volume", "rm", volume)
    user.scripted("second", WORK)
    assert user.repo.files("refs/realm/second") == ["README.md", "new.txt"]
    assert shared(user) == ["history"]


def damage(user: User) -> None:
    """Cut the end of every pack in the history volume, as an engine does that crashes."""
    (volume,) = engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=history")
    cut = "for f in /h/*/pack/*.pack; do truncate -s -30 $f; done"
    engines.docker(
        *("run", "--rm", "-u", "0", "--entrypoint", "sh", "-v", f"{volume}:/h", "realm:latest", "-c", cut)
    )


def test_history_that_is_damaged_is_made_anew_by_the_next_start(user: User) -> None:
    user.repo.make_files(250)
    user.scripted("first", "true")
    damage(user)
    done = user.scripted("second", "true", code=125)
    assert "could not be prepared" in done.err
    assert "try again" in done.err
    user.scripted("second", WORK)
    assert "new.txt" in user.repo.files("refs/realm/second")
    assert shared(user) == ["history", "base"]


def test_work_on_a_damaged_history_is_saved_with_another(user: User) -> None:
    user.realm("new", "x", "--detach", "--agent", "sh", "-c", "echo 1 > work; sleep 600")
    (sandbox,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    eventually(
        lambda: engines.docker("exec", sandbox, "sh", "-c", "cat /workspace/*/work", check=False) == "1"
    )
    damage(user)
    engines.docker("kill", sandbox)
    eventually(lambda: user.listed()[0]["state"] != "running")
    user.scripted("x", "cat work", verb="resume")
    assert user.repo.files("refs/realm/x") == ["README.md", "work"]


def test_pattern_that_names_nothing_is_told(user: User) -> None:
    user.repo.git("config", "--add", "realm.historyRefs", "relase/*")
    done = user.scripted("typo", "true")
    assert "no branch or tag matches realm.historyRefs relase/*" in done.err


def test_rewritten_main_leaves_nothing_of_what_it_was(user: User) -> None:
    user.repo.write("secret", "password\n")
    user.repo.commit("Oops")
    blob = user.repo.head("HEAD:secret")
    user.scripted("before", f"git cat-file -e {blob}")
    user.repo.git("reset", "-q", "--hard", "HEAD~1")
    done = user.scripted("after", f"git cat-file -e {blob} 2>/dev/null && echo READ; true")
    assert "READ" not in done.out
