"""The entry script prepares a workspace, runs the agent, and reports: run here as it runs in a sandbox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from realm.model import Identity
from tests.support.sandbox import ENTRY, SHELLS, HostSandbox
from tests.support.terminal import set_size

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    repo.write("src/main.py", "print('hello')\n")
    repo.write(".gitignore", "*.log\n")
    repo.commit("Add a program")
    return HostSandbox(tmp_path / "sandbox", repo, request.param)


def test_agent_finds_the_commit_on_a_branch_with_history(sandbox: HostSandbox) -> None:
    script = "git symbolic-ref --short HEAD && git log --format=%s && git status --porcelain && pwd"
    done = sandbox.entry("run", "sh", "-c", script)
    assert done.stdout.decode().splitlines() == ["work", "Add a program", "Start", str(sandbox.workspace)]


def test_agent_that_changes_nothing_reports_the_tip_and_no_pack(sandbox: HostSandbox) -> None:
    report = sandbox.run("true")
    assert [(point.head, point.snapshot) for point in report.points] == [(sandbox.tip, sandbox.tip)]
    assert (report.complete, report.exit_code, report.pack, report.errors) == (True, 0, None, ())


def test_uncommitted_work_is_in_the_snapshot_without_ignored_files(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo new > new.txt; rm README.md; echo x > debug.log")
    assert sandbox.tree(report) == [".gitignore", "new.txt", "src/main.py"]
    assert report.points[-1].head == sandbox.tip


def test_agents_commits_are_reported_with_what_it_left_over(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo 1 > a && git add a && git commit -qm Mine && echo 2 > b")
    taken = sandbox.taken(report)
    assert (
        taken.git("log", "--format=%s %an <%ae>", report.points[-1].head, "-1")
        == "Mine Ada Tester <ada@example.com>"
    )
    assert taken.head(f"{report.points[-1].snapshot}^") == report.points[-1].head
    assert "b" in sandbox.tree(report)


def test_change_in_the_second_of_a_commit_is_not_missed(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo 1 > a && git add a && git commit -qm Mine && echo 2 > a")
    assert sandbox.taken(report).show(f"{report.points[-1].snapshot}:a") == "2"


def test_agents_own_index_and_branch_stay_as_they_are(sandbox: HostSandbox) -> None:
    sandbox.run("echo 1 > staged && git add staged && echo 2 > unstaged")
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=sandbox.workspace, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["A  staged", "?? unstaged"]


@pytest.mark.parametrize("before", [(0, 0), (30, 100)])
def test_a_terminal_whose_size_nobody_has_set_yet_has_that_of_the_users(
    sandbox: HostSandbox, before: tuple[int, int]
) -> None:
    master, slave = os.openpty()
    set_size(slave, *before)
    sandbox.lay_out()
    variables = {**sandbox.variables(), "REALM_TERMINAL": "41 123"}
    command = [*sandbox.command, str(ENTRY), "run", "sh", "-c", "stty size; echo ${REALM_TERMINAL-unset}"]
    done = subprocess.run(command, env=variables, stdin=slave, capture_output=True, check=True, timeout=60)
    os.close(master)
    os.close(slave)
    assert done.stdout.decode().splitlines() == ["30 100" if before[0] else "41 123", "unset"]


def test_exit_code_is_the_agents(sandbox: HostSandbox) -> None:
    assert sandbox.run("exit 7", code=7).exit_code == 7


def test_agent_killed_by_a_signal_has_the_shells_code(sandbox: HostSandbox) -> None:
    assert sandbox.run("kill -KILL $$", code=137).exit_code == 137


@pytest.mark.parametrize("program", ["no-such-program", "--agent", "-x"])
def test_missing_program_is_said(sandbox: HostSandbox, program: str) -> None:
    done = sandbox.entry("run", program)
    assert (done.returncode, done.stderr) == (127, f"realm: {program}: not found in the sandbox\n".encode())
    assert sandbox.report().exit_code == 127


def test_standard_input_reaches_the_agent(sandbox: HostSandbox) -> None:
    assert sandbox.entry("run", "cat", stdin=b"\x00task\n").stdout == b"\x00task\n"


def test_secrets_reach_the_agent_and_leave_the_file(sandbox: HostSandbox) -> None:
    (sandbox.state / "env").write_text("export KEY='a b'\\''c'\n")
    done = sandbox.entry("run", "sh", "-c", 'printf %s "$KEY"')
    assert done.stdout == b"a b'c"
    assert (sandbox.state / "env").read_bytes() == b""


def test_agent_starts_in_the_subdirectory(sandbox: HostSandbox) -> None:
    sandbox.environment["REALM_SUBDIR"] = "src"
    assert sandbox.entry("run", "pwd").stdout.decode().strip() == str(sandbox.workspace / "src")


def test_subdirectory_that_is_not_there_gives_the_top(sandbox: HostSandbox) -> None:
    sandbox.environment["REALM_SUBDIR"] = "gone"
    assert sandbox.entry("run", "pwd").stdout.decode().strip() == str(sandbox.workspace)


def test_files_put_in_before_stay_and_are_ignored(sandbox: HostSandbox) -> None:
    (sandbox.workspace / ".env.test").write_text("SECRET=1\n")
    sandbox.layout = sandbox.layout._replace(exclude=b"/.env.test\n")
    report = sandbox.run('cat .env.test && git status --porcelain && test -z "$(git status --porcelain)"')
    assert (report.points[-1].snapshot, (sandbox.workspace / ".env.test").read_text()) == (
        sandbox.tip,
        "SECRET=1\n",
    )


def test_file_put_in_where_the_tip_has_one_is_kept(sandbox: HostSandbox) -> None:
    (sandbox.workspace / "README.md").write_text("mine\n")
    report = sandbox.run("true")
    assert sandbox.taken(report).show(f"{report.points[-1].snapshot}:README.md") == "mine"


def test_unknown_tip_is_a_failure_of_realms(sandbox: HostSandbox) -> None:
    sandbox.environment["REALM_TIP"] = "f" * 40
    done = sandbox.entry("run", "touch", str(sandbox.root / "ran"))
    report = sandbox.report()
    assert (done.returncode, report.exit_code, report.complete, (sandbox.root / "ran").exists()) == (
        125,
        125,
        True,
        False,
    )
    assert report.errors == ("the workspace could not be prepared",)


def test_identity_with_quotes_is_kept(sandbox: HostSandbox) -> None:
    sandbox.layout = sandbox.layout._replace(identity=Identity('Ada "the\\first" L', "ada@example.com"))
    report = sandbox.run("git commit -q --allow-empty -m x")
    assert (
        sandbox.taken(report).git("log", "-1", "--format=%an", report.points[-1].head) == 'Ada "the\\first" L'
    )


def test_conversation_is_the_newest_file_of_those_that_the_host_names(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "d=../../realm/claude/projects/-workspace-project; mkdir -p $d && cd $d; echo old > last.jsonl; "
        "touch -t 202001010000 last.jsonl; echo new > next.jsonl; echo helper > agent-1.jsonl; "
        "ln -s /etc/passwd link.jsonl; mkdir adir.jsonl"
    )
    assert report.transcript is not None
    assert report.transcript.read_text() == "new\n"
    assert report.conversation == "claude/projects/-workspace-project/next.jsonl"


def test_agent_without_conversations_has_none(sandbox: HostSandbox) -> None:
    sandbox.lay_out()
    (sandbox.state / "layout" / "conversations").unlink()
    report = sandbox.run(
        "mkdir -p ../../realm/claude/projects/x; echo 1 > ../../realm/claude/projects/x/next.jsonl"
    )
    assert (report.conversation, report.transcript, report.complete) == (None, None, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_work_is_saved_after_a_signal_to_the_group(sandbox: HostSandbox, number: signal.Signals) -> None:
    script = "echo saved > work.txt; sleep 60"
    sandbox.lay_out()
    with subprocess.Popen(
        [*sandbox.command, str(ENTRY), "run", "sh", "-c", script],
        env=sandbox.variables(), start_new_session=True,
        stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        _wait_for(sandbox.workspace / "work.txt")
        time.sleep(0.5)  # until the shell has started its program
        subprocess.run(["kill", f"-{number.value}", "--", f"-{process.pid}"], check=True)
        code = process.wait(30)
    report = sandbox.report()
    assert (code, report.complete) == (128 + number.value, True)
    assert "work.txt" in sandbox.tree(report)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_history_as_a_pack_needs_no_object_store(sandbox: HostSandbox) -> None:
    objects = sandbox.state / "objects"
    (objects / "pack").mkdir(parents=True)
    subprocess.run(
        ["git", "pack-objects", "-q", "--revs", str(objects / "pack" / "pack")],
        cwd=sandbox.repo.path, input=f"{sandbox.tip}\n".encode(), check=True, capture_output=True,
    )  # fmt: skip
    sandbox.holds(objects=(str(objects),))
    report = sandbox.run("git log --format=%s && echo x > new")
    assert "new" in sandbox.tree(report)


def test_refs_that_the_sandbox_may_see_are_there(sandbox: HostSandbox) -> None:
    tag = sandbox.repo.git("tag", "-a", "-m", "One", "v1") or sandbox.repo.git("rev-parse", "v1")
    main = "refs/remotes/origin/main"
    sandbox.holds(
        refs={"refs/heads/main": sandbox.tip, main: sandbox.tip, "refs/tags/v1": tag},
        peeled={"refs/tags/v1": sandbox.tip},
        symbolic={"refs/remotes/origin/HEAD": main},
    )
    asked = "git describe --tags && git log --oneline main.. && git diff origin/main && git rev-parse origin"
    done = sandbox.entry("run", "sh", "-c", asked)
    assert done.stdout.decode().splitlines() == ["v1", sandbox.tip], done.stderr
