"""Repositories as people have them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
