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
    """Yield the dead container of a session called ``x``, which has work and no realm's proof."""
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
    assert f"x (container {left})" in doctor.out
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


LABELS = {"realm.role": "box", "realm.run": "1", "realm.session": "x"}


@pytest.fixture(params=["this version", "an earlier one"])
def volumes(user: User, left: str, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Yield the volumes of ``left`` without its container; an earlier version's have fewer labels."""
    engines.docker("rm", "-f", left)
    found = engines.labelled("volume", f"realm.project={user.repo.path}", "realm.session=x")
    if request.param == "this version":
        yield found
        return
    home = user.python("from realm.sandbox import proof; print(proof.home())").strip()
    more = {"realm.home": home, "realm.id": user.listed()[0]["id"], "realm.project": user.repo.path}
    words = [word for key, value in (LABELS | more).items() for word in ("--label", f"{key}={value}")]
    made = [f"realm-x-1-{user.repo.path.parent.name[-8:]}{part}" for part in ("-state", "-work")]
    (work,) = (volume for volume in found if volume.endswith("-work"))
    for volume in made:
        engines.docker("volume", "create", *words, volume)
    mounts = ("-v", f"{work}:/from", "-v", f"{made[1]}:/to")
    engines.docker("run", "--rm", "--user", "0", "--entrypoint", "cp", *mounts, "realm:latest", "-a",
                   "/from/.", "/to/")  # fmt: skip
    for volume in found:
        engines.docker("volume", "rm", volume)
    try:
        yield made
    finally:
        for volume in made:
            engines.docker("volume", "rm", "-f", volume)


def test_volumes_without_a_container_are_named_read_and_left(
    user: User, volumes: list[str], tmp_path: Path
) -> None:
    (work,) = (volume for volume in volumes if volume.endswith("-work"))
    doctor = user.realm("doctor", code=None)
    assert f"x (volume {work})" in doctor.out
    assert f"realm -C {user.repo.path} rescue x DIRECTORY" in doctor.out
    assert f"docker volume rm {work} " in doctor.out
    for verb, code in (("stop", 1), ("attach", 125)):
        told = user.realm(verb, "x", code=code)
        assert f"volume {work} of x was made by an earlier version of realm" in told.err
        assert "realm rescue x DIRECTORY" in told.err
    user.realm("rescue", "x", str(tmp_path / "files"))
    assert (tmp_path / "files" / "file").read_text() == "kept\n"
    user.realm("remove", "x")
    user.realm("rescue", "x", str(tmp_path / "again"))
    assert (tmp_path / "again" / user.repo.path.name / "file").read_text() == "kept\n"
    user.realm("list", "--prune")
    user.scripted("next", "true")
    there = engines.docker("volume", "ls", "-q").split()
    assert set(volumes) <= set(there)
