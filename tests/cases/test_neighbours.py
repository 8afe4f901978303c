"""Another repository, or a directory, comes along beside the project; what is done there comes home."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def lib(user: User) -> Repo:
    """Give a repository beside the project, which has a directory ``samples`` beside it, too."""
    made = Repo.init(user.repo.path.parent / "lib")
    made.write("lib.txt", "lib\n")
    made.commit("Library")
    made.write("draft")
    (user.repo.path.parent / "samples").mkdir()
    (user.repo.path.parent / "samples/one.txt").write_text("sample\n")
    return made


def test_what_an_agent_did_beside_the_project_is_in_its_repository(user: User, lib: Repo) -> None:
    """It is there again in the next run, is tried with, removed and brought back with the session."""
    files = {name: (lib.path / name).read_bytes() for name in ("lib.txt", "draft", ".git/index")}
    script = (
        "cat ../lib/lib.txt ../samples/one.txt; touch ../samples/x && echo written; cd ../lib; ls; "
        "git log --format=%s; echo 1 >one; git add one; git commit -qm One; echo 2 >two"
    )
    done = user.scripted("api", script, "--with", "../lib", "--with", "../samples")
    assert done.out == "lib\nsample\nlib.txt\nLibrary\n"
    assert "1 file of" in done.err
    assert "also in ../lib: 2 commits" in done.err
    assert lib.git("log", "--format=%s", "main..refs/realm/api").splitlines() == ["Work of run 1", "One"]
    begun = lib.head()[:10]
    assert f"git -C {lib.path} log -p {begun}..refs/realm/api" in done.err
    assert "api: no changes   realm resume api\n" in done.err
    assert user.tip("api") == user.repo.head()
    pushed = user.realm("push", "api", code=1).err
    assert f"git -C {lib.path} push origin refs/realm/api:refs/heads/api" in pushed
    again = user.realm(
        "resume", "api", "-c", "cat ../lib/two; git -C ../lib branch --show-current; echo 3 >../lib/x"
    )
    assert again.out == "2\napi\n"
    assert lib.files("refs/realm/api") == ["lib.txt", "one", "two", "x"]
    assert user.realm("try", "api", "--", "cat", "../lib/x", "../samples/one.txt").out == "3\nsample\n"
    assert "3 commits found nowhere else" in user.realm("remove", "api", code=1).err
    user.realm("remove", "api", "--yes")
    assert "refs/realm/api" not in lib.refs()
    user.realm("restore", "api")
    assert lib.files("refs/realm/api") == ["lib.txt", "one", "two", "x"]
    assert {name: (lib.path / name).read_bytes() for name in files} == files


def test_while_its_repository_is_away_no_work_is_given_up(user: User, lib: Repo) -> None:
    user.scripted("far", "echo 1 >../lib/one; echo 1 >one; sleep 600", "--with", "../lib", "--detach")
    user.realm("exec", "far", "sh", "-c", "until [ -f one ]; do sleep 0.1; done")
    away = lib.path.rename(user.repo.path.parent / "away")
    kept = user.realm("stop", "far", code=1)
    assert f"the work in ../lib cannot be taken in: {lib.path} is not here" in kept.err
    assert "bring it back, then realm resume far; realm rescue far DIRECTORY writes its files" in kept.err
    assert user.repo.show("refs/realm/far:one") == "1"
    user.realm("rescue", "far", "../out")
    assert [(user.repo.path.parent / name / "one").read_text() for name in ("out", "out-lib")] == [
        "1\n",
        "1\n",
    ]
    away.rename(lib.path)
    other = lib.git("commit-tree", "-p", "main", "-m", "Mine", "main^{tree}")
    lib.git("update-ref", "refs/realm/far", other)
    stopped = user.realm("stop", "far")
    assert "refs/realm/far in ../lib had moved; its old commit is in refs/realm-trash/far" in stopped.err
    assert other in lib.refs("refs/realm-trash/far").values()
    assert lib.files("refs/realm/far") == ["lib.txt", "one"]
    assert user.repo.git("rev-list", "--count", "main..refs/realm/far") == "1"
    user.repo.git("merge", "-q", "--ff-only", "refs/realm/far")
    kept = user.realm("remove", "--merged", "--yes", code=1)
    assert "far is merged, but 1 commit of it in submodules or beside the project is nowhere else" in kept.err


def test_claude_code_is_told_of_it_and_its_turns_come_home_one_by_one(
    claude: User, api: MessagesApi, lib: Repo
) -> None:
    claude.realm("new", "told", "--with", "../lib:rw", "--", "-p", "write ../lib/one.txt with first")
    assert r"Additional working directories:\n  - /workspace/lib\n" in json.dumps(api.asked[0].body)
    claude.realm("resume", "told", "-p", "write ../lib/two.txt with second")
    assert lib.git("log", "--format=%s", "main..refs/realm/told").splitlines() == [
        "write ../lib/two.txt with second", "write ../lib/one.txt with first",
    ]  # fmt: skip
