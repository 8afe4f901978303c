"""Giving a running agent a prompt, or the answer to its question, from elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realm.errors import RealmError
from realm.model import Activity
from realm.session import account, claim, control
from realm.session.find import find
from realm.session.lock import holder
from realm.store import record
from realm.text import clean, plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Session
    from realm.session.requests import UI

_SUBMITTED = 10.0
"""Seconds in which an agent says that it was given a prompt."""
_STEP = 0.05
_TRIES, _TAKEN = 4, 4.0
"""How often an answer is given, and the seconds that the agent has each time to go on because of it."""
_DRAWN = 3.0
"""Seconds that an agent has to show the question that it says it asks."""


def send(name: str, directory: Path | None, text: str, ui: UI) -> None:
    """Give the agent a prompt, or keep it for it while it works; return when it has said that it has it.

    Raises :class:`RealmError` when no agent runs, or it cannot be given one now.
    """
    session = _running(name, directory)
    answer = _ask(session, {"op": "send", "text": text})
    if "queued" in answer:
        before = int(answer["queued"]) - 1
        place = f", after {plural(before, 'other')}" if before else ""
        ui.info(f"{name} is busy: it gets this when it is at its prompt{place}")
        return
    if not _becomes(session, lambda now: now.turns > int(answer.get("turns", 0))):
        raise RealmError(
            f"the prompt was typed, but {name} did not say that it has it; a command of the agent's own "
            "is none",
            f"realm screen {name}, realm attach {name}",
        )
    ui.info(f"{name} has the prompt")


def choose(name: str, directory: Path | None, number: int, ui: UI) -> None:
    """Answer the agent's question with one of its numbered answers; errors as :func:`send` has them."""
    session = _running(name, directory)
    for _ in range(_TRIES):
        # A question that was just drawn takes no key yet; one that is still there is the same one.
        answer = _ask(session, {"op": "send", "answer": number})
        told = answer.get("told")
        if _becomes(
            session, lambda now, told=told: now.activity is not Activity.ASKS or now.told != told, _TAKEN
        ):
            ui.info(f"{name} was answered: {clean(str(answer.get('chosen', number)))}")
            return
    raise RealmError(f"{name} did not take the answer", f"realm attach {name}")


def _went_on(told: object, now: account.Account) -> bool:
    return now.activity is not Activity.ASKS or now.told != told


def _running(name: str, directory: Path | None) -> Session:
    project = find(name, directory)
    session = record.read_session(project, name)
    claim.check(project, session)
    return session


def _ask(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    name = session.name
    deadline = time.monotonic() + _DRAWN
    while True:
        asked = control.ask(session.id, request)
        if asked is None:
            if holder(session.id) is not None:
                raise RealmError(f"the holder of {name} does not answer", f"realm attach {name}")
            raise RealmError(f"nothing of session {name} is running", f"realm resume {name} goes on with it")
        with contextlib.closing(asked):
            answer = asked.answer
        if answer.get("ok"):
            return answer
        if answer.get("hint") != "again" or time.monotonic() > deadline:
            break
        time.sleep(5 * _STEP)
    why = clean(str(answer.get("why", "")))
    if why == "unknown":
        raise RealmError(f"{name} was started by an earlier version of realm", f"realm attach {name}")
    now = account.read(session.id)
    hint = f"realm attach {name}"
    if answer.get("hint") == "answer" and now is not None and now.options:
        numbered = ", ".join(f"{number} {label}" for number, label in enumerate(now.options, 1))
        hint = f"realm send {name} --answer N ({numbered}), or realm attach {name}"
    raise RealmError(f"{name} was given nothing: {why}", hint)


def _becomes(session: Session, condition: Any, seconds: float = _SUBMITTED) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = account.read(session.id)
        if now is None or condition(now):
            return True
        time.sleep(_STEP)
    return False
