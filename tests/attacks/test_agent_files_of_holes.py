"""A file of a terabyte costs an agent nothing, and git hours to read: it is left out, the rest is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

TRAPS = {
    "new": "truncate -s 200M holes",
    "in the place of a file": "truncate -s 200M README.md",
    "named against the rules": "echo '!*' > .gitignore; truncate -s 200M .git.bin ':(top)x' '?[a]'",
    "staged as another": "truncate -s 200M a; b=$(echo | git hash-object -w --stdin);"
    "git update-index --add --cacheinfo 100644,$b,a",
    "in what looks like a repository": "mkdir -p x/.git y; echo > y/.git; truncate -s 200M x/a y/a",
    "in the name of another": "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),'w\x01';"
    "mkdir 'w\x01' 'w\n'; truncate -s 200M 'w\x01/a' 'w\n/a'; truncate -s 2M 'a\nb'",
    "in a linked work tree": "git worktree add -q .claude/worktrees/w -b w;"
    "truncate -s 200M .claude/worktrees/w/a",
}


@pytest.mark.parametrize("trap", TRAPS)
def test_it_is_not_read(repo: Repo, tmp_path: Path, trap: str) -> None:
    sandbox = HostSandbox(tmp_path / "sandbox", repo)
    sandbox.layout = sandbox.layout._replace(largest=1 << 20)
    report = sandbox.run(f"echo precious > work.txt; {TRAPS[trap]}")
    assert report.complete
    taken = sandbox.taken(report)
    assert taken.show(f"{report.points[-1].snapshot}:work.txt") == "precious"
    own = {"GIT_DIR": str(sandbox.state / "git")}
    sizes = taken.git("cat-file", "--batch-all-objects", "--batch-check=%(objectsize)", env=own).split()
    assert max(map(int, sizes)) < 1 << 20
