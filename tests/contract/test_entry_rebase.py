"""The entry script replays a session on a new base, or names what conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SHELLS, HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    base = repo.head()
    repo.git("checkout", "-q", "-b", "session")
    repo.write("a b.txt", "session\n")
    repo.commit("Turn one")
    repo.write("other", "session\n")
    tip = repo.commit("Turn two")
    repo.git("checkout", "-q", "main")
    made = HostSandbox(tmp_path / "sandbox", repo, request.param)
    made.tip = tip
    made.environment["BASE"] = base
    return made


def _rebase(sandbox: HostSandbox, head: str) -> int:
    sandbox.holds(known=(head,))
    sandbox.lay_out()
    script = str(sandbox.state / "layout" / "rebase")
    return sandbox.entry("run", "sh", script, head, sandbox.environment["BASE"]).returncode


def test_commits_stand_on_the_new_base(sandbox: HostSandbox) -> None:
    sandbox.repo.write("main.txt", "main\n")
    head = sandbox.repo.commit("On main")
    assert _rebase(sandbox, head) == 0
    report = sandbox.report()
    log = sandbox.taken(report).git("log", "--format=%s", f"{head}..{report.points[-1].head}")
    assert (log.splitlines(), report.complete, report.exit_code) == (["Turn two", "Turn one"], True, 0)


def test_conflict_names_the_file_and_leaves_nothing(sandbox: HostSandbox) -> None:
    sandbox.repo.write("a b.txt", "main\n")
    head = sandbox.repo.commit("On main")
    assert _rebase(sandbox, head) == 1
    report = sandbox.report()
    assert (report.conflicts, report.exit_code, report.complete) == (("a b.txt",), 1, True)
    assert (report.points[-1].head, report.pack) == (sandbox.tip, None)
