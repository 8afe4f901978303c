"""What is handed over at a turn's end is the agent's word: no more comes in by it than at the run's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RejectedError
from realm.store.ingest import ingest
from tests.support.store import Forge, assert_sound, copy_command, project_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo
    from tests.support.user import User

SECRET = b"the password is swordfish\n"
POINT = f"echo {'1' * 40} {'1' * 40} 1 1 >/realm/out/live/0001/point"
FORGED = {
    "garbage": "echo junk >/realm/out/live/0001/point",
    "a state that is not there": POINT,
    "no pack": f"head -c 9999 /dev/urandom >/realm/out/live/0001/pack; {POINT}",
    "a pipe": "mkfifo /realm/out/live/0001/point",
}


@pytest.mark.engine
@pytest.mark.parametrize("what", FORGED)
def test_a_forged_turn_costs_nothing_but_the_turns_before_the_end(claude: User, what: str) -> None:
    prompt = f"run mkdir -p /realm/out/live/0001; {FORGED[what]}; echo work >work"
    done = claude.realm("new", "forge", "-p", prompt)
    assert claude.repo.show("refs/realm/forge:work") == "work"
    assert "Traceback" not in done.err
    assert list(claude.leftovers()) == []


def test_a_secret_is_not_fished_by_way_of_an_earlier_turn(repo: Repo, tmp_path: Path) -> None:
    """A delta on a hidden object brings it into the pack; kept, it would pass for the agent's own."""
    repo.git("checkout", "-q", "-b", "private")
    repo.write("password", SECRET)
    repo.commit("Private")
    hidden = repo.git("rev-parse", "HEAD:password")
    repo.git("checkout", "-q", "-")
    earlier = tmp_path / "earlier"
    first = Forge(project_of(repo))
    size = len(SECRET)
    first.delta(hidden, copy_command(0, size - 1) + b"\x01!", size, size)
    taken = first.intake(tmp_path / "one", first.file(data=b"harmless\n"))
    with pytest.raises(RejectedError, match="builds on objects that are not in it"):
        ingest(taken._replace(earlier=earlier, keep="0001"))
    assert not list(earlier.glob("pack/*"))
    second = Forge(project_of(repo))
    stolen = second.commit(second.tree(("100644", b"stolen", hidden)))
    with pytest.raises(RejectedError, match="not in the container"):
        ingest(second.intake(tmp_path / "two", stolen)._replace(earlier=earlier, keep="0002"))
    assert_sound(repo)
