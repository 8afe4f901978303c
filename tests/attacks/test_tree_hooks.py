"""A project may keep its git hooks in the work tree; a session's own version of them is run by no command.

``core.hooksPath`` names such a directory for many projects.  What brings a session's files
there must not be the command that runs them: the user has not seen them yet.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.history import Asked, Files, Past, realm

if TYPE_CHECKING:
    from tests.support.repos import Repo

NAMES = (
    "post-checkout", "post-commit", "post-index-change", "post-merge", "commit-msg", "pre-commit",
    "pre-merge-commit", "prepare-commit-msg", "reference-transaction",
)  # fmt: skip


def hook(mark: Path) -> str:
    return f"#!/bin/sh\ntouch {mark}\n"


@pytest.fixture
def past(repo: Repo, tmp_path: Path) -> Past:
    """Return a session that changed the hooks of its project, which do nothing before."""
    repo.git("config", "core.hooksPath", ".hooks")
    for name in NAMES:
        repo.write(f".hooks/{name}", "#!/bin/sh\n", mode=0o755)
    repo.commit("Hooks")
    made = Past(repo)
    files: Files = {f".hooks/{name}": hook(tmp_path / "sprung") for name in NAMES}
    made.run(Asked("work", {**files, "a.txt": "a\n"}))
    (tmp_path / "sprung").unlink(missing_ok=True)
    return made


@pytest.mark.parametrize(
    "line",
    [
        ["apply", "fix"],
        ["merge", "fix"],
        ["merge", "fix", "--squash"],
        ["merge", "fix", "-m", "Take it"],
        ["merge", "fix", "--remove"],
    ],
    ids=" ".join,
)
def test_they_are_not_run(past: Past, tmp_path: Path, line: list[str]) -> None:
    done = realm(past.repo.path, *line)
    assert done.code == 0, done.err
    assert (past.repo.path / "a.txt").read_text() == "a\n"
    assert not (tmp_path / "sprung").exists()
    if line[0] == "merge":
        assert "changes git hooks of your project (.hooks): none was run" in done.err


@pytest.mark.parametrize("how", ["link above", "new link above", "link to all", "link to one"])
def test_links_lead_to_none_of_them(repo: Repo, tmp_path: Path, how: str) -> None:
    for place in ("tools", "other"):
        repo.write(f"{place}/git/post-merge", "#!/bin/sh\n", mode=0o755)
    if how == "link above":
        (repo.path / "hooks").symlink_to("tools")
    repo.commit("Hooks")
    files: Files = {"other/git/post-merge": hook(tmp_path / "sprung")}
    own = repo.path / ".git/hooks"
    if "above" in how:
        repo.git("config", "core.hooksPath", "hooks/git")
        files = {**files, "hooks": Path("other")}
    elif how == "link to one":
        own.mkdir(exist_ok=True)
        (own / "post-merge").symlink_to("../../other/git/post-merge")
    else:
        shutil.rmtree(own, ignore_errors=True)
        own.symlink_to("../other/git")
    Past(repo).run(Asked("work", files))
    done = realm(repo.path, "merge", "fix")
    assert (done.code, (repo.path / "other/git/post-merge").read_text()) == (0, hook(tmp_path / "sprung"))
    assert not (tmp_path / "sprung").exists()
    assert "changes git hooks of your project" in done.err


@pytest.mark.parametrize("line", [["merge", "fix"], ["merge", "fix", "--squash"]], ids=" ".join)
def test_the_users_own_are(repo: Repo, tmp_path: Path, line: list[str]) -> None:
    mark = tmp_path / "ran"
    repo.git("config", "core.hooksPath", ".hooks")
    repo.write(".hooks/post-merge", hook(mark), mode=0o755)
    repo.commit("Hooks")
    past = Past(repo)
    past.run(Asked("work", {"a.txt": "a\n"}))
    mark.unlink(missing_ok=True)
    assert realm(repo.path, *line).code == 0
    assert mark.exists()
