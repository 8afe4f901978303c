"""Sends a running agent a prompt, or the answer to its question, from another terminal."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realm.errors import EngineError, RealmError
from realm.model import Activity, State
from realm.session import account, claim, control
from realm.session.find import cut_off, state
from realm.session.lock import holder
from realm.store import listing
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import Project, Question, Session
    from realm.session.requests import UI

_SUBMITTED = 10.0
"""Seconds within which an agent confirms a prompt."""
_STEP = 0.05
_PRESSED, _LOOK = 8.0, 0.3
"""Seconds for each number of an answer, and between two of its keys."""
_DRAWN = 3.0
"""Seconds within which an agent draws the question that it announced."""


def send(name: str, directory: Path | None, text: str, ui: UI) -> None:
    """Send the agent a prompt, or queue it while it works; return once it has confirmed the prompt.

    Raises :class:`RealmError` when no agent runs, or it cannot get a prompt now.
    """
    project, session = claim.checked(name, directory)
    answer = _ask(project, session, {"op": "send", "text": text})
    if "queued" in answer:
        before = int(answer["queued"]) - 1
        place = f", after {plural(before, 'other')}" if before else ""
        ui.info(f"{name} is busy: it gets this when it is back at its prompt{place}")
        return
    if not _becomes(session, lambda now: now.turns > int(answer.get("turns", 0))):
        raise RealmError(
            f"the prompt was typed, but {name} did not confirm it; the agent's own commands are not "
            "confirmed",
            f"realm screen {name}, realm attach {name}",
        )
    ui.info(f"{name} has the prompt")


def choose(name: str, directory: Path | None, picks: list[list[int]], ui: UI) -> None:
    """Answer the agent's questions, each with its numbered options; raises as :func:`send`.

    ``picks`` are the numbers by question.  If the only question takes several answers, they are all for it.
    """
    project, session = claim.checked(name, directory)
    now = account.read(session.id)
    asked, told = (now.parts, now.told) if now is not None else ((), "")
    if len(asked) == 1 and asked[0].several:
        picks = [sorted({number for picked in picks for number in picked})]

    def is_over(now: account.Account) -> bool:
        return now.activity is not Activity.ASKS or now.told != told

    deadline = time.monotonic() + _PRESSED * (1 + sum(map(len, picks)))
    begun = False
    while time.monotonic() < deadline:
        # One key each time; if the screen does not react, it is pressed again after some seconds.
        try:
            _ask(project, session, {"op": "answer", "picks": picks, "told": told})
        except RealmError:
            if not (begun and _becomes(session, is_over, _LOOK)):
                raise
            break
        begun = True
        if _becomes(session, is_over, _LOOK):
            break
    else:
        raise RealmError(f"{name} did not take the answer", f"realm attach {name}")
    labels = (part.options[number - 1] for part, row in zip(asked, picks, strict=False) for number in row)
    ui.info(f"{name} was answered: {', '.join(labels)}")


def _ask(project: Project, session: Session, request: dict[str, Any]) -> dict[str, Any]:
    name = session.name
    deadline = time.monotonic() + _DRAWN
    while True:
        asked = control.ask(session, request)
        if asked is None:
            if holder(session.id) is not None:
                raise RealmError(f"{name} is just starting or ending", f"realm list; realm send {name} again")
            raise _not_held(project, session)
        with contextlib.closing(asked):
            answer = asked.answer
        if answer.get("ok"):
            return answer
        if answer.get("hint") != "again" or time.monotonic() > deadline:
            break
        time.sleep(5 * _STEP)
    why = clean(str(answer.get("why", "")))
    if why == "unknown":
        raise RealmError(
            f"{name} was started by an earlier version of realm",
            f"realm attach {name}, or realm stop {name} ends it and saves its work",
        )
    now = account.read(session.id)
    hint = f"realm attach {name}"
    if answer.get("hint") == "answer" and now is not None and now.parts:
        hint = f"{_how(name, now.parts)}, or realm attach {name}"
    raise RealmError(f"{name} was sent nothing: {why}", hint)


def _not_held(project: Project, session: Session) -> RealmError:
    """Return the error for a session that nobody holds, whose agent may be running all the same."""
    name = session.name
    row = next(iter(listing.rows(project, [name])), None)
    if row is None or state(row) is not State.INTERRUPTED:
        return RealmError(f"session {name} is not running", f"realm resume {name} continues it")
    from realm.sandbox import docker, lookup  # only here is an engine needed

    with contextlib.suppress(EngineError), docker.connect() as engine:
        if lookup.running(engine, session.id) is not None:
            return RealmError(
                f"the agent of {name} is still running, but the process that took its prompts was killed",
                f"realm attach {name} returns to it, and from then on it takes prompts again",
            )
    return cut_off(name)


def _how(name: str, parts: Sequence[Question]) -> str:
    """Return the command that answers the questions, with their options."""
    options = " ".join("--answer N,N" if part.several else "--answer N" for part in parts)
    listed = [
        ", ".join(f"{number} {label}" for number, label in enumerate(part.options, 1)) for part in parts
    ]
    if len(parts) > 1:
        listed = [f"{part.text} {row}" for part, row in zip(parts, listed, strict=True)]
    return f"realm send {name} {options} ({'; '.join(listed)})"


def _becomes(session: Session, condition: Any, seconds: float = _SUBMITTED) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = account.read(session.id)
        if now is None or condition(now):
            return True
        time.sleep(_STEP)
    return False
