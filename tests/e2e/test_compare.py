"""Several sessions, and how a command ends on each of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_a_command_runs_on_each(user: User) -> None:
    user.scripted("good", "echo 42 >answer")
    user.scripted("bad", "echo 41 >answer")
    done = user.realm("compare", "good", "bad", "--check", "cat answer; grep -q 42 answer", "--json", code=1)
    rows = json.loads(done.out)
    assert [(row["name"], row["exit_code"], row["last"]) for row in rows] == [
        ("good", 0, "42"),
        ("bad", 1, "41"),
    ]
    assert user.leftovers() == []
    told = user.realm("compare", "good", "--check", "true").out
    assert told.startswith("good\t1\t1\t+1 −0\t–\tpassed (")  # noqa: RUF001 - dashes as they are shown
