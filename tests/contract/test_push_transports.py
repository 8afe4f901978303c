"""Pushing a session goes through the user's own git: a path, ssh with a key, http with a password."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo
from tests.support.servers import HttpServer, SshServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.user import User


def make_session(user: User, name: str = "feature") -> str:
    """Make a session with one commit, as a run would have left it, without an engine."""
    repo = user.repo
    base = repo.head()
    program = f"""
import time
from pathlib import Path
from realm.model import Run, Session, State, Totals
from realm.store import record, refs, repo
project = repo.discover(Path({str(repo.path)!r}))
session = Session(id={str(uuid.uuid4())!r}, name={name!r}, project=str(project.root),
                  workspace="/workspace/project", base={base!r}, created=time.time())
run = Run(1, time.time(), {base!r}, time.time(), 0, TIP)
meta = record.write(project, parent=None, previous=None, session=session, run=run,
                    totals=Totals(1, 1, 1, 0), state=State.EXITED, files={{}})
refs.transact(project, [refs.RefUpdate(refs.CODE + {name!r}, None, TIP),
                        refs.RefUpdate(refs.META + {name!r}, None, meta)], "made by a test")
"""
    tree = repo.git("rev-parse", "HEAD^{tree}")
    tip = repo.git("commit-tree", "-p", base, "-m", "Work in a sandbox", tree)
    user.python(program.replace("TIP", repr(tip)))
    return tip


@pytest.fixture
def origin(user: User, tmp_path: Path) -> Repo:
    """A bare repository that knows the project's main, reached by its path."""
    bare = Repo.init(tmp_path / "served/origin.git", bare=True)
    bare.git("config", "http.receivepack", "true")
    user.repo.git("remote", "add", "origin", str(bare.path))
    user.repo.git("push", "-q", "origin", "main")
    return bare


@pytest.fixture
def ssh(user: User, origin: Repo, tmp_path: Path) -> Iterator[None]:
    with SshServer(tmp_path / "ssh") as server:
        user.extra["GIT_SSH_COMMAND"] = f"ssh -F {server.config}"
        user.repo.git("remote", "set-url", "origin", f"there:{origin.path}")
        yield


@pytest.fixture
def http(user: User, origin: Repo, sealed: Path) -> Iterator[HttpServer]:
    with HttpServer(origin.path.parent, "ada", "pass word") as server:
        helper = sealed / "helper"
        helper.write_text('#!/bin/sh\n[ "$1" = get ] && printf "username=ada\\npassword=pass word\\n"\n')
        helper.chmod(0o755)
        user.repo.git("config", "--global", "credential.helper", str(helper))
        user.repo.git("remote", "set-url", "origin", f"{server.url}/origin.git")
        yield server


def test_the_lease_is_noted_though_a_run_ends_during_the_push(user: User, origin: Repo) -> None:
    tip = make_session(user)
    hook = user.repo.path / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    meta = "refs/realm-meta/feature"
    other = f"git log -1 --format=%B {meta} | git commit-tree {meta}^{{tree}}"
    hook.write_text(f"#!/bin/sh\ngit update-ref {meta} $({other})\n")
    hook.chmod(0o755)
    before = user.repo.head(meta)
    user.realm("push", "feature")
    assert user.repo.head(meta) != before
    assert json.loads(user.repo.show(f"{meta}:session.json"))["pushed"] == {"origin feature": tip}
    assert origin.refs("refs/heads")["refs/heads/feature"] == tip


def test_over_a_path(user: User, origin: Repo) -> None:
    tip = make_session(user)
    before = user.repo.git("for-each-ref", "refs/heads")
    user.realm("push", "feature")
    assert origin.refs("refs/heads")["refs/heads/feature"] == tip
    assert user.repo.git("for-each-ref", "refs/heads") == before
    assert user.repo.git("status", "--porcelain") == ""


def test_squashed_commits_are_named_in_the_one_that_is_pushed(user: User, origin: Repo) -> None:
    tip = make_session(user)
    user.realm("push", "feature", "--squash", "--as", "refs/heads/one")
    assert origin.git("log", "-1", "--format=%B", "one") == "Work in a sandbox\n"
    more = user.repo.git("commit-tree", "-p", tip, "-m", "More\n\nat length", f"{tip}^{{tree}}")
    user.repo.git("update-ref", "refs/realm/feature", more)
    user.realm("push", "feature", "--squash", "--as", "two")
    assert origin.git("log", "-1", "--format=%B", "two") == "feature\n\n* Work in a sandbox\n* More\n"
    assert set(origin.refs("refs/heads")) == {"refs/heads/main", "refs/heads/one", "refs/heads/two"}


@pytest.mark.usefixtures("ssh")
def test_over_ssh(user: User, origin: Repo) -> None:
    tip = make_session(user)
    user.realm("push", "feature")
    assert origin.refs("refs/heads")["refs/heads/feature"] == tip


def test_over_http_with_a_credential_helper(user: User, origin: Repo, http: HttpServer) -> None:
    tip = make_session(user)
    done = user.realm("push", "feature")
    assert origin.refs("refs/heads")["refs/heads/feature"] == tip
    assert http.refused > 0
    assert "pass word" not in done.out + done.err


def test_a_wrong_password_is_one_sentence_and_no_prompt(user: User, origin: Repo, http: HttpServer) -> None:
    make_session(user)
    user.repo.git("config", "--global", "--unset", "credential.helper")
    done = user.realm("push", "feature", code=1)
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert "refs/heads/feature" not in origin.refs()


def test_a_push_under_another_name_to_another_remote(user: User, tmp_path: Path, origin: Repo) -> None:
    other = Repo.init(tmp_path / "other.git", bare=True)
    user.repo.git("remote", "add", "fork", str(other.path))
    tip = make_session(user)
    user.realm("push", "feature", "--to", "fork", "--as", "topic/nice")
    assert other.refs()["refs/heads/topic/nice"] == tip
    assert "refs/heads/feature" not in origin.refs()


def test_a_push_to_a_path_seen_from_a_subdirectory(user: User, origin: Repo) -> None:
    other = Repo.init(user.repo.path.parent / "other.git", bare=True)
    tip = make_session(user)
    (user.repo.path / "deep").mkdir()
    done = user.realm("push", "feature", "--to", "../../other.git", cwd=user.repo.path / "deep")
    assert done.out == f"pushed feature → feature at {other.path.resolve()} (1 commit)\n"
    assert other.refs("refs/heads") == {"refs/heads/feature": tip}
    assert "already" in user.realm("push", "feature", "--to", str(other.path)).out
    assert "refs/heads/feature" not in origin.refs()
    assert user.repo.git("remote") == "origin"


def test_a_push_to_a_url_keeps_its_password_to_itself(user: User, http: HttpServer) -> None:
    make_session(user)
    user.repo.git("config", "--global", "--unset", "credential.helper")
    url = http.url.replace("://", "://ada:pass%20word@")
    right = user.realm("push", "feature", "--to", f"{url}/origin.git")
    wrong = user.realm("push", "feature", "--to", f"{url}/nowhere.git", code=1)
    record = user.repo.git("show", "refs/realm-meta/feature:session.json")
    assert f"{http.url}/origin.git" in right.out
    assert f"cannot push to {http.url}/nowhere.git" in wrong.err
    assert "pass%20word" not in right.out + right.err + wrong.out + wrong.err + record


def test_a_path_that_is_no_repository_is_one_sentence(user: User) -> None:
    make_session(user)
    done = user.realm("push", "feature", "--to", "../nowhere", code=1)
    assert done.err.startswith("error: cannot push to ../nowhere: ")


def test_a_colleagues_commit_is_never_overwritten_silently(user: User, tmp_path: Path, origin: Repo) -> None:
    make_session(user)
    user.realm("push", "feature")
    colleague = Repo(tmp_path / "colleague")
    origin.git("clone", "-q", "-b", "feature", str(origin.path), str(colleague.path))
    theirs = colleague.commit("Theirs")
    colleague.git("push", "-q", "origin", "feature")
    refused = user.realm("push", "feature", code=1)
    assert origin.refs()["refs/heads/feature"] == theirs
    assert "--force" in refused.err
    user.realm("push", "feature", "--force")
    assert origin.refs()["refs/heads/feature"] == user.tip("feature")


def test_squash_pushes_one_commit(user: User, origin: Repo) -> None:
    make_session(user)
    user.realm("push", "feature", "--squash")
    assert origin.git("rev-list", "--count", "main..feature") == "1"
    assert origin.head("feature^{tree}") == user.repo.head("refs/realm/feature^{tree}")


def test_pushing_twice_says_that_nothing_is_new(user: User, origin: Repo) -> None:
    make_session(user)
    user.realm("push", "feature")
    again = user.realm("push", "feature")
    assert "already" in again.out
    assert origin.refs()["refs/heads/feature"] == user.tip("feature")


def test_the_servers_words_are_shown(user: User, origin: Repo) -> None:
    hook = origin.path / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nprintf 'Create a pull request: https://example.com/new\\033[31m\\n'\n")
    hook.chmod(0o755)
    make_session(user)
    done = user.realm("push", "feature")
    assert "https://example.com/new" in done.out + done.err
    assert "\033" not in done.out + done.err


def test_a_pre_push_hook_of_the_user_decides(user: User, origin: Repo) -> None:
    user.repo.write(".git/hooks/pre-push", "#!/bin/sh\necho not on Fridays >&2\nexit 1\n", mode=0o755)
    make_session(user)
    refused = user.realm("push", "feature", code=1)
    assert "not on Fridays" in refused.err
    assert "refs/heads/feature" not in origin.refs()


def test_push_insteadof_of_the_user_applies(user: User, origin: Repo) -> None:
    user.repo.git("remote", "set-url", "origin", "https://example.invalid/x.git")
    user.repo.git("config", "--global", f"url.{origin.path}.pushInsteadOf", "https://example.invalid/x.git")
    tip = make_session(user)
    user.realm("push", "feature")
    assert origin.refs()["refs/heads/feature"] == tip


def test_no_such_remote(user: User) -> None:
    make_session(user)
    done = user.realm("push", "feature", code=1)
    assert done.err.startswith("error: there is no remote called 'origin'\n")
    assert "git remote add origin URL" in done.err
    user.repo.git("remote", "add", "upstream", "../elsewhere")
    done = user.realm("push", "feature", code=1)
    assert "git config realm.remote NAME chooses one of those that there are: upstream" in done.err


def test_removing_and_restoring_needs_no_engine(user: User) -> None:
    tip = make_session(user)
    user.extra["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    user.realm("remove", "feature", "--yes")
    assert user.repo.refs("refs/realm/") == {}
    user.realm("restore", "feature")
    assert user.tip("feature") == tip
    assert [row["name"] for row in user.listed()] == ["feature"]
