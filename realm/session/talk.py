"""A run's conversation, as its record keeps it: the files, first lines of prompts, last words."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.model import TurnText
from realm.paths import make_private
from realm.session import bounds, words
from realm.session.lock import run_directory
from realm.store import record
from realm.text import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realm.agents import Agent
    from realm.model import Run, Session
    from realm.redact import Redactor
    from realm.sandbox.report import Report
    from realm.session.run import Plan

WORDS = 200
"""Characters that are kept of the first line of an agent's last words."""
_SWITCHES = 10
"""The most recently left conversations to which an agent may be found to have returned."""


class Talk(NamedTuple):
    """A session and a run with their conversation, and its files."""

    session: Session
    run: Run
    files: dict[str, bytes]


def texts(session: Session, report: Report, redactor: Redactor) -> dict[int, TurnText]:
    """Return prompts and answers by turn, without secrets."""
    found = agents.find(session.agent).turn_texts(report.prompts, report.stops)
    return {
        at: TurnText(redactor.text(text.prompt), redactor.text(text.answer)) for at, text in found.items()
    }


def heard(talk: Talk, found: record.Record | None, report: Report, turn: int, most: int) -> Talk:
    """Return the talk with what the report adds to it; ``found`` is the record so far, ``most`` in bytes.

    The report has the conversation from some byte on.  What goes on where the record
    ends is kept as the turn's.  Another conversation has a turn of its own, with what it
    adds to what is known of it (``/resume``), or all of it (``/clear``, or one that was changed
    in its middle).
    """
    session, run, _ = talk
    if report.transcript is None or report.transcript.stat().st_size + report.begins > most:
        return talk
    data, agent = report.transcript.read_bytes(), agents.find(session.agent)
    conversation = agent.conversation_id(report.conversation or "") or session.conversation
    parts = found.talk(run.number) if found else {}
    turns = sorted({*parts, *dict(run.switches)}) or [0]
    before: int | None = turns[-1]
    known = run.said - report.begins
    so_far = found.conversation(run.number)[report.begins :] if found and known > 0 else b""
    if conversation == session.conversation and known >= 0 and data[:known] == so_far:
        turn = max(turn, turns[-1])
    elif report.begins or not data:
        return talk
    else:
        before, known = _left_off(found, run, turns, data) if found else (None, 0)
        if parts or run.continues:
            turn = max(turn, turns[-1] + 1)
            run = run._replace(switches=(*run.switches, (turn, before)))
    more, files = data[known:], {}
    # The words of a turn that another turn continued from stay as they were.
    gone_on = {onto for at, onto in run.switches if at != turn}
    ends = _ends(agent, more) if before in parts and before != turn and before not in gone_on else 0
    for at, new in ((before or 0, more[:ends]), (turn, more[ends:])):
        if new:
            kept = found.file(parts[at]) if found and at in parts else None
            files[record.talk_file(at)] = (kept or b"") + new
    run = run._replace(said=report.begins + len(data))
    return Talk(session._replace(conversation=conversation), run, files)


def _left_off(found: record.Record, run: Run, turns: Sequence[int], data: bytes) -> tuple[int | None, int]:
    """Return the turn at whose end the agent left the conversation ``data``, and its size in bytes then."""
    for at in sorted(dict(run.switches), reverse=True)[:_SWITCHES]:
        left = max((turn for turn in turns if turn < at), default=0)
        so_far = found.conversation(run.number, left)
        if so_far and data.startswith(so_far):
            return left, len(so_far)
    return None, 0


def _ends(agent: Agent, more: bytes) -> int:
    """Return the bytes before the first prompt, which belong to the turn before.

    An agent may write its last message after its hook has reported the turn's end.
    """
    lines = more.splitlines(keepends=True)
    return len(b"".join(lines[: next((one.line for one in agent.exchanges(lines)), 0)]))


def with_prompts(talk: Talk, texts: Mapping[int, TurnText], turn: int) -> Run:
    """Return the run with the first lines of its prompts, and how long each took; ``turn`` is its last."""
    session, run, files = talk
    prompts = dict(enumerate(run.prompts, 1)) | {at: first_line(text.prompt) for at, text in texts.items()}
    answers = [text.answer for text in texts.values() if text.answer.strip()]
    took = dict(enumerate(run.took, 1))
    for data in files.values():
        exchanges = agents.find(session.agent).exchanges(data.splitlines())
        took |= words.took(list(exchanges), prompts, max(turn, *prompts, 0))
    return run._replace(
        took=tuple(took.get(at, 0.0) for at in range(1, max(took, default=0) + 1)),
        prompts=tuple(prompts[at] for at in sorted(prompts)),
        closing=first_line(answers[-1], WORDS) if answers else run.closing,
    )


def too_long(plan: Plan, report: Report) -> str:
    """Keep a conversation that is too long for the record beside it, if there is one; return a note."""
    size = report.transcript.stat().st_size if report.transcript is not None else report.too_long
    if size <= bounds.transcript(plan.config):
        return ""
    kept = "it was not kept"
    if report.transcript is not None:
        place = make_private(run_directory(plan.session.id)) / f"transcript-{plan.run.number:04d}.jsonl"
        shutil.copyfile(report.transcript, place)
        kept = f"it is in {place}"
    return (
        f"the conversation has {size / 1e6:.0f} MB, too much for the record (realm.limit.transcript): "
        f"{kept}, and realm resume {plan.session.name} continues from an earlier one"
    )
