"""What the entry script hands over turn by turn, taken in as it comes, and the end of the run on top."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from realm.model import TurnText
from realm.sandbox import report as reports
from realm.store import left, refs
from tests.support.repos import git
from tests.support.sandbox import ENTRY, SHELLS, HostSandbox
from tests.support.store import ME, STARTED, assert_sound, intake, project_of, take
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Checkpoint
    from realm.sandbox.report import Report
    from realm.store.commits import Twin
    from tests.support.repos import Repo

KEEP = 'cp -R "$REALM_STATE_DIR/out/live" "$REALM_STATE_DIR/kept"'
"""Handed-over results are deleted at the run's end, so this agent copies them."""


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    made = HostSandbox(tmp_path / "sandbox", repo, request.param)
    made.environment["TURN"] = f"{' '.join(made.command)} {ENTRY} turn"
    return made


def turns(*scripts: str, tail: str = ":") -> str:
    """Return a script of turns, one prompt each."""
    parts = [
        f"echo '{{\"n\":{n}}}' | $TURN start; {script}; echo '{{}}' | $TURN stop;"
        for n, script in enumerate(scripts, 1)
    ]
    return "set -e; " + " ".join(parts) + f" {KEEP}; {tail}"


def handed_over(sandbox: HostSandbox) -> list[Report]:
    """Return the handed-over results, read as the host reads them."""
    found = []
    for place in sorted((sandbox.state / "kept").iterdir()):
        destination = sandbox.root / f"turn-{place.name}"
        destination.mkdir()
        done = subprocess.run(
            ["tar", "--format=ustar", "-C", str(place.parent), "-cf", "-", place.name],
            check=True, capture_output=True,
        )  # fmt: skip
        found.append(reports.receive_turn(iter([done.stdout, b""]), destination, 1 << 30))
    return found


class Host:
    """Takes in the handed-over results, in order, as a holder does."""

    def __init__(self, sandbox: HostSandbox) -> None:
        self.sandbox, self.project = sandbox, project_of(sandbox.repo)
        self.onto = self.head = sandbox.tip
        self.notes: list[str] = []
        self.twins: dict[str, Twin] = {}
        self._count = 0

    def take(self, points: tuple[Checkpoint, ...], pack: Path | None, *, last: bool = False) -> list[str]:
        """Take in some states and return the session's subjects, the oldest first."""
        self._count += 1
        texts = {turn: TurnText(f"turn {turn}") for turn in range(10)}
        wanted = intake(self.project, self.sandbox.tip, points, pack, texts=texts)._replace(
            onto=self.onto, head=self.head,
            earlier=None if last else self.sandbox.root / "earlier",
            keep="" if last else f"{self._count:04d}",
        )  # fmt: skip
        done = take(wanted)
        self.onto, self.head = done.tip, points[-1].head
        self.notes += done.notes
        self.twins |= done.twins
        log = self.sandbox.repo.git("log", "--reverse", "--format=%s", f"{self.sandbox.tip}..refs/realm/fix")
        return log.splitlines()

    def take_beside(self, report: Report) -> dict[str, str]:
        """Take in what else is in the repository, and return its refs."""
        wanted = left.Wanted(
            self.project, "fix", 1, report.points[-1].turn, self.sandbox.tip, self.onto, *report.others,
            STARTED, ME, self.twins, earlier=self.sandbox.root / "earlier",
        )  # fmt: skip
        found = left.take(wanted)
        refs.transact(self.project, found.updates, "test")
        self.notes += found.notes
        self.twins |= found.twins
        top = "refs/realm-branches/fix/"
        return {
            name.removeprefix(top): oid
            for name, oid in self.sandbox.repo.refs().items()
            if name.startswith(top)
        }


def is_beside(report: Report) -> bool:
    return bool(report.others.left or report.others.is_all)


CASES = {
    "snapshots": (
        ("echo 1 >a", "echo 2 >b", ":"),
        [["turn 1"], ["turn 1", "turn 2"], ["turn 1", "turn 2"]],
    ),
    "commits": (
        ("echo 1 >a; git add a; git commit -qm one; echo 2 >b", "git add b; git commit -qm two; echo 3 >c"),
        [["one", "turn 1"], ["one", "turn 1", "two", "turn 2"]],
    ),
    "a commit amended": (
        (
            "echo 1 >a; git add a; git commit -qm one",
            "echo 2 >a; git commit -qa --amend -m better",
            "echo 3 >c",
        ),
        [["one"], ["one", "turn 2"], ["one", "turn 2", "turn 3"]],
    ),
    "commits on top of what was amended": (
        (
            "echo 1 >a; git add a; git commit -qm one",
            "git commit -q --amend -m better; echo 2 >b; git add b; git commit -qm two",
            "echo 3 >c; git add c; git commit -qm three",
        ),
        [["one"], ["one", "turn 2"], ["one", "turn 2", "three"]],
    ),
    "reset to the start": (
        (
            "echo 1 >a; git add a; git commit -qm one",
            "git reset -q --hard HEAD~1",
            "echo 1 >a; git add a; git commit -qm again",
        ),
        [["one"], ["one", "turn 2"], ["one", "turn 2", "again"]],
    ),
    "what an earlier turn had, back again": (
        ("echo 1 >a", "echo 2 >a", "echo 1 >a", "rm a"),
        [[f"turn {n}" for n in range(1, last + 1)] for last in range(1, 5)],
    ),
    "a repository thrown away": (
        ("echo 1 >a; git add a; git commit -qm one", "rm -rf .git; echo 2 >b", "echo 3 >c"),
        [["one"], ["one", "turn 2"], ["one", "turn 2", "turn 3"]],
    ),
    "an interrupted turn": (
        ("echo 1 >a; echo '{}' | $TURN start; echo 2 >b", "echo 3 >c"),
        [["turn 1"], ["turn 1", "turn 2"], ["turn 1", "turn 2", "turn 3"]],
    ),
    "an interrupted turn of which the host knows": (
        ("echo 1 >a; echo '{}' | $TURN start; echo 2 >b; $TURN interrupted; $TURN interrupted", "echo 3 >c"),
        [["turn 1"], ["turn 1", "turn 2"], ["turn 1", "turn 2"], ["turn 1", "turn 2", "turn 3"]],
    ),
    "a turn that goes on by itself": (
        (
            "echo 1 >a; echo '{}' | $TURN stop; echo '{\"it\":\"goes on\"}' | $TURN start; echo 2 >b",
            "echo 3 >c",
        ),
        [["turn 1"], ["turn 1", "turn 1"], ["turn 1", "turn 1", "turn 2"]],
    ),
    "a turn that ends twice": (
        ("echo 1 >a; echo '{}' | $TURN stop; echo 2 >b", "echo 3 >c"),
        [["turn 1"], ["turn 1", "turn 1"], ["turn 1", "turn 1", "turn 2"]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_turns_come_home_one_by_one_and_the_end_adds_what_is_new(sandbox: HostSandbox, case: str) -> None:
    scripts, wanted = CASES[case]
    sandbox.lay_out()
    (sandbox.state / "layout/resumes").write_text('"it":"goes on"\n')
    end = sandbox.run(turns(*scripts, tail="echo last >last"))
    host = Host(sandbox)
    live = [report for report in handed_over(sandbox) if not is_beside(report)]
    for report, subjects in zip(live, wanted, strict=True):
        assert host.take(report.points, report.pack) == subjects
        assert sandbox.repo.head("refs/realm/fix^{tree}") == _tree(sandbox, report)
    assert host.take(end.points[-1:], end.pack, last=True) == [*wanted[-1], f"turn {end.points[-1].turn}"]
    assert sandbox.repo.files("refs/realm/fix") == sandbox.tree(end)
    assert not (sandbox.state / "out/live").exists()
    assert_sound(sandbox.repo)


COMMIT = "commit() { echo $1 >$1; git add $1; git commit -qm $1; }; "


def test_what_else_is_in_the_repository_comes_home_when_it_changes(sandbox: HostSandbox) -> None:
    end = sandbox.run(
        COMMIT
        + turns(
            "commit mine; git checkout -q -b alt; commit one; git checkout -q work",
            "echo 2 >two",
            "git worktree add -q wt -b wt; echo 3 >wt/three",
            "echo 4 >four",
            "git branch -q -D alt; echo 5 >>README.md; git stash -q; git branch -q same",
            "git checkout -q --orphan pages; git rm -qrf . ; rm -rf two four; commit page; commit more; "
            "git checkout -q work",
            "commit again",
            "git reset -q --hard HEAD~1",
            ":",
        )
    )
    host = Host(sandbox)
    found = []
    for report in handed_over(sandbox):
        if is_beside(report):
            found.append((report.points[0].turn, host.take_beside(report)))
            lost = [name for name in found[-1][1] if name.startswith("detached/")]
        else:
            host.take(report.points, report.pack)
    assert [(turn, sorted({*kept} - {*lost})) for turn, kept in found] == [
        (1, ["heads/alt"]),
        (3, ["heads/alt", "heads/wt"]),
        (5, ["heads/same", "heads/wt", "stash/1"]),
        (6, ["heads/pages", "heads/same", "heads/wt", "stash/1"]),
        (8, ["heads/pages", "heads/same", "heads/wt", "stash/1"]),
    ]
    repo, last = sandbox.repo, found[-1][1]
    assert len(lost) == 1, "what the session has is not left beside it"
    assert repo.git("log", "-1", "--format=%s", last[lost[0]]) == "one"
    assert last["heads/same"] in repo.git("rev-list", "refs/realm/fix").split()
    assert repo.files(last["heads/wt"]) == ["README.md", "mine", "three"]
    assert repo.git("log", "--format=%s", last["heads/pages"]).splitlines() == ["more", "page"]
    assert repo.files(last["heads/pages"]) == ["more", "page"]
    host.take(end.points[-1:], end.pack, last=True)
    assert host.take_beside(end) == last
    assert [note.partition(":")[0] for note in host.notes] == ["the agent rewrote its history"]
    assert_sound(repo)


def test_what_was_said_is_handed_over_once(sandbox: HostSandbox) -> None:
    talk = sandbox.state / "claude/projects/p"
    talk.mkdir(parents=True)
    (talk / "aaaa.jsonl").write_text("before\n")
    sandbox.lay_out()
    (sandbox.state / "layout/said").write_text("7 claude/projects/p/aaaa.jsonl\n")
    first, second = (f"{talk}/{name}.jsonl" for name in ("aaaa", "bbbb"))
    sandbox.run(
        turns(
            f"echo 1 >>{first}", ":", f"echo 2 >>{first}", f"sleep 1; echo 3 >{second}", f"echo 4 >>{second}"
        )
    )
    found = [
        (report.begins, report.conversation, report.transcript.read_text() if report.transcript else None)
        for report in handed_over(sandbox)
    ]
    one, two = "claude/projects/p/aaaa.jsonl", "claude/projects/p/bbbb.jsonl"
    assert found == [(7, one, "1\n"), (9, one, ""), (9, one, "2\n"), (0, two, "3\n"), (2, two, "4\n")]


def test_last_words_that_come_after_the_hook_belong_to_its_turn(sandbox: HostSandbox) -> None:
    talk = sandbox.state / "claude/projects/p"
    talk.mkdir(parents=True)
    sandbox.lay_out()
    line = r'{"text":"Said \"it\"."}'
    stop = r'{"last_assistant_message":"Said \"it\".","n":[]}'
    sandbox.run(
        "set -e; echo '{}' | $TURN start; "
        f"echo asked >{talk}/aaaa.jsonl; (sleep 0.3; printf '%s\\n' '{line}' >>{talk}/aaaa.jsonl) & "
        f"printf '%s' '{stop}' | $TURN stop; echo other >{talk}/bbbb.jsonl; wait; {KEEP}"
    )
    (found,) = handed_over(sandbox)
    assert found.transcript is not None
    assert found.transcript.read_text() == f"asked\n{line}\n"


def test_whoever_watches_hears_of_each_and_ends_when_another_does(sandbox: HostSandbox) -> None:
    sandbox.lay_out()
    watch = [*sandbox.command, str(ENTRY), "watch"]
    live, bell = sandbox.state / "out/live", sandbox.state / "out/bell"
    environment = sandbox.variables()
    with subprocess.Popen([*watch, "1"], env=environment, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        eventually(bell.exists)
        for number in ("0001", "0002"):
            (live / number).mkdir(parents=True)
            (live / number / "point").write_text("x\n")
        with bell.open("r+b", buffering=0) as fifo:
            fifo.write(b"\n")
            assert [one.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
        (sandbox.state / "out/turns").mkdir()
        sandbox.turn("start", '{"prompt":"x"}')
        assert one.stdout.readline() == "told\n"
        with subprocess.Popen([*watch, "2"], env=environment, stdout=subprocess.PIPE, text=True) as two:
            assert two.stdout is not None
            assert [two.stdout.readline() for _ in range(2)] == ["told\n", "2\n"]
            assert one.wait(10) == 0
            two.kill()


def test_an_agent_without_hooks_is_looked_at_when_it_is_quiet(sandbox: HostSandbox) -> None:
    """Files and commits; the pauses are there to be waited for, so they are shorter here."""
    sandbox.lay_out()
    turns = sandbox.state / "layout" / "turns"
    turns.write_text(turns.read_text().replace("pause=5", "pause=1"))
    watch = f"{' '.join(sandbox.command)} {ENTRY} watch 1 quiet"
    end = sandbox.run(
        f"{watch} >$REALM_STATE_DIR/heard & watcher=$!; sleep 2.5; echo 1 >a; sleep 4;"
        "git add a; git commit -qm one; sleep 4;"
        f"kill $watcher; {KEEP}; echo 2 >a"
    )
    host = Host(sandbox)
    live = handed_over(sandbox)
    assert [report.points[0].turn for report in live] == [0] * len(live)
    subjects = [host.take(report.points, report.pack) for report in live]
    assert subjects == [["turn 0"], ["turn 0", "one"]]
    assert (sandbox.state / "heard").read_text() == "1\n2\n"
    assert host.take(end.points, end.pack, last=True)[-1] == "turn 0"
    assert sandbox.repo.files("refs/realm/fix") == ["README.md", "a"]


def _tree(sandbox: HostSandbox, report: Report) -> str:
    """Return the tree of the state that was handed over, as the sandbox has it."""
    return git(sandbox.state / "git", "rev-parse", f"{report.points[-1].snapshot}^{{tree}}")


def test_history_that_is_rebased_is_neither_lost_nor_twice(sandbox: HostSandbox) -> None:
    end = sandbox.run(
        COMMIT
        + turns("commit one; commit two; commit three", "git rebase -q --onto HEAD~3 HEAD~2", "commit four")
    )
    host, subjects = Host(sandbox), []
    for report in handed_over(sandbox):
        if is_beside(report):
            assert host.take_beside(report) == {}
        else:
            subjects = host.take(report.points, report.pack)
            assert sandbox.repo.head("refs/realm/fix^{tree}") == _tree(sandbox, report)
    assert subjects == ["one", "two", "three", "turn 2", "four"]
    assert host.take(end.points[-1:], end.pack, last=True) == subjects
    assert sandbox.repo.files("refs/realm/fix") == ["README.md", "four", "three", "two"]
    assert [note.partition(":")[0] for note in host.notes] == ["the agent rewrote its history"]
    assert_sound(sandbox.repo)
