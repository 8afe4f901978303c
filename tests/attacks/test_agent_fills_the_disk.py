"""An agent writes until the engine's disk is full: it is paused before that, and the user is called."""

from __future__ import annotations

import itertools
import json
import select
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from realm.session import reserve
from realm.session.lock import run_directory
from realm.session.reserve import Reserve
from tests.support.sandbox import Laboratory, laboratory
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo
    from tests.support.user import User

pytestmark = pytest.mark.engine

PLAN: Any = SimpleNamespace(config=SimpleNamespace(value=lambda _: 1000))


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def test_it_stands_still_while_there_is_no_room(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "_SOON", 0.05)
    sandbox = lab.create("sh", "-c", "sleep 60")
    sandbox.start()
    run_directory(sandbox.owner.id).mkdir(parents=True, exist_ok=True)
    free = [0]
    lab.engine.pause(sandbox.id)
    with Reserve(lab.engine, PLAN, sandbox, lambda: free[0]) as keeper:  # the user has paused it
        assert keeper.news() == f"docker unpause {sandbox.id[:12]}"
        free[0] = 5000
        assert not select.select([keeper], [], [], 0.3)[0]
    assert lab.engine.is_paused(sandbox.id)
    heard = itertools.count()
    with Reserve(lab.engine, PLAN, sandbox, lambda: 5000, heard=heard.__next__) as keeper:
        assert not select.select([keeper], [], [], 0.3)[0]  # while there is output nobody asks
    assert next(heard) > 2
    with Reserve(lab.engine, PLAN, sandbox, lambda: free[0], paused=True) as keeper:
        assert not select.select([keeper], [], [], 0.3)[0]
        lab.engine.unpause(sandbox.id)
        assert keeper.news() == ""
    with Reserve(lab.engine, PLAN, sandbox, lambda: free[0]) as keeper:
        assert not keeper.paused
        free[0] = 999
        eventually(lambda: lab.engine.is_paused(sandbox.id), 10)
        assert keeper.news() == reserve.FULL
        free[0] = 1050  # hardly more: it would fill up at once
        assert not select.select([keeper], [], [], 0.3)[0]
        free[0] = 2000
        eventually(lambda: not lab.engine.is_paused(sandbox.id))
        assert keeper.news() == ""
        free[0] = 0
        eventually(lambda: lab.engine.is_paused(sandbox.id))
    assert not lab.engine.is_paused(sandbox.id)


def test_the_disk_is_seen_from_here_and_from_inside(lab: Laboratory) -> None:
    sandbox = lab.create("sh", "-c", "sleep 60")
    sandbox.start()
    keeper = Reserve(lab.engine, PLAN, sandbox)
    here = keeper._look()
    keeper._is_here = False
    inside = keeper._look()
    assert here is not None
    assert inside is not None
    assert abs(here - inside) < 1 << 30


def test_the_user_is_called_and_can_stop_it(user: User, tmp_path: Path) -> None:
    user.extra |= {"REALM_DISK_RESERVE": "9000t", "REALM_NOTIFY": f"echo $REALM_EVENT >> {tmp_path}/events"}
    user.realm("new", "fat", "--detach", "--agent", "sh", "--", "-c", "echo kept > kept; sleep 600")

    def activity() -> str:
        found = json.loads(user.realm("list", "--json").out)
        return str(found[0]["activity"]) if found else ""

    eventually(lambda: activity() == "paused")
    assert "\tpaused: the disk is nearly full" in user.realm("list").out
    eventually((tmp_path / "events").exists)
    eventually(lambda: (tmp_path / "events").read_text() == "paused\n")
    done = user.realm("stop", "fat")
    assert done.code == 0, done.err
    assert "warning: the run was paused: the engine's disk was nearly full (realm.diskReserve)" in done.err
    assert user.repo.show("refs/realm/fat:kept") == "kept"
