"""Records as the first version wrote them, in a bundle that it made, are read as they were meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from realm.model import State, Totals
from realm.store import listing, record, refs
from tests.support.repos import Repo
from tests.support.store import project_of

BUNDLE = Path(__file__).parents[1] / "data/records/version-1.bundle"
BASE = "c0b293433e1a7960d7077a2724cb87dbb56693e6"
TIP = "44e837481474128a6da89224b866de89038cf3e1"


@pytest.fixture
def old(tmp_path: Path) -> Repo:
    made = Repo.init(tmp_path / "old")
    made.git("fetch", "-q", "--update-head-ok", str(BUNDLE), "refs/*:refs/*")
    made.git("reset", "-q", "--hard")
    return made


def test_listed(old: Repo) -> None:
    other, fix = listing.rows(project_of(old))
    first, second = fix.summary, other.summary
    assert (fix.name, fix.problem, fix.code, first.base, first.runs) == ("fix", "", TIP, BASE, 2)
    assert (first.state, first.totals, first.exit_code) == (State.RUNNING, Totals(1, 1, 1, 0), None)
    assert (first.id, first.project) == ("0f8fad5b-d9cb-469f-a165-70867728950e", "/home/ada/pröject")
    assert (other.name, other.problem, second.state, second.exit_code) == ("Other_1.x", "", State.EXITED, 137)


def test_read(old: Repo) -> None:
    project = project_of(old)
    with record.Record(project, "fix") as found:
        session, (first, second) = found.session(), found.runs()
        assert found.said(1) == found.conversation(1) == b'{"type":"user"}\n'
        assert found.file("runs/0001/screen.ans") == b"\x1b[1mhello"
        assert found.file("runs/0001/turns/0001.screen.txt") == b"turn\n"
    assert session.workspace == "/workspace/pr-ject"
    assert session.pushed == {"origin fix": TIP, "https://host/x.git fix": BASE}
    assert (session.include, session.subdir) == ((".env", "config/local.json"), "src/a b")
    assert (session.image, session.created) == ("debian:bookworm-slim", 1700000001.25)
    assert (first.exit_code, first.before, first.after) == (0, BASE, TIP)
    assert (first.prompts, first.notes) == (("Fix the crash", ""), ("left out: a: b",))
    assert (first.dropped, first.incomplete) == (17, ("screen", "turns/0001.screen"))
    assert (second.number, second.ended) == (2, None)
    assert record.read_session(project, "Other_1.x").agent == ("sh", "-c", "echo x")


def test_continued_and_restored(old: Repo) -> None:
    project = project_of(old)
    with record.Record(project, "fix") as found:
        meta, session, run = found.commit(), found.session(), found.run(2)
    parent = record.parent(project, meta)
    ended = run._replace(ended=run.started + 1, exit_code=0, after=TIP)
    new = record.write(
        project, parent=parent, previous=meta, session=session, run=ended, totals=Totals(),
        state=State.EXITED, files={"screen.txt": b"late"},
    )  # fmt: skip
    refs.transact(project, [refs.RefUpdate("refs/realm-meta/fix", meta, new)], "test")
    assert record.read_runs(project, "fix")[1] == ended
    assert record.read_file(project, "fix", "runs/0001/transcript.jsonl") == b'{"type":"user"}\n'
    trash = refs.latest_trash(project, "Other_1.x")
    assert trash is not None
    assert (trash.code, trash.when) == (BASE, 1700000400)
