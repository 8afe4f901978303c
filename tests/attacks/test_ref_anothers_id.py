"""A record that has another session's id reaches nothing of that one on this machine."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import RealmError
from realm.model import State
from realm.session.attach import attach
from realm.session.remove import plan, remove
from realm.session.requests import ResumeRequest
from realm.session.resume import resume
from realm.session.stop import stop
from realm.store import listing
from tests.support.repos import Repo
from tests.support.store import SESSION_ID, add_session, project_of

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project


def ran_here(project: Project, sealed: Path, *, state: State = State.RUNNING) -> Path:
    """Create the session ``mine`` with a run's files on this machine; return their directory."""
    add_session(project, "mine", state=state)
    run = sealed / ".realm/runs" / SESSION_ID
    (run / "recording/0001").mkdir(parents=True)
    (run / "recording/0001/000.cast").write_text("precious\n")
    whose = {"name": "mine", "project": str(project.root), "repository": str(project.common_dir)}
    (run / "session").write_text(json.dumps(whose))
    return run


@pytest.mark.parametrize("state", [State.RUNNING, State.EXITED])
@pytest.mark.parametrize("name", ["bad", "mine"])
def test_remove_takes_its_refs_alone(
    repo: Repo, tmp_path: Path, sealed: Path, name: str, state: State
) -> None:
    project = project_of(repo)
    run = ran_here(project, sealed, state=state)
    clone = Repo(tmp_path / "clone")
    shutil.copytree(repo.path, clone.path)
    place = clone if name == "mine" else repo
    if name == "bad":
        add_session(project, "bad")
    ui = TerminalUI()
    remove(plan(name, place.path, ui), ui)
    assert (run / "recording/0001/000.cast").read_text() == "precious\n"
    assert name not in [row.name for row in listing.rows(project_of(place))]
    assert "mine" in [row.name for row in listing.rows(project)]


def test_no_verb_takes_over_a_run_that_is_not_over(repo: Repo, sealed: Path) -> None:
    project = project_of(repo)
    run = ran_here(project, sealed)
    add_session(project, "bad")
    ui = TerminalUI()
    for ask in (
        lambda: resume(ResumeRequest("bad", repo.path), ui),
        lambda: stop("bad", repo.path, ui),
        lambda: attach("bad", repo.path, ui),
    ):
        with pytest.raises(RealmError, match="has the id of another session, mine in "):
            ask()
    assert not (run / "lock").exists()


def test_a_copy_of_the_repository_goes_on_when_the_run_is_over(
    repo: Repo, tmp_path: Path, sealed: Path
) -> None:
    ran_here(project_of(repo), sealed, state=State.EXITED)
    clone = Repo(tmp_path / "clone")
    shutil.copytree(repo.path, clone.path)
    with pytest.raises(RealmError) as caught:
        stop("mine", clone.path, TerminalUI())
    assert "another session" not in caught.value.message
