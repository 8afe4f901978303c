"""What an agent writes into ``.gitattributes`` chooses no program that shows its work on the host.

Attributes can only name drivers that the user's own configuration defines; but which
of these is run on which file would be the agent's choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.history import Asked, Past, realm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

ATTRIBUTES = "* diff=trap filter=trap merge=trap\n"


@pytest.fixture
def trapped(repo: Repo, tmp_path: Path) -> tuple[Past, Path]:
    """Return a session whose agent chose drivers, and the file that these leave behind when they run."""
    sprung = tmp_path / "sprung"
    trap = f"sh -c 'touch {sprung}; cat'"
    for key in ("diff.trap.textconv", "diff.trap.command", "filter.trap.smudge", "filter.trap.clean",
                "filter.trap.process", "merge.trap.driver"):  # fmt: skip
        repo.git("config", key, trap)
    past = Past(repo)
    past.run(Asked("write", {".gitattributes": ATTRIBUTES, "a.txt": "a\n", "README.md": "# changed\n"}))
    sprung.unlink(missing_ok=True)
    return past, sprung


@pytest.mark.parametrize(
    "line",
    [
        ["diff", "fix"],
        ["diff", "fix@1"],
        ["diff", "fix", "--turn", "1"],
        ["log", "fix"],
        ["show", "fix"],
        ["show", "fix@1"],
    ],
)
def test_nothing_is_run(trapped: tuple[Past, Path], line: list[str]) -> None:
    past, sprung = trapped
    done = realm(past.repo.path, *line)
    assert done.code == 0
    assert line[0] != "diff" or "+# changed" in done.out
    assert not sprung.exists()


def test_the_users_own_attributes_count(trapped: tuple[Past, Path]) -> None:
    past, sprung = trapped
    past.repo.git("config", "--unset", "diff.trap.command")
    past.repo.write(".gitattributes", "*.txt diff=trap\n")
    assert realm(past.repo.path, "diff", "fix").code == 0
    assert sprung.exists()


def test_a_work_tree_to_try_it_in_runs_no_filter_and_no_hook(trapped: tuple[Past, Path]) -> None:
    past, sprung = trapped
    past.repo.git("config", "filter.trap.required", "true")
    for name in ("post-checkout", "post-index-change"):
        hook = past.repo.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {sprung}\n")
        hook.chmod(0o755)
    done = realm(past.repo.path, "try", "fix", "--host", "cat", "a.txt")
    assert (done.code, done.out) == (0, "a\n"), done.err
    assert not sprung.exists()
