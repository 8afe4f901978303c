"""No program in a project replaces one that realm runs on the host, realm itself included."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.history import COMMAND, Asked, Past
from tests.support.install import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

PROGRAMS = ("devcontainer", "docker", "gh", "git", "less", "sh", "ssh", "ssh-agent")
DEVCONTAINER = '{"image": "base:1", "features": {"ghcr.io/devcontainers/features/node:1": {}}}'


@pytest.fixture
def trapped(repo: Repo, tmp_path: Path) -> tuple[Repo, Path]:
    """Return a project with such programs, and the file that they create when they run."""
    sprung = tmp_path / "sprung"
    for name in PROGRAMS:
        for place in (name, f"node_modules/.bin/{name}"):
            repo.write(place, f"#!/bin/sh\necho {name} >> {sprung}\n")
            (repo.path / place).chmod(0o755)
    for name in ("click.py", "realm/__init__.py", "realm/__main__.py"):
        repo.write(name, f"open({str(sprung)!r}, 'a').write({name!r})\n")
    repo.write(".devcontainer.json", DEVCONTAINER)
    repo.commit("Bring programs")
    Past(repo).run(Asked("write", {"a.txt": "a\n"}))
    return repo, sprung


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (["list"], {0}),
        (["init", "--yes"], {0}),
        (["new", "other"], {125}),
        (["new", "more", "--count", "2"], {125}),
        (["compare", "fix", "--check", "true"], {1}),
        (["push", "fix"], {1}),
    ],
)
def test_none_of_them_runs(trapped: tuple[Repo, Path], line: list[str], codes: set[int]) -> None:
    repo, sprung = trapped
    done = subprocess.run(
        [COMMAND[0], "-P", *COMMAND[1:], *line], cwd=repo.path, capture_output=True, check=False,
        env={
            **os.environ, "PYTHONPATH": str(CHECKOUT), "DOCKER_HOST": "unix:///nonexistent",
            "PATH": f":.:node_modules/.bin:{os.environ['PATH']}",
        },
    )  # fmt: skip
    assert done.returncode in codes, done.stderr
    assert not sprung.exists(), sprung.read_text()
