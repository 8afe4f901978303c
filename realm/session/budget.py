"""Ends a run that costs more than ``realm.budget``, by the records of its agent and its sidecar.

The process that takes in the run's turns (:mod:`realm.session.live`) follows the conversation in the
container, and makes the holder stop the run.  What an agent writes can be wrong; where the sidecar is between
agent and model, it counts the usage in each answer, which no agent can change.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from realm.config import BUDGET
from realm.errors import EngineError, RealmError
from realm.paths import replace
from realm.sandbox.egress import sidecar
from realm.sandbox.egress.ticket import ticket
from realm.session import control
from realm.session.lock import run_directory
from realm.store import record
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realm.model import Budget
    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan

_FILE = "spent"
_PERIOD = 1.0
_LIMIT = 1000


class _Spent(NamedTuple):
    tokens: int = 0
    dollars: float = 0.0


class Meter:
    """Counts a run's cost: each message once, with the highest count seen."""

    def __init__(self, plan: Plan) -> None:
        self._agent = plan.agent
        self._messages: dict[str, _Spent] = {}

    def feed(self, lines: Iterable[bytes]) -> None:
        """Read lines of the conversation's file."""
        for message, tokens, dollars in self._agent.spent(lines):
            self._count(message, tokens, dollars)

    def feed_counted(self, lines: Iterable[bytes]) -> None:
        """Read lines of the sidecar's count."""
        for message, tokens in filter(None, map(sidecar.read_spent, lines)):
            self._count(message, tokens)

    def _count(self, message: str, tokens: int, dollars: float = 0.0) -> None:
        known = self._messages.get(message, _Spent())
        self._messages[message] = _Spent(max(known.tokens, tokens), max(known.dollars, dollars))

    def excess(self, budget: Budget) -> str:
        """Return in words how the budget is exceeded; empty while it is not."""
        messages = [*self._messages.values()]  # which another thread may add to
        tokens = sum(one.tokens for one in messages)
        dollars = sum(one.dollars for one in messages)
        if budget.tokens and tokens > budget.tokens:
            return f"{tokens:,} tokens, and realm.budget is {budget.tokens:,}"
        if budget.dollars and dollars > budget.dollars:
            return f"${dollars:.2f}, and realm.budget is ${budget.dollars:.2f}"
        return ""


def watch(plan: Plan, sandbox: Sandbox) -> None:
    """Stop the run when it has cost too much; returns when there is nothing left to watch."""
    budget = plan.config.value(BUDGET)
    if not any(budget):
        return
    meter = Meter(plan)
    if plan.api is not None:
        threading.Thread(target=_watch_answers, args=(plan, sandbox, meter), daemon=True).start()
    if plan.agent.conversations is not None:
        _watch_conversation(plan, sandbox, meter)


def _watch_answers(plan: Plan, sandbox: Sandbox, meter: Meter) -> None:
    """Follow what the sidecar counts; a sidecar that died and was recreated starts counting again."""
    command = sidecar.spending(ticket(sandbox.owner))
    while True:
        with contextlib.suppress(EngineError), sandbox.engine.listen(sandbox.owner.egress, command) as lines:
            while (heard := lines.read()) is not None:
                meter.feed_counted(heard)
                if _is_over(plan, meter):
                    return
        time.sleep(_PERIOD)


def _watch_conversation(plan: Plan, sandbox: Sandbox, meter: Meter) -> None:
    from realm.session.logs import conversation_file

    with record.Record(plan.project, plan.name) as found:
        # Part of the run may be counted already, by an earlier holder.
        known, counted = found.run(plan.run.number).said, found.said(plan.run.number)
    meter.feed(counted.splitlines())
    first = conversation_file(plan.session)
    while True:
        path = conversation_file(plan.session)
        with contextlib.suppress(EngineError):
            if path is not None and sandbox.state() == "running":
                _follow(plan, sandbox, path, meter, known if path == first else 0)
        time.sleep(_PERIOD)


def _follow(plan: Plan, sandbox: Sandbox, path: str, meter: Meter, known: int) -> None:
    from realm.session.logs import conversation_file

    with contextlib.ExitStack() as stack:
        lines, beside = stack.enter_context(sandbox.follow(path)), None
        if helpers := plan.agent.helpers(path):
            beside = stack.enter_context(sandbox.follow_all(helpers, '"usage"'))
        while (heard := lines.read(_PERIOD)) is not None:
            fresh = []
            for line in heard:
                if known > 0:
                    known -= len(line) + 1
                else:
                    fresh.append(line)
            meter.feed(fresh)
            if beside is not None and (told := beside.read(0)):
                meter.feed(told)
            if _is_over(plan, meter) or (not heard and conversation_file(plan.session) != path):
                return  # the agent began another


def _is_over(plan: Plan, meter: Meter) -> bool:
    """End the run when it has cost too much; return whether it has."""
    if excess := meter.excess(plan.config.value(BUDGET)):
        _end(plan, f"the run was stopped: it has cost {excess}")
    return bool(excess)


def _end(plan: Plan, why: str) -> None:
    with contextlib.suppress(OSError):
        replace(run_directory(plan.session.id) / _FILE, f"{plan.run.number} {why}\n".encode())
    with contextlib.suppress(RealmError, OSError):
        asked = control.ask(plan.session, {"op": "stop"})
        if asked is not None:
            asked.close()


def notes(session_id: str, run: int) -> list[str]:
    """Return why a run was stopped, if that was for its budget."""
    with contextlib.suppress(OSError, ValueError):
        with (run_directory(session_id) / _FILE).open("rb") as file:
            number, _, why = clean(file.read(_LIMIT)).partition(" ")
        return [why.strip()] if int(number) == run else []
    return []
