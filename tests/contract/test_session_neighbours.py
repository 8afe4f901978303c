"""What ``--with`` takes, what it says of the rest, and what becomes of the work there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.agents import Login
from realm.cli.ui import TerminalUI
from realm.config import Config
from realm.errors import RealmError
from realm.model import Neighbour, Run, Session, State, Totals
from realm.sandbox.flags import DockerArgs
from realm.session import approvals, homes, neighbours, summary
from realm.session import plan as planning
from realm.session import run as running
from realm.session.find import list_sessions
from realm.session.run import Outcome, Plan
from realm.store import record
from tests.support.history import realm
from tests.support.repos import Repo
from tests.support.store import ME, SESSION_ID, project_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.model import Project

OTHER_ID = "c0ffee00-5678-4abc-8def-0123456789ab"


@pytest.fixture
def lib(repo: Repo) -> Repo:
    made = Repo.init(repo.path.parent / "lib")
    made.write("lib.txt", "lib\n")
    made.commit("Library")
    return made


@pytest.fixture
def data(repo: Repo) -> Path:
    """Give a plain directory with a file, a program, a link and a repository below it."""
    place = repo.path.parent / "my data"
    inner = Repo.init(place / "below")
    inner.write("text", "text\n")
    (place / "run").write_text("#!/bin/sh\n")
    (place / "run").chmod(0o700)
    (place / "link").symlink_to("below/text")
    return place


def session(repo: Repo, session_id: str) -> Session:
    workspace = f"/workspace/{project_of(repo).name}"
    return Session(session_id, "fix", str(repo.path), workspace, repo.head(), 1.0)


def named(repo: Repo, *words: str, session_id: str = SESSION_ID) -> Session:
    project = project_of(repo)
    made = neighbours.named(project, session(repo, session_id), words, repo.path)
    neighbours.plain(project, made)
    approvals.approve_record(project, made)
    return made


def begun(repo: Repo, *words: str, session_id: str = SESSION_ID) -> Session:
    """Return a session that has begun: it has its refs."""
    made = named(repo, *words, session_id=session_id)
    project = project_of(repo)
    homes.reserve(made, planned(project, made).neighbours)
    return made


def work(lib: Repo) -> str:
    """Return a commit on top of a repository's HEAD, which stays."""
    return lib.git("commit-tree", "-p", "HEAD", "-m", "Work", "HEAD^{tree}")


def beginning(project: Project, made: Session) -> tuple[tuple[str, str], ...]:
    return neighbours.beginning(made, homes.repositories(project, made))


def planned(project: Project, made: Session) -> Plan:
    """Return the plan of a run that begins now."""
    plain = neighbours.plain(project, made, made.neighbours)
    plan = Plan(
        project, made, Run(1, 1.0, made.base), Config(project.root), Login(), DockerArgs(), ME, plain=plain
    )
    return planning.with_neighbours(plan, begins=True)


def test_a_repository_is_given_as_a_submodule_is(repo: Repo, lib: Repo) -> None:
    made, project = named(repo, "../lib"), project_of(repo)
    assert made.neighbours == (Neighbour(str(lib.path), "lib", lib.head(), writable=True, ref="fix"),)
    (one,) = planned(project, made).neighbours
    assert one.clone is not None
    assert one.clone.common_dir == lib.path / ".git"
    assert (one.parent, one.path, one.link) == ("beside", "../lib", lib.head())
    (read,) = named(repo, "../lib:ro").neighbours
    assert (read.base, read.writable) == (lib.head(), False)


def test_a_later_run_begins_where_the_last_one_ended(repo: Repo, lib: Repo) -> None:
    made = begun(repo, "../lib")
    lib.git("update-ref", "refs/realm/fix", done := work(lib))
    assert beginning(project_of(repo), made) == (("lib", done),)
    again = neighbours.named(project_of(repo), made, ["../lib"], repo.path)
    assert again == made


def test_plain_files_are_copied_as_roots(repo: Repo, data: Path) -> None:
    made = named(repo, "../my data")
    assert made.neighbours == (Neighbour(str(data), "my-data"),)
    found = {
        file.path: (file.mode, file.owner) for file in running.plain_files(planned(project_of(repo), made))
    }
    assert found == {
        "/workspace/my-data/below/text": (0o444, "root"),
        "/workspace/my-data/run": (0o555, "root"),
        "/workspace/my-data/link": (0o444, "root"),
    }
    (repo.path.parent / "link").symlink_to(data)
    linked = {file.path for file in running.plain_files(planned(project_of(repo), named(repo, "../link")))}
    assert linked == {path.replace("my-data", "link", 1) for path in found}


def test_a_plain_directory_is_looked_through_once(
    repo: Repo, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, project = named(repo, "../my data"), project_of(repo)
    walk, walked = neighbours._files, []

    def noted(one: Neighbour) -> Iterator[tuple[Path, str]]:
        walked.append(one.path)
        return walk(one)

    monkeypatch.setattr(neighbours, "_files", noted)
    plan = planned(project, made)
    neighbours.announce(plan, TerminalUI(no_input=True))
    assert len([*running.plain_files(plan)]) == 3
    assert running.directories(plan) == ["/workspace/my-data"]
    assert walked == [str(data)]


def test_a_plain_directory_that_is_gone_stops_nothing(
    repo: Repo, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, project = named(repo, "../my data"), project_of(repo)
    data.rename(repo.path.parent / "elsewhere")
    assert not [*running.plain_files(planned(project, made))]
    assert running.directories(planned(project, made)) == []
    neighbours.announce(planned(project, made), TerminalUI(no_input=True))
    assert capsys.readouterr().err == (
        f"warning: {data} is not here: the container starts without it; realm resume fix --with DIR says "
        "where "
        "it is now (a directory called my-data)\n"
    )


def test_where_a_directory_is_that_the_agent_is_told_of(
    repo: Repo, lib: Repo, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, project = named(repo, "../lib"), project_of(repo)
    (repo.path / "app").mkdir()
    words = ("../lib", "app", "../gone", "../my data", str(lib.path), str(repo.path / "app"))
    plan = planned(project, made)._replace(agent_args=("--add-dir", *words))
    neighbours.announce(plan, TerminalUI(no_input=True, quiet=True))
    assert capsys.readouterr().err.splitlines() == [
        "warning: ../my data is not in the container: --with '../my data' brings it along",
        f"warning: {lib.path} is /workspace/lib in the container",
        f"warning: {repo.path}/app is {made.workspace}/app in the container",
    ]


def test_what_is_too_much_for_a_copy_is_said(repo: Repo, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_FILES", 2)
    with pytest.raises(RealmError, match="too much for a copy") as caught:
        named(repo, "../my data")
    words = shlex.split((caught.value.hint or "").removesuffix(" mounts it"))
    assert shlex.split(words[-1]) == ["-v", f"{data}:/data/my-data:ro"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("../my data:rw", "is not a repository, so it can only be read"),
        ("../nothing", "there is no such directory"),
        ("~nobody-of-that-name/x", "there is no such directory"),
        ("file.txt", "there is no such directory"),
        ("", "there is no such directory"),
        (":ro", "--with :ro: there is no such directory"),
        (".", "is the project's own repository"),
        ("..", "holds the project"),
        ("sub", "is part of the project"),
        ("../linked", "is the project's own repository"),
        ("../bare", "is a bare repository"),
        ("../lib/.git", "is a git directory"),
        ("../empty", "has no commit yet"),
        ("../sha256", "has the object format sha256"),
        ("module", "is a submodule"),
        ("own", "is a submodule"),
    ],
)
def test_what_cannot_be_given_is_refused(repo: Repo, lib: Repo, data: Path, word: str, said: str) -> None:
    assert data.is_dir()
    repo.write("sub/file.txt")
    repo.write("file.txt")
    repo.commit("Files")
    repo.git("worktree", "add", "-q", "--detach", "../linked")
    repo.git("submodule", "--quiet", "add", str(lib.path), "module")
    # One with a git directory of its own.
    repo.git("clone", "-q", str(lib.path), "own")
    repo.git("submodule", "--quiet", "add", str(lib.path), "own")
    repo.commit("Submodules")
    Repo.init(repo.path.parent / "bare", bare=True)
    Repo.init(repo.path.parent / "empty")
    other = Repo.init(repo.path.parent / "sha256", object_format="sha256")
    other.write("file")
    other.commit("File")
    with pytest.raises(RealmError, match=said) as caught:
        named(repo, word)
    assert caught.value.hint


def test_two_of_one_name_or_of_one_repository(repo: Repo, lib: Repo) -> None:
    other = Repo.init(repo.path.parent / "deeper" / "lib")
    other.write("file")
    other.commit("File")
    with pytest.raises(RealmError, match="the container has another /workspace/lib"):
        named(repo, "../lib", "../deeper/lib")
    (repo.path.parent / "renamed").symlink_to(other.path)
    assert [one.name for one in named(repo, "../lib", "../renamed").neighbours] == ["lib", "renamed"]
    lib.git("worktree", "add", "-q", "--detach", "../lib-2")
    with pytest.raises(RealmError, match="was named already"):
        named(repo, "../lib", "../lib-2")


def test_what_cannot_be_copied_is_said(
    repo: Repo, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, project = named(repo, "../my data"), project_of(repo)

    def said() -> str:
        assert not [*running.plain_files(planned(project, made))]
        neighbours.announce(planned(project, made), TerminalUI(no_input=True))
        return capsys.readouterr().err

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", partial(_denied, os.scandir, data / "below"))
        assert f"{data}/below cannot be read: the container starts without it" in said()
    with monkeypatch.context() as patched:
        patched.setattr(neighbours, "MOST_FILES", 2)
        assert "too much for a copy: the container starts without it" in said()
    shutil.rmtree(data)
    data.mkdir()
    os.mkfifo(data / "pipe")
    assert f"{data} has no files to copy: the container starts without it" in said()


def _denied(scandir: Callable[[Path], object], what: Path, path: Path) -> object:
    if Path(path) == what:
        raise PermissionError(13, "Permission denied", str(path))
    return scandir(path)


def test_the_name_is_taken_and_the_base_kept_when_the_session_begins(repo: Repo, lib: Repo) -> None:
    made, base = begun(repo, "../lib"), lib.head()
    assert lib.refs("refs/realm") == {"refs/realm/fix": base}
    lib.write("lib.txt", "again\n")
    lib.git("commit", "-q", "-a", "--amend", "-m", "Again")
    lib.git("reflog", "expire", "--expire=now", "--all")
    lib.git("gc", "-q", "--prune=now")
    assert beginning(project_of(repo), made) == (("lib", base),)


def test_each_session_has_a_ref_of_its_own(repo: Repo, lib: Repo) -> None:
    """So it is for two of one name, of two projects, and where the repository has one of that name."""
    first, base = begun(repo, "../lib"), lib.head()
    lib.git("update-ref", "refs/realm/fix", work(lib))
    other = Repo.init(repo.path.parent / "other")
    other.write("file")
    other.commit("File")
    second = begun(other, "../lib")
    assert [one.ref for one in (*first.neighbours, *second.neighbours)] == ["fix", "fix-in-other"]
    assert beginning(project_of(other), second) == (("lib", base),)
    with pytest.raises(RealmError, match="has work of another session called fix"):
        named(other, "../lib")
    assert named(repo, "../lib:ro").neighbours[0].base == lib.head()
    renamed = homes.with_own_refs(project_of(other), second, second._replace(name="new"))
    assert [one.ref for one in renamed.session.neighbours] == ["new"]
    lib.git("update-ref", "refs/realm/taken", base)
    lib.git("update-ref", "refs/realm/taken-in-other", base)
    with pytest.raises(RealmError, match="has work of another session called taken"):
        homes.with_own_refs(project_of(other), second, second._replace(name="taken"))


def test_the_repository_itself_lists_no_other_projects_sessions(repo: Repo, lib: Repo) -> None:
    begun(repo, "../lib")
    lib.git("update-ref", "refs/realm/lost", lib.head())
    found = list_sessions(lib.path)
    assert [row.name for row in found.rows] == ["lost"]
    assert [*found.warnings] == [f"session lost in {lib.path}: the session has no record"]


def test_a_ref_that_the_repository_made_its_own_is_not_written_to(repo: Repo, lib: Repo) -> None:
    made = begun(repo, "../lib")
    project = project_of(lib)
    homes.check_own(project, made, "fix")
    lib.git("update-ref", "refs/realm-meta/fix", lib.head())
    with pytest.raises(RealmError, match="is another session's"):
        homes.check_own(project, made, "fix")


def test_one_that_was_moved_is_found_again_where_the_user_says(repo: Repo, lib: Repo) -> None:
    made, project = begun(repo, "../lib"), project_of(repo)
    lib.git("update-ref", "refs/realm/fix", done := work(lib))
    lib.path.rename(repo.path.parent / "lib-2")
    assert beginning(project, made) == ()
    again = neighbours.named(project, made, ["../lib-2"], repo.path)
    approvals.approve_record(project, again)
    assert again.neighbours == (made.neighbours[0]._replace(path=f"{lib.path}-2"),)
    assert beginning(project, again) == (("lib", done),)


def test_removed_restored_renamed_and_forked_with_the_session(repo: Repo, lib: Repo) -> None:
    made, project = begun(repo, "../lib"), project_of(repo)
    lib.git("update-ref", "refs/realm/fix", done := work(lib))
    homes.remove(made, homes.held_by(project, made))
    assert "refs/realm/fix" not in lib.refs()
    homes.restore(project, made)
    fork = homes.with_own_refs(project, made, made._replace(id=OTHER_ID, name="other"))
    renamed = homes.with_own_refs(project, made, made._replace(name="renamed"))
    homes.let_go(renamed.had)
    assert lib.refs("refs/realm/") == {"refs/realm/other": done, "refs/realm/renamed": done}
    assert [one.ref for one in (*fork.session.neighbours, *renamed.session.neighbours)] == [
        "other",
        "renamed",
    ]


def test_a_rename_that_was_killed_before_its_end_is_finished(repo: Repo, lib: Repo) -> None:
    made, project = begun(repo, "../lib"), project_of(repo)
    lib.git("update-ref", "refs/realm/fix", done := work(lib))
    lib.git("update-ref", "refs/realm-branches/fix/heads/alt", done)
    lib.git("update-ref", "refs/realm/theirs", lib.head())
    new = homes.with_own_refs(project, made, made._replace(name="new"), made.base).session
    approvals.approve_record(project, new)
    homes.reserve(new, planned(project, new).neighbours)
    theirs = {"refs/realm/theirs": lib.head()}
    assert {ref: oid for ref, oid in lib.refs().items() if "realm" in ref} == theirs | {
        "refs/realm/new": done,
        "refs/realm-branches/new/heads/alt": done,
    }
    homes.with_own_refs(project, new, new._replace(name="newer"), new.base)
    newer = new._replace(name="newer", neighbours=(new.neighbours[0]._replace(ref="newer"),))
    approvals.approve_record(project, newer)
    homes.remove(newer, homes.held_by(project, newer))
    assert lib.refs("refs/realm/") == theirs


def test_what_was_removed_is_not_restored_onto_anothers_work(repo: Repo, lib: Repo) -> None:
    made, project = begun(repo, "../lib"), project_of(repo)
    homes.remove(made, homes.held_by(project, made))
    other = begun(repo, "../lib", session_id=OTHER_ID)
    assert other.neighbours == made.neighbours
    with pytest.raises(RealmError, match="is another session's"):
        homes.restore(project, made)
    assert homes.held_by(project, made) == []


def test_a_session_that_did_not_come_to_be_leaves_nothing(repo: Repo, lib: Repo) -> None:
    made = begun(repo, "../lib")
    homes.release(project_of(repo), made)
    assert lib.refs("refs/realm") == {}


def test_what_a_turn_did_there_is_shown_and_named_where_it_is_not_sent(repo: Repo, lib: Repo) -> None:
    made, project = begun(repo, "../lib"), project_of(repo)
    said = "\n\nRealm-Session: fix\nRealm-Run: 1\nRealm-Turn: "
    tree = lib.git("rev-parse", "HEAD^{tree}")
    lib.write("one", "1\n")
    lib.git("add", "one")
    done = lib.git("commit-tree", "-p", "HEAD", "-m", f"One{said}1", lib.git("write-tree"))
    lib.git("update-ref", "refs/realm/fix", done)
    alt = lib.git("commit-tree", "-p", done, "-m", "Alt", tree)
    lib.git("update-ref", "refs/realm-branches/fix/heads/alt", alt)
    tip = repo.git("commit-tree", "-p", made.base, "-m", f"Two{said}2", f"{made.base}^{{tree}}")
    run = Run(1, 1.0, made.base, 2.0, 0, tip, prompts=("one", "two"))
    meta = record.write(
        project, parent=None, previous=None, session=made, run=run, totals=Totals(2),
        state=State.EXITED, files={},
    )  # fmt: skip
    for ref, oid in (("refs/realm/fix", tip), ("refs/realm-meta/fix", meta)):
        repo.git("update-ref", ref, oid)
    first, second = (realm(repo.path, "show", f"fix@{turn}").out for turn in (1, 2))
    assert "no changes" not in first
    assert first.endswith("in ../lib:\nOne\n one | 1 +\n 1 file changed, 1 insertion(+)\n")
    assert "in ../lib" not in second
    for name in ("repo", "lib"):
        Repo.init(repo.path.parent / f"{name}.git", bare=True)
    repo.git("remote", "add", "origin", str(repo.path.parent / "repo.git"))
    lib.git("remote", "add", "origin", str(repo.path.parent / "lib.git"))
    shared = realm(repo.path, "share", "fix")
    command = f"git -C {lib.path} push origin"
    assert f"not shared, work in ../lib: {command} refs/realm/fix 'refs/realm-branches/fix/*'\n" in shared.err
    pushed = realm(repo.path, "push", "fix", "--all-branches")
    assert pushed.err.splitlines() == [
        f"not pushed, branches in ../lib: {command} 'refs/realm-branches/fix/heads/*:refs/heads/fix-*'",
        f"not pushed, commits in ../lib: {command} refs/realm/fix:refs/heads/fix",
    ]
    for line in [*shared.err.splitlines(), *pushed.err.splitlines()]:
        if not line.startswith("not "):
            continue
        subprocess.run(shlex.split(line.partition(": ")[2]), check=True)
    assert realm(repo.path, "push", "fix", "--all-branches").err == ""
    assert Repo(repo.path.parent / "lib.git").refs() == {
        "refs/heads/fix": done, "refs/heads/fix-alt": alt,
        "refs/realm/fix": done, "refs/realm-branches/fix/heads/alt": alt,
    }  # fmt: skip


def test_a_run_that_did_nothing_there_names_nothing(
    repo: Repo, lib: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an earlier run did there was named then."""
    made, project = begun(repo, "../lib"), project_of(repo)
    lib.git("update-ref", "refs/realm/fix", work(lib))
    plan = planned(project, made)
    for inside, lines in (((), 0), ((("../lib", 1),), 2)):
        summary.tell(plan, Outcome(made.base, "", Totals(), 0, 0, inside=inside), TerminalUI())
        told = capsys.readouterr().err
        assert told.startswith("fix: no changes   realm resume fix\n")
        assert told.count("../lib") + told.count("log -p") == lines
