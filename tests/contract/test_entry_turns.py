"""Hooks mark turns: each has its own state, whatever happens between them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import ENTRY, SHELLS, HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    made = HostSandbox(tmp_path / "sandbox", repo, request.param)
    made.environment["TURN"] = f"{' '.join(made.command)} {ENTRY} turn"
    return made


def test_each_turn_has_its_own_state(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "echo '{\"n\":1}' | $TURN start; echo 1 > a; echo '{\"m\":1}' | $TURN stop;"
        "echo '{\"n\":2}' | $TURN start; echo 2 > b; echo '{}' | $TURN stop; echo 3 > c"
    )
    assert [point.turn for point in report.points] == [1, 2, 2]
    assert [sandbox.tree(report, i) for i in range(3)] == [
        ["README.md", "a"], ["README.md", "a", "b"], ["README.md", "a", "b", "c"],
    ]  # fmt: skip
    assert report.prompts == {1: b'{"n":1}\n', 2: b'{"n":2}\n'}
    assert report.stops == {1: b'{"m":1}\n', 2: b"{}\n"}


def test_interrupted_turn_is_saved_before_the_next(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "$TURN start < /dev/null; echo 1 > a; $TURN start < /dev/null; echo 2 > b; $TURN stop < /dev/null"
    )
    assert [sandbox.tree(report, i) for i in range(2)] == [["README.md", "a"], ["README.md", "a", "b"]]


def test_turns_work_is_kept_when_the_repository_is_deleted_later(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "$TURN start < /dev/null; echo 1 > a; git add a; git commit -qm Mine; $TURN stop < /dev/null;"
        "$TURN start < /dev/null; rm -rf .git a; echo 2 > b"
    )
    first = report.points[0]
    assert sandbox.taken(report).git("log", "-1", "--format=%s", first.head) == "Mine"
    assert [sandbox.tree(report, i) for i in (0, -1)] == [["README.md", "a"], ["README.md", "b"]]


def test_turn_without_change_repeats_the_state(sandbox: HostSandbox) -> None:
    report = sandbox.run("$TURN start < /dev/null; $TURN stop < /dev/null")
    assert {(point.head, point.snapshot) for point in report.points} == {(sandbox.tip, sandbox.tip)}
    assert report.pack is None


def test_stop_without_a_prompt_is_ignored(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo 1 > a; echo '{}' | $TURN stop")
    assert (len(report.points), dict(report.stops)) == (1, {})


def test_hook_says_nothing(sandbox: HostSandbox) -> None:
    done = sandbox.entry("run", "sh", "-c", "echo '{}' | $TURN start; rm -rf .git; echo '{}' | $TURN stop")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_embedded_repository_is_left_alone_while_the_agent_works(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "$TURN start < /dev/null; git init -q sub; (cd sub && echo 1 > f && git add f && git commit -qm inner);"  # noqa: E501
        "$TURN stop < /dev/null; test -d sub/.git || exit 9"
    )
    assert [sandbox.tree(report, i) for i in (0, -1)] == [["README.md"], ["README.md", "sub/f"]]


def test_points_that_the_agent_made_up_do_not_spoil_the_end(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "$TURN start < /dev/null; echo 1 > a; $TURN stop < /dev/null;"
        f"f={'f' * 40}; echo $f $f 1 > {sandbox.state}/out/turns/0001.point; echo 2 > b"
    )
    taken = sandbox.taken(report)
    assert taken.files(report.points[-1].snapshot) == ["README.md", "a", "b"]


def told(sandbox: HostSandbox, script: str) -> bytes:
    """Return the hooks' newest message after ``script``; they never wait."""
    sandbox.run(script)
    return (sandbox.state / "out" / "now").read_bytes()


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo first | $TURN start", b"first\n"),
        ("echo first | $TURN start; echo Which? | $TURN asks", b"Which?\n"),
        ("echo first | $TURN start; echo Which? | $TURN asks; echo that | $TURN answered", b"that\n"),
        ("echo first | $TURN start; mkfifo $REALM_STATE_DIR/out/now; echo last | $TURN stop", b"last\n"),
        ("mkfifo $REALM_STATE_DIR/out/asking; echo Which? | $TURN asks", b"Which?\n"),
    ],
)
def test_what_a_hook_said_last_lies_ready(sandbox: HostSandbox, script: str, word: bytes) -> None:
    assert told(sandbox, script) == word


def test_who_asks_is_marked_until_it_is_answered(sandbox: HostSandbox) -> None:
    sandbox.run("echo Which? | $TURN asks; ls -d $REALM_STATE_DIR/out/asking > before; echo | $TURN answered")
    assert not (sandbox.state / "out" / "asking").exists()


MOVED = {
    "beside": "mv project new",
    "beside, hidden": "mv project .new",
    "beside, packed": "mv project new; git -C new pack-refs --all; rm -f new/.git/refs/heads/*",
    "an empty directory in its place": "mv project new; mkdir project",
    "a link in its place": "mv project new; ln -s new project",
    "a link to elsewhere in its place": "mv project new; ln -s / project",
    "a file in its place": "mv project new; echo x > project",
    "what pretends to be it beside": "mv project new; mkdir -p a/.git b; ln -s ../new/.git b/.git;"
    "ln -s new c; git init -q d; (cd d; git commit -q --allow-empty -m d);"
    "mkfifo d/.git/packed-refs; rm -r d/.git/refs/heads",
}


@pytest.mark.parametrize("how", MOVED)
def test_a_projects_directory_that_the_agent_moved_comes_home(sandbox: HostSandbox, how: str) -> None:
    """Its turns are saved meanwhile."""
    report = sandbox.run(
        f"$TURN start < /dev/null; echo 1 > a; cd ..; {MOVED[how]}; cd *new || cd .new; echo 2 > b;"
        "git add b; git commit -qm Mine; $TURN stop < /dev/null; $TURN start < /dev/null; echo 3 > c"
    )
    assert report.complete
    assert report.errors == ()
    assert [point.turn for point in report.points] == [1, 2]
    assert [sandbox.tree(report, i) for i in range(2)] == [
        ["README.md", "a", "b"], ["README.md", "a", "b", "c"],
    ]  # fmt: skip
    assert sandbox.taken(report).git("log", "-1", "--format=%s", report.points[-1].head) == "Mine"
    assert (sandbox.workspace / "c").read_text() == "3\n"
    assert not sandbox.workspace.is_symlink()


def test_a_projects_directory_that_is_removed_leaves_the_last_turn(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "$TURN start < /dev/null; echo 1 > a; git add a; git commit -qm Mine; echo 2 > b;"
        "$TURN stop < /dev/null; $TURN start < /dev/null; rm -rf ../project; mkdir ../new;"
        "$TURN stop < /dev/null"
    )
    assert report.complete
    first, last = report.points
    assert (first.head, first.snapshot) == (last.head, last.snapshot)
    assert sandbox.tree(report) == ["README.md", "a", "b"]
    assert report.errors == ("the agent removed its project's directory: what its last turn left stands",)


REPLACED = {
    "there are two of it": "cp -R project one; mv project two",
    "it has another history": "rm -rf project; git init -q new; cd new; git commit -q --allow-empty -m New",
    "its name has a new line": "mv project \"$(printf 'pro\\nject')\"",
    "a file is in its place": "rm -rf project; echo > project",
    "a link to what is no repository is": "rm -rf project; mkdir new; echo > new/file; ln -s new project",
}


@pytest.mark.parametrize("how", REPLACED)
def test_nothing_is_guessed_where_it_is_not_clear_what_the_project_became(
    sandbox: HostSandbox, how: str
) -> None:
    """The host keeps the container, with all that is in it."""
    report = sandbox.run(f"echo 1 > work; cd ..; {REPLACED[how]}")
    assert not report.complete
    assert "the agent removed its project's directory" in report.errors
    assert any(path.is_file() for path in sandbox.workspace.parent.rglob("*"))
