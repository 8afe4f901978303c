"""A turn's prompt in full, its last words and its cost, from the record."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realm.agents.base import Exchange
    from realm.model import Run, Session
    from realm.store import record


def of_turn(found: record.Record, session: Session, run: Run, turn: int) -> Exchange | None:
    """Return a turn's exchange; ``None`` if the record does not have it."""
    kept = found.said(run.number)
    if not kept or not 0 < turn <= len(run.prompts):
        return None
    from realm import agents  # takes milliseconds

    told = list(agents.find(session.agent).exchanges(kept.splitlines()))
    place = find(told, run.prompts, turn)
    return None if place is None else told[place]


def summary(found: record.Record, session: Session) -> str:
    """Return prompts and answers so far, for an agent that cannot continue the conversation."""
    from realm import agents

    parts = []
    for number in found.numbers():
        for one in agents.find(session.agent).exchanges(found.said(number).splitlines()):
            prompt, answer = (clean(text, multiline=True, limit=_PART) for text in (one.prompt, one.answer))
            parts.append(f"The user asked:\n{prompt.strip()}\n\nYou answered:\n{answer.strip()}\n")
    text = "\n".join(parts)
    return _BEFORE + (text if len(text) <= _WHOLE else "…" + text[-_WHOLE:])


_PART, _WHOLE = 2000, 20_000
"""The longest prompt or answer, and the longest summary, in characters."""
_BEFORE = (
    "You have worked on this before. The conversation itself is not here; this is what was asked and "
    "answered. The work is in the files and in git's history. Asterisks stand for secrets.\n\n"
)


def find(told: Sequence[Exchange], prompts: Sequence[str], turn: int) -> int | None:
    """Return which of a conversation's exchanges is turn ``turn`` (from 1) of a run that asked ``prompts``.

    A conversation begins with that of earlier runs, and may have prompts that no hook told of: the
    run's are looked for from the end, each before the one that came after it.
    """
    place = len(told)
    for prompt in reversed(prompts[turn - 1 :]):
        while place > 0 and not _is_said(told[place - 1].prompt, first_line(prompt)):
            place -= 1
        place -= 1
        if place < 0:
            return None
    return place


def took(told: Sequence[Exchange], prompts: Mapping[int, str], last: int) -> dict[int, float]:
    """Return the seconds that prompts took by number; the last of ``told`` is for prompt ``last``."""
    found: dict[int, float] = {}
    for number, exchange in zip(range(last, 0, -1), reversed(told), strict=False):
        if not _is_said(exchange.prompt, prompts.get(number, "")):
            break
        begun, ended = _moment(exchange.began), _moment(exchange.ended)
        if begun is not None and ended is not None and 0 <= ended - begun < _LONGEST:
            found[number] = ended - begun
    return found


def _is_said(prompt: str, noted: str) -> bool:
    """Tell whether the first line of ``prompt`` equals the noted one, in which secrets are asterisks."""
    line = first_line(prompt)
    return len(line) == len(noted) and all(noted[at] in ("*", char) for at, char in enumerate(line))


_LONGEST = 30 * 86400.0


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
