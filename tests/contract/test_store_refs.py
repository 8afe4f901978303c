"""realm moves refs, real git reads them; many processes at once lose nothing."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError, RefRaceError, UsageError
from realm.model import Run, State, Totals
from realm.store import listing, record, refs
from tests.support.store import STARTED, add_session, assert_sound, project_of, seen, session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realm.model import Project
    from tests.support.repos import Repo


def test_plain_git_sees_a_session(repo: Repo) -> None:
    before = seen(repo)
    meta = add_session(project_of(repo))
    assert repo.refs("refs/realm") == {"refs/realm/fix": repo.head()}
    assert repo.refs("refs/realm-meta") == {"refs/realm-meta/fix": meta}
    assert repo.show("refs/realm-meta/fix:runs/0001/screen.txt") == "hello"
    assert repo.files("refs/realm-meta/fix") == ["runs/0001/run.json", "runs/0001/screen.txt", "session.json"]
    assert repo.git("log", "-1", "--format=%s", "refs/realm-meta/fix") == "Run 1 of fix"
    assert repo.git("log", "-1", "--format=%(trailers:key=Realm-State,valueonly)", meta).strip() == "exited"
    assert seen(repo) == before
    assert_sound(repo)


def test_collection_loses_nothing(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project)
    before = repo.git("rev-parse", "refs/realm/fix", "refs/realm-meta/fix")
    repo.git("gc", "-q", "--prune=now")
    assert repo.git("rev-parse", "refs/realm/fix", "refs/realm-meta/fix") == before
    assert listing.rows(project)[0].problem == ""
    assert record.read_file(project, "fix", "runs/0001/screen.txt") == b"hello\n"


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_runs_follow_one_another(make_repo: object, object_format: str) -> None:
    made: Repo = make_repo("made", object_format=object_format)  # type: ignore[operator]
    made.commit()
    project = project_of(made)
    first = add_session(project)
    digits = 64 if object_format == "sha256" else 40
    assert len(first) == digits
    run = Run(2, STARTED + 5, made.head())
    wanted = session(base=made.head())
    start = record.write(
        project,
        parent=first,
        previous=None,
        session=wanted,
        run=run,
        totals=Totals(),
        state=State.RUNNING,
        files={"transcript.jsonl": b"{}\n", "screen.txt": b"early"},
    )
    ended = Run(2, STARTED + 5, made.head(), ended=STARTED + 9, exit_code=3, after=made.head(), notes=("ü",))
    end = record.write(
        project,
        parent=first,
        previous=start,
        session=wanted,
        run=ended,
        totals=Totals(1, 2, 3, 4),
        state=State.EXITED,
        files={"screen.txt": b"late"},
    )
    refs.transact(project, [refs.RefUpdate("refs/realm-meta/fix", first, end)], "test")
    assert made.git("rev-list", "refs/realm-meta/fix").split() == [end, first]
    assert record.read_runs(project, "fix")[1] == ended
    assert record.read_session(project, "fix") == wanted
    assert record.read_file(project, "fix", "runs/0002/transcript.jsonl") == b"{}\n"
    assert record.read_file(project, "fix", "runs/0002/screen.txt") == b"late"
    assert record.read_file(project, "fix", "runs/0001/screen.txt") == b"hello\n"
    assert record.read_file(project, "fix", "runs/0009/screen.txt") is None
    (row,) = listing.rows(project)
    told = row.summary
    assert (told.runs, told.exit_code, told.totals, told.state) == (2, 3, Totals(1, 2, 3, 4), State.EXITED)
    assert_sound(made)


def test_session_amended_after_a_push(repo: Repo) -> None:
    project = project_of(repo)
    meta = add_session(project)
    pushed = session(base=repo.head(), pushed={"origin fix": repo.head()})
    with record.Record(project, "fix") as found:
        assert found.commit() == meta
        later = found.amend(pushed)
    refs.transact(project, [refs.RefUpdate("refs/realm-meta/fix", meta, later)], "test")
    assert record.read_session(project, "fix") == pushed
    assert repo.git("log", "-1", "--format=%P%B", later) == repo.git("log", "-1", "--format=%P%B", meta)
    assert record.read_runs(project, "fix")[0].number == 1


def test_many_runs_are_read_at_once(repo: Repo) -> None:
    """Going on after hundreds of runs takes no longer than after a few."""
    project = project_of(repo)
    meta = add_session(project)
    entries = repo.git("ls-tree", f"{meta}:runs/0001")
    blob = entries.split()[2]
    runs = []
    for number in range(1, 301):
        text = json.dumps({"version": 1, "number": number, "started": 1.0, "before": repo.head()})
        made = subprocess.run(
            ["git", "hash-object", "-w", "--stdin"],
            cwd=repo.path,
            input=text,
            text=True,
            capture_output=True,
            check=True,
        ).stdout.strip()
        tree = _tree(repo, f"100644 blob {made}\trun.json\n")
        runs.append(f"040000 tree {tree}\t{number:04d}\n")
    root = _tree(repo, f"040000 tree {_tree(repo, ''.join(runs))}\truns\n100644 blob {blob}\tsession.json\n")
    message = repo.git("log", "-1", "--format=%B", meta)
    repo.git("update-ref", "refs/realm-meta/fix", repo.git("commit-tree", root, "-m", message))
    started = time.monotonic()
    with record.Record(project, "fix") as found:
        assert len(found.runs()) == 300
        assert found.conversation(300) == b""
    assert time.monotonic() - started < 1


def _tree(repo: Repo, lines: str) -> str:
    command = ["git", "mktree"]
    done = subprocess.run(command, cwd=repo.path, input=lines, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def test_both_refs_or_none(repo: Repo) -> None:
    project = project_of(repo)
    meta = add_session(project)
    head = repo.head()
    repo.write("x")
    later = repo.commit()
    before = repo.refs()
    updates = [
        refs.RefUpdate("refs/realm/fix", head, later),
        refs.RefUpdate("refs/realm-meta/fix", head, later),
    ]
    with pytest.raises(RefRaceError) as caught:
        refs.transact(project, updates, "test")
    assert repo.refs() == before
    assert f"refs/realm-meta/fix points to {meta[:12]} now (run 1, started 2023-11-14" in caught.value.message


def test_races_are_told(repo: Repo) -> None:
    project = project_of(repo)
    head = repo.head()
    repo.write("x")
    later = repo.commit()
    ref = "refs/realm/a"
    refs.transact(project, [refs.RefUpdate(ref, None, head)], "test")
    for old, new in ((None, later), (later, head), (later, None)):
        with pytest.raises(RefRaceError, match=f"'a' was changed.*{head[:12]}"):
            refs.transact(project, [refs.RefUpdate(ref, old, new)], "test")
    refs.transact(project, [refs.RefUpdate(ref, head, None)], "test")
    with pytest.raises(RefRaceError, match="is gone"):
        refs.transact(project, [refs.RefUpdate(ref, head, later)], "test")
    with pytest.raises(RefRaceError, match="is gone"):
        refs.transact(project, [refs.RefUpdate(ref, head, None)], "test")


def test_what_was_not_recorded_is_held_no_longer(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project)
    changed = record.read_session(project, "fix")._replace(pushed={"origin main": repo.head()})
    with record.Record(project, "fix") as found:
        amended = found.amend(changed)
    packs = repo.path / ".git/objects/pack"
    assert list(packs.glob("*.keep"))
    with pytest.raises(RefRaceError):
        refs.transact(project, [refs.RefUpdate("refs/realm-meta/fix", None, amended)], "test")
    assert not list(packs.glob("*.keep"))


def test_missing_object_is_refused(repo: Repo) -> None:
    with pytest.raises(RealmError):
        refs.transact(project_of(repo), [refs.RefUpdate("refs/realm/a", None, "9" * 40)], "test")
    assert not repo.refs("refs/realm")


def test_forgotten_lock_is_named(make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refs, "PATIENCE", 0.1)
    repo = make_repo("ada's project")
    repo.write("README.md", "")
    repo.commit("Start")
    path = repo.path / ".git/refs/realm/fix.lock"
    path.parent.mkdir()
    path.touch()
    os.utime(path, (time.time() - 100, time.time() - 100))
    with pytest.raises(RealmError, match=r"refs/realm/fix\.lock, 1\d\d seconds old") as caught:
        refs.transact(project_of(repo), [refs.RefUpdate("refs/realm/fix", None, repo.head())], "test")
    assert caught.value.hint.endswith(f"rm {shlex.quote(str(path))}")


def test_short_lock_is_waited_for(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repo.path / ".git/refs/realm/fix.lock"
    path.parent.mkdir()
    path.touch()
    with subprocess.Popen(["sh", "-c", f"sleep 0.7; rm '{path}'"]):
        refs.transact(project_of(repo), [refs.RefUpdate("refs/realm/fix", None, repo.head())], "test")
    path.touch()
    monkeypatch.setattr(refs, "PATIENCE", 0.1)
    move = [refs.RefUpdate("refs/realm/fix", repo.head(), None)]
    with pytest.raises(RealmError, match="0 seconds old"):
        refs.transact(project_of(repo), move, "test")
    with subprocess.Popen(["sh", "-c", f"sleep 0.7; rm '{path}'"]):
        refs.transact(project_of(repo), move, "test", patient=True)
    assert repo.refs("refs/realm") == {}


WRITER = """
import sys
from pathlib import Path
from realm.errors import RefRaceError
from realm.store import listing, refs, repo
from realm.store.commits import commit_tree, tree_of
from realm.model import Identity
project = repo.discover(Path(sys.argv[1]))
wins = 0
while wins < 5:
    now = refs.tips(project, "fix")
    tree = tree_of(project, now.code)
    message = f"{sys.argv[2]} {wins}"
    new = commit_tree(project, tree=tree, parent=now.code, message=message, identity=Identity("A", "a@b"))
    code = refs.RefUpdate("refs/realm/fix", now.code, new)
    meta = refs.RefUpdate("refs/realm-meta/fix", now.meta, new)
    try:
        refs.transact(project, [code, meta], "race")
    except RefRaceError:
        continue
    wins += 1
"""


def test_many_writers_lose_nothing(repo: Repo) -> None:
    for ref in ("refs/realm/fix", "refs/realm-meta/fix"):
        repo.git("update-ref", ref, repo.head())
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(repo.path), str(number)]) for number in range(8)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * 8
    assert repo.head("refs/realm/fix") == repo.head("refs/realm-meta/fix")
    subjects = repo.git("log", "--format=%s", f"{repo.head()}..refs/realm/fix").splitlines()
    assert sorted(subjects) == sorted(f"{writer} {win}" for writer in range(8) for win in range(5))
    assert not list((repo.path / ".git/refs").rglob("*.lock"))


def test_new_names(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project, "Fix-Login")
    refs.check_new(project, "other")
    refs.check_new(project, "fix-login2")
    with pytest.raises(RealmError, match="exists already") as caught:
        refs.check_new(project, "Fix-Login")
    assert "realm resume Fix-Login" in caught.value.hint
    with pytest.raises(UsageError, match="only by case"):
        refs.check_new(project, "fix-login")
    with pytest.raises(UsageError, match="holds a '/'") as caught:
        refs.check_new(project, "ada/fix")
    assert caught.value.hint == "ada-fix is one: realm push ada-fix --as ada/fix"
    with pytest.raises(UsageError, match="holds a '/'") as caught:
        refs.check_new(project, "ada/")
    assert caught.value.hint.startswith("letters, digits")


def test_remove_and_restore(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project)
    before = repo.refs("refs/realm*")
    for _ in range(3):
        refs.transact(
            project, refs.trash_updates("fix", refs.tips(project, "fix"), refs.list_trash(project)), "remove"
        )
        assert listing.rows(project) == []
        assert refs.tips(project, "fix") == refs.Tips(None, None)
        repo.git("gc", "-q", "--prune=now")
        last = refs.latest_trash(project, "fix")
        assert last is not None
        refs.transact(project, refs.restore_updates(last), "restore")
        assert repo.refs("refs/realm*") == before
    assert refs.list_trash(project) == []


def test_removing_the_same_name_twice_keeps_both(repo: Repo) -> None:
    project = project_of(repo)
    for _ in range(2):
        add_session(project)
        refs.transact(
            project,
            refs.trash_updates("fix", refs.tips(project, "fix"), refs.list_trash(project), 1000.0),
            "remove",
        )
    assert [trash.when for trash in refs.list_trash(project, "fix")] == [1001, 1000]
    assert refs.list_trash(project, "other") == []


DAY = 86400


def discard(project: Project, name: str, when: float | None = None) -> None:
    add_session(project, name)
    trash = refs.list_trash(project)
    refs.transact(project, refs.trash_updates(name, refs.tips(project, name), trash, when), "remove")


def swept(project: Project, monkeypatch: pytest.MonkeyPatch, at: float) -> list[str]:
    """Return what expires when the clock says ``at``."""
    monkeypatch.setattr(time, "time", lambda: at)
    return [trash.name for trash in refs.expire_trash(project, refs.list_trash(project))]


def test_old_trash_expires(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    project, now = project_of(repo), time.time()
    for name, age in (("old", 32), ("young", 28)):
        discard(project, name, now - age * DAY)
    assert swept(project, monkeypatch, now - 1.5 * DAY) == []
    assert swept(project, monkeypatch, now) == ["old"]
    assert [trash.name for trash in refs.list_trash(project)] == ["young"]
    assert swept(project, monkeypatch, now) == []


@pytest.mark.parametrize("wrong", [50 * 365 * DAY, -50 * 365 * DAY])
def test_a_clock_that_is_wrong_for_a_moment_expires_nothing(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    project, now = project_of(repo), time.time()
    discard(project, "before", now)
    for at in (now, now + 2 * DAY, now + 2 * DAY + wrong, now + 2 * DAY + wrong + 60):
        assert swept(project, monkeypatch, at) == []
    discard(project, "meanwhile")
    for at in (now + 3 * DAY, now + 5 * DAY, now + 7 * DAY):
        assert swept(project, monkeypatch, at) == []
    assert {trash.name for trash in refs.list_trash(project)} == {"before", "meanwhile"}


def test_rows_by_name(repo: Repo) -> None:
    project = project_of(repo)
    for name in ("a", "b", "ab"):
        add_session(project, name, state=State.RUNNING)
    assert [row.name for row in listing.rows(project)] == ["a", "ab", "b"]
    assert [(row.name, row.summary.state) for row in listing.rows(project, ["a", "zz"])] == [
        ("a", State.RUNNING)
    ]
    assert listing.rows(project, []) == []


def test_session_without_record_and_record_without_session(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project, "a")
    add_session(project, "b")
    repo.git("update-ref", "-d", "refs/realm/a")
    repo.git("update-ref", "-d", "refs/realm-meta/b")
    a, b = listing.rows(project)
    assert (a.code, a.problem) == (None, "the record has no code beside it")
    assert (b.meta, b.problem) == (None, "the session has no record")


def test_a_thousand_sessions_are_listed_fast(repo: Repo) -> None:
    project = project_of(repo)
    meta = add_session(project)
    lines = []
    for number in range(1000):
        lines += [
            f"create refs/realm/s{number} {repo.head()}\n",
            f"create refs/realm-meta/s{number} {meta}\n",
        ]
    command = ["git", "update-ref", "--stdin"]
    subprocess.run(command, cwd=repo.path, input="".join(lines).encode(), check=True)
    repo.git("pack-refs", "--all")
    started = time.monotonic()
    rows = listing.rows(project)
    took = time.monotonic() - started
    assert len(rows) == 1001
    assert not any(row.problem for row in rows)
    assert took < 2


def test_read_only_repository(repo: Repo, tmp_path: Path) -> None:
    """A read-only mount, since permissions do not stop root."""
    project = project_of(repo)
    there = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if os.geteuid() != 0 or there.returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom realm.errors import RealmError\n"
        "from realm.store import refs, repo\n"
        "project = repo.discover(Path(sys.argv[1]))\n"
        "try:\n    refs.transact(project, [refs.RefUpdate('refs/realm/x', None, sys.argv[2])], 'x')\n"
        "except RealmError as error:\n    print(error.message)\n"
    )
    order = f"mount --bind '{repo.path}' '{repo.path}' && mount -o remount,bind,ro '{repo.path}' && "
    order += f"'{sys.executable}' '{script}' '{repo.path}' {repo.head()}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", order], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("cannot mount here")
    assert b"the repository cannot be written" in done.stdout
    assert listing.rows(project) == []
