"""What a session made, in a temporary work tree of this machine: no engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo


def test_what_a_killed_one_left_goes_with_the_next_and_nothing_of_the_users(
    repo: Repo, tmp_path: Path
) -> None:
    past = Past(repo)
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "disk"))
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    past.run(Asked("one", {"a": "1\n"}))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-m", "realm", "try", "fix", "--host", "--", "sh", "-c", "pwd; exec cat"]
    with subprocess.Popen(
        command, cwd=repo.path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        place = Path(process.stdout.readline().strip())
        assert (place / "a").read_text() == "1\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert place.exists()
        assert realm(repo.path, "try", "fix", "--host", "cat", "a").out == "1\n"
    assert not place.exists()
    (tmp_path / "unmounted").rename(tmp_path / "disk")
    assert [line.split()[0] for line in repo.git("worktree", "list").splitlines()] == [
        str(repo.path), str(tmp_path / "disk"),
    ]  # fmt: skip
    assert Repo(tmp_path / "disk").head() == past.base


def test_a_file_is_copied_in_place_of_a_link_of_the_agents_and_not_through_it(
    repo: Repo, tmp_path: Path
) -> None:
    repo.write(".gitignore", ".env\n")
    repo.commit("Ignore")
    past = Past(repo)
    past.run(Asked("one", {"a": "1\n"}))
    place = tmp_path / "agent"
    repo.git("worktree", "add", "-q", "--detach", str(place), past.tip)
    (place / ".env").symlink_to("README.md")
    made = Repo(place)
    made.git("add", "-Af")
    repo.git("update-ref", "refs/realm/fix", made.commit("Link"))
    repo.git("worktree", "remove", "--force", str(place))
    repo.write(".env", "SECRET=1\n")
    script = "cat README.md .env; test -h .env && echo link"
    done = realm(repo.path, "try", "fix", "--host", "--include", ".env", "--", "sh", "-c", script)
    assert done.out == "# project\nSECRET=1\n"


def test_ctrl_c_is_the_commands(repo: Repo) -> None:
    past = Past(repo)
    past.run(Asked("one", {"a": "1\n"}))
    script = "trap 'echo caught; exit 5' INT; kill -INT $PPID; kill -INT $$; sleep 1"
    done = realm(repo.path, "try", "fix", "--host", "--", "sh", "-c", script)
    assert (done.code, done.out) == (5, "caught\n")
