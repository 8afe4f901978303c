"""The entry script replays a session on a new base, or names what conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SHELLS, HostBox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def box(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostBox:
    base = repo.head()
    repo.git("checkout", "-q", "-b", "session")
    repo.write("a b.txt", "session\n")
    repo.commit("Turn one")
    repo.write("other", "session\n")
    tip = repo.commit("Turn two")
    repo.git("checkout", "-q", "main")
    made = HostBox(tmp_path / "box", repo, request.param)
    made.tip = tip
    made.environment["BASE"] = base
    return made


def _rebase(box: HostBox, head: str) -> int:
    box.layout = box.layout._replace(known=(head,))
    box.lay_out()
    script = str(box.state / "layout" / "rebase")
    return box.entry("run", "sh", script, head, box.environment["BASE"]).returncode


def test_commits_stand_on_the_new_base(box: HostBox) -> None:
    box.repo.write("main.txt", "main\n")
    head = box.repo.commit("On main")
    assert _rebase(box, head) == 0
    report = box.report()
    log = box.taken(report).git("log", "--format=%s", f"{head}..{report.points[-1].head}")
    assert (log.splitlines(), report.complete, report.exit_code) == (["Turn two", "Turn one"], True, 0)


def test_conflict_names_the_file_and_leaves_nothing(box: HostBox) -> None:
    box.repo.write("a b.txt", "main\n")
    head = box.repo.commit("On main")
    assert _rebase(box, head) == 1
    report = box.report()
    assert (report.conflicts, report.exit_code, report.complete) == (("a b.txt",), 1, True)
    assert (report.points[-1].head, report.pack) == (box.tip, None)
