"""Repositories as people have them."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("files", [3, 250])  # a checkout of its own, and one on a base volume
def test_text_kept_with_crlf_is_no_change_of_the_agents(user: User, files: int) -> None:
    """git itself shows such a file as modified: its attributes want LF in the repository."""
    user.repo.make_files(files)
    command = ["git", "hash-object", "-w", "--stdin"]
    blob = subprocess.check_output(command, cwd=user.repo.path, input=b"echo\r\n").decode().strip()
    user.repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},run.bat")
    user.repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},other.bat")
    user.repo.write(".gitattributes", "*.bat text eol=crlf\n")
    user.repo.git("add", ".gitattributes")
    user.repo.git("commit", "-qm", "batch")
    user.realm("new", "idle", "--agent", "true")
    assert user.repo.git("log", "main..refs/realm/idle") == ""
    user.realm("new", "busy", "--agent", "sh", "--", "-c", "echo more >>run.bat; chmod +x other.bat")
    changed = user.repo.git("diff", "--raw", "--no-abbrev", "main", "refs/realm/busy").splitlines()
    assert changed[0].startswith(f":100644 100755 {blob} {blob} M")
    assert changed[1].endswith("run.bat")
    assert len(changed) == 2


@pytest.mark.parametrize("how", ["chmod -R 000 .", "chmod 600 ."])
def test_an_agent_that_shuts_itself_out(user: User, how: str) -> None:
    work = "echo 1 >one; git add one; git commit -qm mine; mkdir d; echo 2 >d/two"
    user.realm("new", "shut", "--agent", "sh", "--", "-c", f"{work}; {how}; true")
    assert user.repo.files("refs/realm/shut") == ["README.md", "d/two", "one"]
    assert user.repo.git("log", "--format=%s", "main..refs/realm/shut").splitlines() == [
        "Work of run 1",
        "mine",
    ]


def test_thousands_of_files_that_are_copied_in(user: User) -> None:
    user.repo.write(".gitignore", "node_modules/\n*.key\n")
    user.repo.commit("Ignore what is installed")
    for number in range(300):
        user.repo.write(f"node_modules/a/{number:03d}/{'long-' * 30}/index.js", f"{number}\n")
    program = user.repo.path / "node_modules/run it"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o750)
    script = (
        "'node_modules/run it'; find node_modules -type f | wc -l; cat node_modules/a/299/*/index.js; "
        "stat -c %a 'node_modules/run it'; test -O node_modules/a || echo stranger; "
        "rm .gitignore; ls -A /realm/git"
    )
    done = user.scripted("many", script, "--include", "node_modules")
    assert done.out.splitlines()[:4] == ["ran", "301", "299", "750"]
    assert not {"stranger", "given.tar"} & set(done.out.split())
    assert "copied into the container: node_modules/ (301 files)" in done.err
    assert user.repo.files("refs/realm/many") == ["README.md"]


def test_files_that_git_lfs_keeps(user: User) -> None:
    """They are files inside, and what the agent makes is a pointer in git and a file on the host."""

    def pointer(data: bytes) -> str:
        oid = hashlib.sha256(data).hexdigest()
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"

    def place(data: bytes) -> Path:
        oid = hashlib.sha256(data).hexdigest()
        return user.repo.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid

    large, made, others = b"large" * 1000, b"made" * 1_000_000, b"what another branch has"
    user.repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    user.repo.write("a.bin", pointer(large))
    user.repo.commit("Large")
    place(large).parent.mkdir(parents=True)
    place(large).write_bytes(large)
    place(others).parent.mkdir(parents=True)
    place(others).write_bytes(others)
    done = user.scripted(
        "large", "git status --short; wc -c <a.bin; yes made | tr -d '\\n' | head -c 4000000 >b.bin; "
        f"printf '{pointer(others)}' >c.bin"
    )  # fmt: skip
    assert done.out == "5000\n"
    assert user.repo.show("refs/realm/large:b.bin") + "\n" == pointer(made)
    assert place(made).read_bytes() == made
    assert user.repo.git("diff", "--name-only", "main", "refs/realm/large").split() == ["b.bin", "c.bin"]
    again = user.realm("resume", "large", "-c", "git status --short; wc -c <b.bin; head -c 7 c.bin")
    assert again.out == "4000000\nversion"
