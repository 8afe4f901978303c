"""An agent leaves traps in the project's cache: they reach the project's next session, and nothing else.

That it meets them is said (README, Security): what tools keep there is what they run.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

POISON = r"""
cd /cache
rm -rf pip npm cargo gradle go
ln -s / pip
mkfifo npm gradle
mkdir -p cargo gradle.d "$(printf 'evil\033]0;owned\007\nname')"
ln -s /realm/layout cargo/registry
ln -s "$PWD" go
truncate -s 8000G holes
i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done
"""
NEXT = "rm -rf /cache/pip 2>/dev/null; ls /cache >seen; echo 1 >work; cat /realm/layout/known >known"


def test_the_next_session_works_and_the_host_is_not_misled(user: User, tmp_path: Path) -> None:
    user.realm("new", "evil", "--agent", "sh", "--", "-c", POISON)
    began = time.monotonic()
    told = user.realm("cache").out
    assert "\x1b" not in told
    assert "\a" not in told
    rows = {row["name"]: row["size"] for row in json.loads(user.realm("cache", "--json").out)}
    assert sum(rows.values()) < 1 << 30
    user.realm("new", "next", "--agent", "sh", "--", "-c", NEXT)
    assert time.monotonic() - began < 60
    assert user.repo.show("refs/realm/next:work").strip() == "1"
    assert "holes" in user.repo.show("refs/realm/next:seen")
    assert user.repo.show("refs/realm/next:known").startswith("^")

    other = Repo.init(tmp_path / "other")
    other.write("README.md", "# other\n")
    other.commit("Start")
    user.realm("new", "apart", "--agent", "sh", "--", "-c", "ls /cache >seen", cwd=other.path)
    assert "holes" not in other.show("refs/realm/apart:seen")

    user.realm("cache", "--clear")
    user.realm("new", "clean", "--agent", "sh", "--", "-c", "ls /cache >seen", cwd=user.repo.path)
    assert "holes" not in user.repo.show("refs/realm/clean:seen")
