"""What ``--with`` takes, what it says of the rest, and what becomes of the work there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import RealmError
from realm.model import Neighbour, Run, Session
from realm.session import approvals, neighbours
from realm.store import submodules
from tests.support.repos import Repo
from tests.support.store import SESSION_ID, project_of

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project


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


def session(repo: Repo) -> Session:
    workspace = f"/workspace/{project_of(repo).name}"
    return Session(SESSION_ID, "fix", str(repo.path), workspace, repo.head(), 1.0)


def named(repo: Repo, *words: str) -> Session:
    project = project_of(repo)
    made = neighbours.named(project, session(repo), words, repo.path)
    approvals.approve_record(project, made)
    return made


def began(project: Project, made: Session) -> Run:
    return Run(1, 1.0, made.base, neighbours=neighbours.beginning(project, made))


def test_a_repository_is_given_as_a_submodule_is(repo: Repo, lib: Repo) -> None:
    made, project = named(repo, "../lib"), project_of(repo)
    assert made.neighbours == (Neighbour(str(lib.path), "lib", lib.head(), writable=True),)
    (one,) = neighbours.of_run(project, made, began(project, made))
    assert one.clone is not None
    assert one.clone.common_dir == lib.path / ".git"
    assert (one.parent, one.path, one.link) == ("beside", "../lib", lib.head())
    (read,) = named(repo, "../lib:ro").neighbours
    assert (read.base, read.writable) == (lib.head(), False)


def test_a_later_run_begins_where_the_last_one_ended(repo: Repo, lib: Repo) -> None:
    made, base = named(repo, "../lib"), lib.head()
    lib.write("more")
    done = lib.commit("Done")
    lib.git("update-ref", "refs/realm/fix", done)
    lib.git("reset", "-q", "--hard", base)
    assert neighbours.beginning(project_of(repo), made) == (("lib", done),)
    again = neighbours.named(project_of(repo), made, ["../lib"], repo.path)
    assert again == made


def test_plain_files_are_copied_as_roots(repo: Repo, data: Path) -> None:
    made = named(repo, "../my data")
    assert made.neighbours == (Neighbour(str(data), "my-data"),)
    found = {file.path: (file.mode, file.owner) for file in neighbours.files(project_of(repo), made)}
    assert found == {
        "/workspace/my-data/below/text": (0o444, "root"),
        "/workspace/my-data/run": (0o555, "root"),
        "/workspace/my-data/link": (0o444, "root"),
    }
    (repo.path.parent / "link").symlink_to(data)
    linked = {file.path for file in neighbours.files(project_of(repo), named(repo, "../link"))}
    assert linked == {path.replace("my-data", "link", 1) for path in found}


def test_a_plain_directory_that_is_gone_stops_nothing(
    repo: Repo, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, project = named(repo, "../my data"), project_of(repo)
    data.rename(repo.path.parent / "elsewhere")
    assert not [*neighbours.files(project, made)]
    assert neighbours.directories(project, made, began(project, made)) == []
    neighbours.announce(project, made, began(project, made), TerminalUI(no_input=True))
    assert capsys.readouterr().err == (
        f"warning: {data} is not here: the container goes without it; realm resume fix --with DIR says where "
        "it is now (a directory called my-data)\n"
    )


def test_what_is_too_much_for_a_copy_is_said(repo: Repo, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_FILES", 2)
    with pytest.raises(RealmError, match="too much for a copy") as caught:
        named(repo, "../my data")
    words = shlex.split((caught.value.hint or "").removesuffix(" mounts it"))
    assert shlex.split(words[-1]) == ["-v", f"{data}:/data/my-data:ro"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("../my data:rw", "is no repository, so nothing could be taken into it"),
        ("../nothing", "there is no such directory"),
        ("~nobody-of-that-name/x", "there is no such directory"),
        ("file.txt", "there is no such directory"),
        ("", "there is no such directory"),
        (":ro", "--with :ro: there is no such directory"),
        (".", "is the project's own repository"),
        ("..", "holds the project"),
        ("sub", "is a part of the project"),
        ("../linked", "is the project's own repository"),
        ("../bare", "is a bare repository"),
        ("../lib/.git", "is a git directory"),
        ("../empty", "has no commit yet"),
        ("../sha256", "has the object format sha256"),
        ("module", "is a submodule"),
    ],
)
def test_what_cannot_be_given_is_refused(repo: Repo, lib: Repo, data: Path, word: str, said: str) -> None:
    assert data.is_dir()
    repo.write("sub/file.txt")
    repo.write("file.txt")
    repo.commit("Files")
    repo.git("worktree", "add", "-q", "--detach", "../linked")
    repo.git("submodule", "--quiet", "add", str(lib.path), "module")
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


def test_work_of_another_session_is_not_gone_on_with(repo: Repo, lib: Repo) -> None:
    lib.git("update-ref", "refs/realm/fix", lib.head())
    with pytest.raises(RealmError, match="has work of another session called fix"):
        named(repo, "../lib")
    assert named(repo, "../lib:ro").neighbours[0].base == lib.head()


def test_one_that_was_moved_is_found_again_where_the_user_says(repo: Repo, lib: Repo) -> None:
    made, project = named(repo, "../lib"), project_of(repo)
    lib.git("update-ref", "refs/realm/fix", lib.head())
    lib.path.rename(repo.path.parent / "elsewhere")
    assert neighbours.beginning(project, made) == ()
    (repo.path.parent / "new").mkdir()
    (repo.path.parent / "elsewhere").rename(repo.path.parent / "new" / "lib")
    made = neighbours.named(project, made, ["../new/lib"], repo.path)
    approvals.approve_record(project, made)
    assert neighbours.beginning(project, made) == (("lib", made.neighbours[0].base),)


def test_removed_restored_renamed_and_forked_with_the_session(repo: Repo, lib: Repo) -> None:
    made, project = named(repo, "../lib"), project_of(repo)
    lib.git("update-ref", "refs/realm/fix", lib.head())
    more = neighbours.clones(project, made)
    submodules.remove(project, made.base, made.base, "fix", more)
    assert "refs/realm/fix" not in lib.refs()
    submodules.restore(project, made.base, made.base, "fix", more)
    neighbours.fork(project, made, "other")
    submodules.rename(project, made.base, made.base, "fix", "renamed", more)
    assert set(lib.refs("refs/realm")) == {"refs/realm/other", "refs/realm/renamed"}
