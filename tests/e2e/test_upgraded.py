"""realm is upgraded or removed during runs: their holders have loaded everything needed to save them."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.session import loaded
from tests.e2e.test_kill_matrix import nothing_is_left
from tests.support import engines
from tests.support.driver import Terminal
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

PROGRAM = "import sys; sys.path.insert(0, {!r}); from realm.__main__ import main; main()"
WORKS = "echo {0}; until [ -e go ]; do sleep 0.1; done; echo {0} >file; git stash -q -u; echo {0} >more"


def test_runs_go_on_without_its_files(user: User, tmp_path: Path) -> None:
    """In the background and at a terminal; one is killed in its container, so that another has to save it."""
    (packages,) = (user.installed.home / ".realm/venv/lib").glob("python3*/site-packages")
    own = tmp_path / "packages"
    shutil.copytree(packages, own)
    python = str(Path(user.installed.python).resolve())  # the system's, which has nothing of this
    command = [python, "-S", "-c", PROGRAM.format(str(own))]

    def realm(*words: str) -> None:
        subprocess.run([*command, *words], cwd=user.repo.path, env=user.env, check=True, capture_output=True)

    for name in ("ends", "dies"):
        realm("new", name, "--detach", "--agent", "sh", "-c", WORKS.format(name))
    here = [*command, "new", "here", "--agent", "sh", "-c", WORKS.format("here")]
    with Terminal(here, env=user.env, cwd=user.repo.path) as terminal:
        terminal.wait_for("^here")
        time.sleep(loaded.DELAY + 4)  # it is loaded when nobody waits any more
        shutil.rmtree(own)
        for name in ("ends", "here"):
            user.realm("exec", name, "--", "touch", "go")
        mine = f"realm.project={user.repo.path}"
        (dying,) = engines.labelled("container", mine, "realm.session=dies", "realm.role=box")
        engines.docker("kill", "--signal=KILL", dying)
        assert terminal.wait() == 0, terminal.history()
        assert "here: 1 commit" in terminal.history()
    eventually(lambda: all(row["state"] == "exited" for row in user.listed()), 60)
    for name in ("ends", "here"):
        assert user.repo.git("show", f"refs/realm/{name}:more") == name
        assert user.repo.git("show", f"refs/realm-branches/{name}/stash/1^3:file") == name
    nothing_is_left(user)
