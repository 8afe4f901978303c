from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm.errors import RealmError
from realm.model import Activity, Run, State, Totals
from realm.session import account
from realm.session.account import Account
from realm.session.lock import RunLock
from realm.session.wait import wait
from realm.store import record, refs
from tests.support.store import project_of, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.repos import Repo

ID = "5e555e55-0000-4000-8000-5e555e555e5{}"


class Heard:
    """A voice that keeps what was said."""

    interactive = False

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, text: str) -> None:
        self.said.append(text)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def begin(made: Repo, name: str, number: int) -> Callable[[int | None], None]:
    """Begin a run of a session, held by this test; return what ends it, with an exit code or cut off."""
    project, base = project_of(made), made.head()
    facts = session(name, id=ID.format(number), base=base)
    run = Run(1, 1.0, base)

    def write(run: Run, state: State, old: str | None) -> str:
        new = record.write(
            project, parent=None, previous=old, session=facts, run=run, totals=Totals(), state=state, files={}
        )
        updates = [refs.RefUpdate(refs.META + name, old, new)]
        if old is None:
            updates.append(refs.RefUpdate(refs.CODE + name, None, base))
        refs.transact(project, updates, "test")
        return new

    first = write(run, State.RUNNING, None)
    lock = RunLock(facts.id, name, 1)
    lock.__enter__()

    def end(code: int | None) -> None:
        if code is not None:
            write(run._replace(ended=2.0, exit_code=code), State.EXITED, first)
        lock.close()

    return end


def later(seconds: float, do: Callable[[], object]) -> None:
    def work() -> None:
        time.sleep(seconds)
        do()

    threading.Thread(target=work, daemon=True).start()


def test_it_returns_when_the_last_has_ended_with_the_first_code_that_is_not_0(repo: Repo) -> None:
    ends = [begin(repo, name, number) for number, name in enumerate(("one", "two", "three"))]
    for delay, end, code in ((0.3, ends[1], 7), (0.6, ends[2], 3), (0.9, ends[0], 0)):
        later(delay, lambda end=end, code=code: end(code))  # type: ignore[misc]
    began = time.monotonic()
    assert wait([(name, repo.path) for name in ("one", "two", "three")], Heard()) == 7
    assert time.monotonic() - began > 0.8


def test_all_that_ended_well_is_0_and_what_does_not_run_is_over(repo: Repo) -> None:
    end = begin(repo, "one", 1)
    end(0)
    assert wait([("one", repo.path)], Heard()) == 0
    assert wait([], Heard()) == 0


def test_any_is_the_first(repo: Repo) -> None:
    one, two = begin(repo, "one", 1), begin(repo, "two", 2)
    later(0.3, lambda: two(5))
    assert wait([("one", repo.path), ("two", repo.path)], Heard(), first=True) == 5
    one(0)


def test_a_run_that_was_cut_off_is_an_error(repo: Repo) -> None:
    end = begin(repo, "one", 1)
    later(0.3, lambda: end(None))
    with pytest.raises(RealmError, match="was cut off") as raised:
        wait([("one", repo.path)], Heard())
    assert "realm attach one" in raised.value.hint


def test_a_question_is_said_once(repo: Repo) -> None:
    end, heard = begin(repo, "one", 1), Heard()
    account.write(ID.format(1), Account(1, Activity.ASKS, 1.0, question="Which?"))
    later(0.5, lambda: end(0))
    wait([("one", repo.path)], heard)
    assert heard.said == [
        "one asks: Which?", "one: done, no changes   realm resume one   realm remove one",
    ]  # fmt: skip


def test_who_is_at_its_prompt_does_not_end_by_itself(repo: Repo) -> None:
    ends, heard = [begin(repo, name, number) for number, name in enumerate(("old", "new"), 1)], Heard()
    account.write(ID.format(1), Account(1, Activity.DONE, time.time() - 120))
    account.write(ID.format(2), Account(1, Activity.DONE, time.time() - 20))
    for end in ends:
        later(0.5, lambda end=end: end(0))  # type: ignore[misc]
    wait([("old", repo.path), ("new", repo.path)], heard)
    assert heard.said[0] == "old is at its prompt, and does not end by itself: realm stop old"
    assert sorted(heard.said[1:]) == ["new: done, no changes", "old: done, no changes"]
