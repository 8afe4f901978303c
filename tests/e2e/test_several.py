"""Several sessions at once, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]


def ended(user: User, *names: str) -> bool:
    rows = {row["name"]: row["state"] for row in user.listed()}
    return all(rows.get(name) == "exited" for name in names)


def test_attempts_from_one_commit(user: User) -> None:
    done = user.realm("new", "try", "--count", "3", "--agent", "sh", "--", "-c", "echo $REALM_SESSION >file")
    assert "3 sessions in the background: try-1, try-2 and try-3" in done.err
    names = ("try-1", "try-2", "try-3")
    eventually(lambda: ended(user, *names))
    for name in names:
        assert user.repo.show(f"refs/realm/{name}:file") == name
        assert user.repo.head(f"refs/realm/{name}~1") == user.repo.head()
    assert user.leftovers() == []


def test_a_task_each(user: User) -> None:
    user.repo.write("tasks.txt", "# today\necho one >file\n\n  echo two >file\n")
    done = user.realm("new", "day", "--each", "tasks.txt", "--agent", "sh", "--", "-c")
    assert "day-1 and day-2" in done.err
    assert done.err.count("tasks.txt is not committed and stays out") == 1  # of both
    eventually(lambda: ended(user, "day-1", "day-2"))
    assert [user.repo.show(f"refs/realm/day-{number}:file") for number in (1, 2)] == ["one", "two"]
    user.realm("new", "more", "--each", "-", "--agent", "sh", "--", "-c", stdin="echo three >file\n")
    eventually(lambda: ended(user, "more-1"))


def test_nothing_starts_where_one_cannot(user: User) -> None:
    user.scripted("try-2", "true")
    done = user.realm("new", "try", "--count", "3", "--agent", "true", code=125)
    assert "the session 'try-2' exists already" in done.err
    assert [row["name"] for row in user.listed()] == ["try-2"]
    for words in (("--count", "2", "--each", "x"), ("--each", "missing"), ("--count", "0")):
        refused = user.realm("new", "none", *words, "--agent", "true", code=None)
        assert refused.code in (2, 125), refused
        assert "error: " in refused.err
    assert [row["name"] for row in user.listed()] == ["try-2"]
