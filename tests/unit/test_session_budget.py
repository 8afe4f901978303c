"""What a run costs, counted from what its agent notes, and when that is too much."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from realm.config import BUDGET, Config
from realm.errors import UsageError
from realm.model import Budget, Run
from realm.paths import make_private
from realm.session import budget
from realm.session.lock import run_directory
from realm.session.run import Plan
from tests.support.store import SESSION_ID, STARTED, project_of, session

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Budget()), ("none", Budget()), ("500k", Budget(500_000)), ("1.5m", Budget(1_500_000)),
        ("1234", Budget(1234)), ("$5", Budget(dollars=5)), ("$0.25", Budget(dollars=0.25)),
    ],
)  # fmt: skip
def test_what_a_run_may_cost(text: str, wanted: Budget) -> None:
    assert BUDGET.read(text) == wanted


@pytest.mark.parametrize("text", ["0", "$0", "-1", "5 apples", "$5k", "1e9", "five"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a number of tokens, such as 500k, nor dollars"):
        BUDGET.read(text)


def line(message: str, sent: int, received: int, **more: Any) -> bytes:
    usage = {"input_tokens": sent, "cache_read_input_tokens": 1, "output_tokens": received}
    return json.dumps({"type": "assistant", "message": {"id": message, "usage": usage}, **more}).encode()


def meter(repo: Repo) -> budget.Meter:
    plan = Plan(
        project_of(repo), session(), Run(1, STARTED, "a" * 40), Config(), None, None, None,  # type: ignore[arg-type]
    )  # fmt: skip
    return budget.Meter(plan)


def test_each_message_counts_once(repo: Repo) -> None:
    counted = meter(repo)
    counted.feed([line("a", 10, 1), line("a", 10, 5), b"no json", b'{"usage": 1}', line("b", 20, 2)])
    assert counted.excess(Budget(tokens=39)) == ""
    assert counted.excess(Budget(tokens=38)) == "39 tokens, and realm.budget is 38"
    assert counted.excess(Budget(dollars=0.01)) == ""
    counted.feed([line("c", 1, 1, costUSD=0.5), line("c", 1, 1, costUSD=0.75)])
    assert counted.excess(Budget(dollars=0.5)) == "$0.75, and realm.budget is $0.50"


@pytest.mark.parametrize("value", [-5, 10**30, "7", None, True, [1]])
def test_a_lie_that_is_no_number_counts_nothing(value: Any, repo: Repo) -> None:
    counted = meter(repo)
    counted.feed([line("a", value, value)])
    assert counted.excess(Budget(tokens=2)) == ""


def test_the_reason_is_that_runs_alone() -> None:
    place = make_private(run_directory(SESSION_ID)) / "spent"
    assert budget.notes(SESSION_ID, 2) == []
    place.write_text("2 the run was stopped\x1b[1m\n")
    assert budget.notes(SESSION_ID, 2) == ["the run was stopped[1m"]
    assert budget.notes(SESSION_ID, 3) == []
    place.write_text("nonsense")
    assert budget.notes(SESSION_ID, 2) == []
