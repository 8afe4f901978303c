"""Containers without this REALM_HOME's proof, as earlier versions left them: named, read, never removed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from realm.session.lock import holder
from tests.support import engines
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def left(user: User) -> Iterator[str]:
    """Give the dead container of a session called ``x`` that has work and proves to be nobody's."""
    user.realm("new", "x", "--detach", "--agent", "sh", "-c", "echo kept >file; echo ready; sleep 100")
    eventually(lambda: "ready" in user.realm("logs", "x", code=None).out)
    found = holder(str(user.listed()[0]["id"]))
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    (container,) = user.leftovers()
    eventually(lambda: user.listed()[0]["state"] == "salvage")
    (realm_home() / "key").unlink()
    try:
        yield container
    finally:
        engines.docker("rm", "-f", "-v", container)
        for volume in engines.labelled("volume", f"realm.project={user.repo.path}", "realm.session=x"):
            engines.docker("volume", "rm", "-f", volume)


def test_one_that_is_dead_is_named_read_and_left(user: User, left: str, tmp_path: Path) -> None:
    engines.docker("kill", left)
    doctor = user.realm("doctor", code=None)
    assert f"x ({left})" in doctor.out
    assert f"realm -C {user.repo.path} rescue x DIRECTORY" in doctor.out
    user.realm("rescue", "x", str(tmp_path / "files"))
    assert (tmp_path / "files" / "file").read_text() == "kept\n"
    done = user.scripted("x", "echo more >more", verb="resume")
    assert "realm rescue x DIRECTORY" in done.err
    assert user.leftovers() == [left]
    user.realm("remove", "--yes", "x")
    assert user.leftovers() == [left]


def test_one_that_runs_is_in_the_way_and_goes_on(user: User, left: str) -> None:
    done = user.realm("resume", "x", "--no-input", code=125)
    assert f"in container {left}" in done.err
    assert engines.docker("inspect", "-f", "{{.State.Running}}", left) == "true"
