"""A record's claim about the last push overwrites nobody's branch, unless this machine made that push."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.model import Run, State, Totals
from realm.session.push import push
from realm.session.requests import PushRequest
from realm.store import record, refs
from realm.store.commits import commit_tree, tree_of
from realm.store.remote import RefusedError
from tests.support.store import ME, STARTED, project_of, session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_it_is_not_obeyed(repo: Repo, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", str(origin)], check=True)
    repo.git("remote", "add", "origin", str(origin))
    base = repo.head()
    repo.write("precious", "work of others\n")
    theirs = repo.commit("Theirs")
    repo.git("push", "-q", "origin", f"{theirs}:refs/heads/main")
    project = project_of(repo)
    code = commit_tree(
        project,
        tree=tree_of(project, theirs),
        parent=base,
        message="Evil\n\nRealm-Session: fix\n",
        identity=ME,
    )
    meta = record.write(
        project, parent=None, previous=None, session=session(base=base, pushed={"origin main": theirs}),
        run=Run(1, STARTED, base), totals=Totals(), state=State.EXITED, files={},
    )  # fmt: skip
    made = [refs.RefUpdate(refs.CODE + "fix", None, code), refs.RefUpdate(refs.META + "fix", None, meta)]
    refs.transact(project, made, "test")
    asked = PushRequest("fix", repo.path, branch="main")
    with pytest.raises(RefusedError):
        push(asked, TerminalUI())
    assert repo.git("ls-remote", "origin", "refs/heads/main").split()[0] == theirs
    push(asked._replace(force=True), TerminalUI())
    assert repo.git("ls-remote", "origin", "refs/heads/main").split()[0] == code
