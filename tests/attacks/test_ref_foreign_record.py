"""A record that was written elsewhere does not choose programs, images or files to copy in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from realm.model import State, Totals
from realm.store import record
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def elsewhere(user: User, tmp_path: Path) -> User:
    """A user in whose repository lies a session that another machine made."""
    user.repo.write(".gitignore", ".env\n")
    user.repo.commit("Ignore secrets")
    user.repo.write(".env", "TOKEN=1\n")
    user.extra["REALM_HOME"] = str(tmp_path / "another machine")
    user.scripted("fix", "true", "--include", ".env")
    del user.extra["REALM_HOME"]
    return user


def test_it_is_not_obeyed(elsewhere: User) -> None:
    before = elsewhere.repo.refs()
    refused = elsewhere.realm("resume", "fix", "-c", "cat .env", code=125)
    assert (
        "was written by another user, on another machine, or by an earlier version of realm, "
        "and asks to run sh, to copy .env into the container" in refused.err
    )
    assert "realm resume fix --approve" in refused.err
    assert refused.out == ""
    assert elsewhere.repo.refs() == before
    assert not elsewhere.leftovers()


def test_it_is_obeyed_once_approved(elsewhere: User) -> None:
    assert elsewhere.realm("resume", "fix", "--approve", "-c", "cat .env").out == "TOKEN=1\n"
    assert elsewhere.realm("resume", "fix", "-c", "cat .env").out == "TOKEN=1\n"


def test_the_approval_moves_with_the_repository(user: User, tmp_path: Path) -> None:
    """A copy of the repository has no approvals of its own as long as the original exists."""
    user.scripted("fix", "true")
    copy = tmp_path / "copy"
    shutil.copytree(user.repo.path, copy)
    assert (
        "written by another user, on another machine"
        in user.realm("-C", str(copy), "resume", "fix", "-c", "true", code=125).err
    )
    user.repo.path.rename(tmp_path / "moved")
    user.realm("-C", str(tmp_path / "moved"), "resume", "fix", "-c", "true", cwd=tmp_path)


def test_on_a_terminal_the_user_is_asked(elsewhere: User) -> None:
    with elsewhere.terminal("resume", "fix", "-c", "cat .env; sleep 1") as terminal:
        terminal.wait_for(r"Allow it\? \[y/N\]")
        terminal.send("n\n")
        terminal.wait_for("realm resume fix --approve")


def test_what_this_machine_wrote_needs_no_approval(user: User) -> None:
    user.scripted("mine", "true")
    assert user.realm("resume", "mine", "-c", "echo again").out == "again\n"


def test_it_does_not_choose_what_history_the_agent_sees(user: User) -> None:
    """A base on another branch would show that branch; the approval was for another base, too."""
    user.scripted("fix", "true")
    repo = user.repo
    repo.git("checkout", "-q", "-b", "private")
    repo.write("secret", "swordfish\n")
    private = repo.commit("Private")
    repo.git("checkout", "-q", "-")
    project = project_of(repo)
    meta = repo.head("refs/realm-meta/fix")
    (run,) = record.read_runs(project, "fix")
    session = record.read_session(project, "fix")._replace(base=private)
    forged = record.write(
        project, parent=None, previous=meta, session=session, run=run, totals=Totals(),
        state=State.EXITED, files={},
    )  # fmt: skip
    repo.git("update-ref", "refs/realm-meta/fix", forged)
    refused = user.realm("resume", "fix", "-c", "git log -p --all", code=125)
    assert "asks to run sh" in refused.err
    refused = user.realm("resume", "fix", "--approve", "-c", "git log -p --all", code=125)
    assert f"began on {private[:10]} according to its record, but its commits do not" in refused.err
    assert "swordfish" not in refused.out
    assert not user.leftovers()


def test_what_was_approved_is_so_after_a_rebase(user: User) -> None:
    user.scripted("mine", "echo more >more; git add more; git commit -qm More")
    user.repo.write("other", "")
    user.repo.commit("Other")
    user.realm("resume", "mine", "--rebase", "-c", "true")
    assert user.realm("resume", "mine", "-c", "echo again").out == "again\n"
