"""A run that costs too much is stopped in the middle of a turn, and its work is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_a_run_ends_where_its_budget_does(claude: User) -> None:
    claude.extra["REALM_BUDGET"] = "50"
    steps = "\n".join(f"run sleep 2; echo {step} > done.txt" for step in range(30))
    done = claude.realm("new", "dear", "--", "-p", steps, code=None, limit=120)
    assert "warning: the run was stopped: it has cost 6" in done.err
    assert "tokens, and realm.budget is 50" in done.err
    assert int(claude.repo.show("refs/realm/dear:done.txt")) < 20
    (run,) = json.loads(claude.realm("audit", "dear", "--json").out)
    assert run["tokens_in"] + run["tokens_out"] >= 60


def test_what_helpers_cost_counts(claude: User) -> None:
    claude.extra["REALM_BUDGET"] = "50"
    prompt = "delegate run echo one\nrun sleep 20"
    done = claude.realm("new", "led", "--", "-p", prompt, code=None, limit=120)
    assert "warning: the run was stopped: it has cost " in done.err
    (run,) = json.loads(claude.realm("audit", "led", "--json").out)
    assert run["tokens_in"] + run["tokens_out"] <= 50
