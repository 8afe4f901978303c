"""Killed between transactions in several repositories: no work is lost, and no ref blocks another session."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

from realm.cli.ui import TerminalUI
from realm.model import Run, State, Totals
from realm.session import approvals, claim, homes
from realm.session.gc import collect
from realm.session.lock import run_directory
from realm.session.remove import restore
from realm.session.rename import rename
from realm.session.requests import Removal
from realm.store import record, refs
from tests.support.inside import placed
from tests.support.store import STARTED, project_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.inside import Place
    from tests.support.repos import Repo

KILLED = """
import os, pickle, sys
from realm.session import homes
from realm.session.remove import remove
from realm.session.rename import rename
from realm.store import refs

left, move = int(sys.argv[1]), refs.transact

def transact(*args):
    global left
    if left == 0:
        os.kill(os.getpid(), 9)
    left -= 1
    move(*args)

refs.transact = transact
{"remove": remove, "rename": rename, "reserve": homes.reserve}[sys.argv[2]](*pickle.load(sys.stdin.buffer))
"""


def killed(before: int, what: str, *args: object) -> bool:
    """Do it in a process that is killed before so many transactions are done; tell whether it was."""
    command = [sys.executable, "-c", KILLED, str(before), what]
    code = subprocess.run(command, input=pickle.dumps(args), check=False).returncode
    assert code in (0, -9)
    return code != 0


def test_a_name_that_was_taken_for_nothing_is_free(repo: Repo, tmp_path: Path) -> None:
    place = placed(repo, tmp_path)
    place.near.git("update-ref", "-d", "refs/realm/fix")
    assert killed(0, "reserve", place.plan.session, place.plan.neighbours)
    later = place.plan.session._replace(id="c0ffee00-5678-4abc-8def-0123456789ab", neighbours=())
    (one,) = place.plan.session.neighbours
    one = homes.with_ref(place.plan.project, later, one._replace(ref=""))
    assert one.ref == "fix"
    homes.reserve(later._replace(neighbours=(one,)), place.plan.neighbours)
    homes.check_own(project_of(place.near), later, "fix")


def with_work(place: Place, repo: Repo) -> list[str]:
    """Give the session a record, and work in a submodule and in a neighbour; return the commits."""
    session, done = place.plan.session, []
    approvals.note_ref(project_of(place.lib), session, "fix")
    for one in (place.lib, place.near):
        done.append(one.git("commit-tree", "-p", "HEAD", "-m", "Work", "HEAD^{tree}"))
        one.git("update-ref", "refs/realm/fix", done[-1])
        one.git("update-ref", "refs/realm-branches/fix/heads/alt", one.head())
    run = Run(1, STARTED, repo.head(), ended=STARTED, after=repo.head())
    meta = record.write(
        place.plan.project, parent=None, previous=None, session=session, run=run, totals=Totals(),
        state=State.EXITED, files={},
    )  # fmt: skip
    repo.git("update-ref", "refs/realm-meta/fix", meta)
    repo.git("update-ref", "refs/realm/fix", repo.head())
    return done


def test_a_removal_that_was_killed_is_finished(repo: Repo, tmp_path: Path) -> None:
    place = placed(repo, tmp_path)
    project, session = place.plan.project, place.plan.session
    done = with_work(place, repo)
    claim.take(project, session)
    removal = Removal("fix", project, repo.head(), refs.tips(project, "fix").meta, session)
    assert killed(1, "remove", removal, None)
    assert place.lib.refs("refs/realm/") == {"refs/realm/fix": done[0]}
    assert "finished removing fix" in collect(repo.path, TerminalUI(no_input=True))
    for one, oid in zip((place.lib, place.near), done, strict=True):
        assert one.refs("refs/realm/") == {}
        assert oid in one.refs("refs/realm-trash/fix/").values()
    assert not run_directory(session.id).exists()
    restore("fix", repo.path)
    assert [one.head("refs/realm/fix") for one in (place.lib, place.near)] == done
    assert "finished removing fix" not in collect(repo.path, TerminalUI(no_input=True))


def test_a_rename_that_was_killed_is_done_again(repo: Repo, tmp_path: Path) -> None:
    place = placed(repo, tmp_path)
    project, done = place.plan.project, with_work(place, repo)
    name, number = "fix", 0
    while killed(number, "rename", name, new := f"new{number}", repo.path):
        if refs.tips(project, name).code is not None:
            rename(name, new, repo.path)
            for one in (place.lib, place.near):
                assert f"refs/realm/{name}" not in one.refs("refs/realm/")
        now = record.read_session(project, new)
        held = [*homes.held_inside(project, now, repo.head()), *homes.held_by(project, now)]
        assert [(one.name, one.oid) for one in held] == [(new, oid) for oid in done]
        assert [[*one.kept()] for one in held] == [[f"refs/realm-branches/{new}/heads/alt"]] * 2
        name, number = new, number + 1
    assert number == 5
