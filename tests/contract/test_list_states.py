"""What ``realm list`` tells of sessions from a real repository: merged, pushed, how a run ended."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm.model import Activity, Question, Run, Session, State, Totals
from realm.paths import realm_home
from realm.session import account
from realm.session.account import Account
from realm.session.lock import RunLock, run_directory
from realm.store import record, refs, repo, stores
from tests.support.cli import CommandLine
from tests.support.store import project_of

if TYPE_CHECKING:
    from tests.support.repos import Repo

ID = "5e555e55-0000-4000-8000-5e555e555e5{}"


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], repo: Repo) -> CommandLine:
    monkeypatch.chdir(repo.path)
    return CommandLine(monkeypatch, capsys)


def work(made: Repo, *contents: str) -> tuple[str, str]:
    """Return the commit that is checked out, and the last of some commits on it that no branch has."""
    base = made.head()
    made.git("checkout", "-q", "--detach")
    for number, content in enumerate(contents):
        made.write(f"file-{content}.txt", content * (number + 1))
        made.commit(f"Write {content}")
    tip = made.head()
    made.git("checkout", "-q", "main")
    return base, tip


def add(made: Repo, name: str, base: str, tip: str, **facts: Any) -> None:
    """Record a session with one run that ended."""
    project = project_of(made)
    assert stores.object_stores(project.common_dir)
    session = Session(ID.format(len(name)), name, str(project.root), "/workspace/x", base, 1.0)
    run = Run(1, 5.0, base, 60.0, 0, tip)._replace(**facts)
    state = State.EXITED if run.ended else State.RUNNING
    meta = record.write(
        project, parent=None, previous=None, session=session, run=run,
        totals=repo.diffstat(project, base, tip) if base != tip else Totals(), state=state, files={},
    )  # fmt: skip
    updates = [refs.RefUpdate(refs.CODE + name, None, tip), refs.RefUpdate(refs.META + name, None, meta)]
    refs.transact(project, updates, "test")


def listed(realm: CommandLine) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(realm("list", "--json").out)}


def test_what_was_asked_and_answered_and_how_it_ended(realm: CommandLine, repo: Repo) -> None:
    base, tip = work(repo, "a")
    add(repo, "a", base, tip, prompts=("write a", "more"), closing="Wrote a.")
    add(repo, "bb", base, base, exit_code=3)
    add(repo, "ccc", base, base, exit_code=130)
    add(repo, "dddd", base, base, ended=None, exit_code=None)
    add(repo, "eeeee", base, base, exit_code=3, stopped=True)
    rows = listed(realm)
    assert [rows[name]["activity"] for name in ("a", "bb", "ccc", "dddd", "eeeee")] == [
        "done", "failed", "stopped", "interrupted", "stopped",
    ]  # fmt: skip
    assert (rows["a"]["prompt"], rows["a"]["last_words"]) == ("write a", "Wrote a.")
    assert rows["a"]["ended"] == "1970-01-01T00:01:00Z"
    assert rows["bb"]["exit_code"] == 3
    assert rows["dddd"]["state"] == "salvage"


def test_what_a_merge_a_rebase_and_a_squash_took_is_merged(realm: CommandLine, repo: Repo) -> None:
    base, merged = work(repo, "m")
    _, rebased = work(repo, "r", "s")
    _, squashed = work(repo, "x", "y")
    _, open_ = work(repo, "o")
    for name, tip in (("a", merged), ("bb", rebased), ("ccc", squashed), ("dddd", open_), ("eeeee", base)):
        add(repo, name, base, tip)
    assert {row["merged_into"] for row in listed(realm).values()} == {None}
    repo.write("other.txt", "other")
    repo.commit("Go on")
    repo.git("merge", "-q", "--no-edit", merged)
    repo.git("cherry-pick", f"{base}..{rebased}")
    repo.git("merge", "-q", "--squash", squashed)
    repo.commit("All of it")
    for _ in range(2):  # asked, then known
        rows = listed(realm)
        assert [rows[name]["merged_into"] for name in ("a", "bb", "ccc", "dddd", "eeeee")] == [
            "main", "main", "main", None, None,
        ]  # fmt: skip
    repo.git("reset", "-q", "--hard", base)
    assert {row["merged_into"] for row in listed(realm).values()} == {None}


def test_another_change_of_the_same_file_is_no_merge(realm: CommandLine, repo: Repo) -> None:
    repo.write("picture", b"\0one")
    repo.write("text", "one\n")
    base = repo.commit()
    for number, (name, content) in enumerate((("picture", b"\0two"), ("text", b"two\n")), 1):
        repo.write(name, content)
        tip = repo.commit()
        repo.git("reset", "-q", "--hard", base)
        add(repo, "a" * number, base, tip)
    repo.write("picture", b"\0three")
    repo.write("text", "three\n")
    repo.commit()
    assert {row["merged_into"] for row in listed(realm).values()} == {None}


def test_the_remotes_main_branch_counts_and_damaged_notes_do_not(realm: CommandLine, repo: Repo) -> None:
    base, tip = work(repo, "a")
    add(repo, "a", base, tip)
    repo.git("update-ref", "refs/remotes/origin/main", tip)
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    assert listed(realm)["a"]["merged_into"] == "origin/main"
    for path in (realm_home() / "merged").iterdir():
        path.write_text("[3")
    assert listed(realm)["a"]["merged_into"] == "origin/main"
    repo.git("checkout", "-q", "--detach")
    assert listed(realm)["a"]["merged_into"] == "origin/main"


def test_what_was_pushed_says_where_until_it_goes_on(
    realm: CommandLine, repo: Repo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    origin = type(repo).init(tmp_path_factory.mktemp("remote") / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    base, tip = work(repo, "a")
    add(repo, "a", base, tip)
    assert realm("push", "a", "--squash", "--as", "topic/a").code == 0
    assert listed(realm)["a"]["pushed_to"] == "origin/topic/a"
    assert "\tpushed to origin/topic/a\t" in realm("list").out
    repo.git("update-ref", "refs/realm/a", work(repo, "b")[1])
    assert listed(realm)["a"]["pushed_to"] is None


def test_a_running_agent_is_as_its_holder_noted_it(realm: CommandLine, repo: Repo) -> None:
    base = repo.head()
    add(repo, "a", base, base, ended=None, exit_code=None)
    session = ID.format(1)
    with RunLock(session, "a", 1):
        assert listed(realm)["a"]["activity"] == "working"
        asking = Account(
            1,
            Activity.ASKS,
            time.time() - 200,
            1,
            "do it",
            "",
            "Which?",
            (Question("Which?", ("One", "Two")),),
        )
        account.write(session, asking)
        row = listed(realm)["a"]
        assert (row["activity"], row["question"], row["prompt"]) == ("asks", "Which?", "do it")
        assert "a\tasks: Which?\t" in realm("list").out.replace(f"{repo.path}\t", "")
        account.write(session, asking._replace(activity=Activity.READY, since=time.time()))
        assert listed(realm)["a"]["activity"] == "working"  # it was started with that prompt
        account.write(session, asking._replace(activity=Activity.READY))  # but not for it, it seems
        assert listed(realm)["a"]["activity"] == "ready"
        account.write(session, asking._replace(run=7))  # of another run: nothing is known of this one
        assert listed(realm)["a"]["activity"] == "working"
        (run_directory(session) / "account.json").write_text('{"run": 1')
        assert listed(realm)["a"]["activity"] == "working"
    assert listed(realm)["a"]["activity"] == "interrupted"
