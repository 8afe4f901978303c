"""What README.md promises in passing, and no other test is about."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo
from tests.support.store import add_session, project_of
from tests.support.user import User
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.install import Installed

pytestmark = pytest.mark.engine

README = Path(__file__).resolve().parents[2] / "README.md"
PLAIN_GIT = re.compile(r"^## Plain git\n.*?^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def plain_git() -> list[str]:
    """Return the commands of the page's part about plain git."""
    found = PLAIN_GIT.search(README.read_text(encoding="utf-8"))
    assert found is not None
    return [line.removeprefix("$ ") for line in found[1].splitlines()]


def test_the_commands_of_plain_git_show_something(claude: User) -> None:
    with claude.terminal("new", "tax") as terminal:
        terminal.wait_for("bypass permissions on", timeout=120)
        for prompt, answer in (
            ("run mkdir app; echo a tax >app/tax.py", r"Ran: mkdir|Bash\(mkdir"),
            ("run echo second >two", r"Ran: echo second|Bash\(echo second"),
        ):
            terminal.send(prompt)
            terminal.press("Enter")
            terminal.wait_for(answer)
            time.sleep(2)
        claude.realm("stop", "tax")
        terminal.wait()
    commands = plain_git()
    assert len(commands) > 8
    for command in commands:
        script = f"GIT_PAGER=cat; export GIT_PAGER; {command}"
        done = subprocess.run(
            ["sh", "-c", script], cwd=claude.repo.path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout or done.stderr, command


def test_ordinary_push_fetch_and_clone_leave_sessions_out_and_mirror_does_not(
    repo: Repo, tmp_path: Path
) -> None:
    add_session(project_of(repo), "fix")
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    repo.git("push", "-q", "--all", "origin")
    repo.git("push", "-q", "--tags", "origin")
    clone = Repo(tmp_path / "clone")
    repo.git("clone", "-q", str(repo.path), str(clone.path))
    clone.git("fetch", "-q", "--all", "--tags")
    assert [ref for place in (origin, clone) for ref in place.refs() if "realm" in ref] == []
    repo.git("push", "-q", "--mirror", "origin")
    assert {"refs/realm/fix", "refs/realm-meta/fix"} <= set(origin.refs())


def test_of_git_lfs_files_that_are_not_here_are_pointers_and_no_filter_sees_the_agents(user: User) -> None:
    def pointer_to(text: str) -> str:
        oid = hashlib.sha256(text.encode()).hexdigest()
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(text)}\n"

    pointer = pointer_to("far away")
    repo, seen = user.repo, user.repo.path.parent / "seen"
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("big.bin", pointer)
    repo.commit("Big files")
    for part in ("clean", "smudge"):
        repo.git("config", f"filter.lfs.{part}", f"echo %f >>{seen}; cat")
    repo.git("config", "filter.lfs.required", "true")
    script = "cat big.bin; echo new >new.bin; git add -A; git commit -qm New; echo more >more.bin"
    assert user.scripted("x", script).out == pointer
    for name in ("new", "more"):
        assert user.repo.show(f"refs/realm/x:{name}.bin") + "\n" == pointer_to(f"{name}\n")
    assert not seen.exists() or set(seen.read_text().split()) == {"big.bin"}


def test_a_name_that_two_projects_have_asks_for_one(user: User, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    shutil.copytree(user.repo.path, other.path)
    user.scripted("fix", "true")
    user.realm("new", "--agent", "true", "fix", cwd=other.path)
    for verb, code in (("resume", 125), ("push", 1), ("remove", 1)):
        refused = user.realm(verb, "fix", cwd=tmp_path, code=code)
        assert "several projects have a session fix: " in refused.err
        assert str(user.repo.path) in refused.err
        assert "realm -C " in refused.err
    user.realm("-C", str(other.path), "remove", "fix", cwd=tmp_path)
    assert [row["project"] for row in user.listed("--all")] == [str(user.repo.path)]


STUBBORN = """
now() { date +%s.%N; }
trap 'now >>int' INT
trap 'now >>term' TERM
echo ready
while :; do sleep 0.05; done
"""


def test_stop_interrupts_terminates_after_three_seconds_and_kills_after_seven_more(user: User) -> None:
    user.realm("new", "x", "--detach", "--agent", "sh", "-c", STUBBORN)
    eventually(lambda: "ready" in user.realm("logs", "x", code=None).out)
    began = time.monotonic()
    user.realm("stop", "x")
    took = time.monotonic() - began
    interrupted, terminated = (
        float(user.repo.show(f"refs/realm/x:{name}").split()[0]) for name in ("int", "term")
    )
    assert 2.5 < terminated - interrupted < 6
    assert 9.5 < took < 40


def test_realms_directory_may_be_named_from_home(installed: Installed, user: User, sealed: Path) -> None:
    user.extra["REALM_HOME"] = "keep/realm"
    User(installed, user.repo, dict(user.extra)).scripted("x", "true")
    assert (sealed / "keep/realm/projects.json").exists()
    assert not (user.repo.path / "keep").exists()


def test_without_a_network_there_is_none(user: User) -> None:
    user.repo.git("config", "realm.network", "none")
    done = user.scripted("x", "ls /sys/class/net; tail -n +3 /proc/net/route")
    assert done.out.split() == ["lo"]
