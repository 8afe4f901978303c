from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from realm import agents
from realm.agents.base import Field, Press
from realm.model import Activity, Question
from realm.session import account, prompts
from realm.session.account import Account
from realm.session.lock import run_directory
from realm.session.prompts import Prompter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.sandbox.stream import Attachment
    from realm.session.bookkeeper import Bookkeeper
    from realm.session.recordings import TerminalState
    from realm.session.run import Plan

ID = "01234567-89ab-cdef-0123-456789abcdef"


class Agent(agents.Agent):
    """One whose screen is what the test says."""

    name = "the agent"
    shown = Field.EMPTY
    pressed: Press | None = None

    def paste(self, text: str) -> bytes:
        return f"<{text}>".encode()

    def field(self, rows: Any) -> Field:  # noqa: ARG002
        return self.shown

    def press(self, rows: Any, questions: Any, picks: Any) -> Press | None:  # noqa: ARG002
        return self.pressed


class Stage:
    """A run with its agent, an account that the test writes, and what the agent was typed."""

    def __init__(self, number: int = 1, *, tty: bool = True) -> None:
        run_directory(ID).mkdir(parents=True, exist_ok=True)
        self.agent, self.tty = Agent(), tty
        self.session = type("Session", (), {"id": ID})
        self.run = type("Run", (), {"number": number})
        self.size = (24, 80)
        self.paused = ""
        self.account = Account(number, Activity.READY, time.time())
        self.ours, self._theirs = socket.socketpair()
        self.ours.setblocking(False)
        whole = cast("Any", self)
        self.prompts = Prompter(
            cast("Plan", whole), cast("Bookkeeper", whole), cast("TerminalState", whole),
            lambda: cast("Attachment", self.ours), paused=lambda: self.paused,
        )  # fmt: skip

    def flush(self) -> None:
        """Write what a recording would have."""

    def become(self, activity: Activity, **more: Any) -> None:
        self.account = self.account._replace(activity=activity, **more)

    def typed(self) -> bytes:
        self._theirs.setblocking(False)
        try:
            return os.read(self._theirs.fileno(), 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.ours.close()
        self._theirs.close()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(prompts, "_STEP", 0.0)
    made = Stage()
    yield made
    made.close()


def test_one_at_its_prompt_is_given_it_at_once_and_cleaned(stage: Stage) -> None:
    assert stage.prompts.answer({"text": "fix\x1b[201~\x03 it\nnow"}) == {"ok": True, "turns": 0}
    assert stage.typed() == b"<fix[201~ it\nnow>"


def test_one_that_is_paused_is_typed_nothing(stage: Stage) -> None:
    stage.paused = "its container is paused"
    for op in ("send", "answer"):
        told = stage.prompts.answer({"op": op, "text": "fix it"})
        assert (told["ok"], told["why"]) == (False, "its container is paused")
    assert (stage.typed(), stage.prompts.queue) == (b"", [])


def test_one_that_realm_paused_gets_its_prompt_when_it_goes_on(stage: Stage) -> None:
    stage.become(Activity.ASKS, paused="the disk is nearly full")
    told = stage.prompts.answer({"op": "answer", "picks": [[1]], "told": ""})
    assert (told["ok"], told["why"]) == (False, "it is paused: the disk is nearly full")
    stage.become(Activity.DONE)
    assert stage.prompts.answer({"text": "next"}) == {"ok": True, "queued": 1}
    assert not stage.prompts.idle()
    assert stage.typed() == b""
    stage.become(Activity.DONE, paused="")
    stage.prompts.idle()
    assert stage.typed() == b"<next>"


def test_one_that_works_is_given_them_in_order_when_it_is_done(stage: Stage) -> None:
    stage.become(Activity.WORKING)
    assert stage.prompts.answer({"text": "one"}) == {"ok": True, "queued": 1}
    assert stage.prompts.answer({"text": "two"}) == {"ok": True, "queued": 2}
    assert not stage.prompts.idle()
    stage.become(Activity.DONE)
    stage.agent.shown = Field.DRAFT
    assert stage.prompts.idle()
    assert stage.typed() == b""
    stage.agent.shown = Field.EMPTY
    stage.prompts.idle()
    assert stage.typed() == b"<one>"
    stage.prompts.idle()  # it has not said yet that it has the first one
    assert stage.typed() == b""
    stage.become(Activity.WORKING, turns=1)
    stage.become(Activity.DONE)
    stage.prompts.idle()
    assert stage.typed() == b"<two>"
    assert stage.prompts.rest() == ""


def test_what_waits_outlives_its_holder_and_not_its_run(stage: Stage) -> None:
    stage.become(Activity.WORKING)
    stage.prompts.answer({"text": "later"})
    again, other = Stage(), Stage(2)
    assert again.prompts.queue == ["later"]
    assert other.prompts.queue == []
    assert again.prompts.rest() == "1 prompt still queued at the end was not sent, the first: later"
    (run_directory(ID) / "queue.json").write_text("[")
    damaged = Stage()
    assert damaged.prompts.queue == []
    for made in (again, other, damaged):
        made.close()


PARTS = (Question("Which?", ("One", "Two")),)


def _number(number: int) -> dict[str, Any]:
    return {"op": "answer", "picks": [[number]], "told": "x"}


def test_a_question_is_answered_by_a_number_that_is_shown_and_by_nothing_else(stage: Stage) -> None:
    stage.become(Activity.ASKS, question="Which?", parts=PARTS, told="x")
    assert stage.prompts.answer({"text": "Two"})["why"] == "it asks: Which?"
    assert stage.prompts.answer(_number(3))["why"] == "the answers of Which? are 1 to 2: One, Two"
    stage.agent.pressed = None
    assert stage.prompts.answer(_number(2))["hint"] == "again"
    stage.agent.pressed = Press(b"", "review")
    assert "other answers" in stage.prompts.answer(_number(2))["why"]
    assert stage.typed() == b""
    stage.agent.pressed = Press(b"2", "page")
    assert stage.prompts.answer(_number(2)) == {"ok": True}
    assert stage.typed() == b"2"
    stage.become(Activity.DONE)
    assert stage.prompts.answer(_number(2))["why"] == "it asks nothing"


def test_a_key_is_pressed_once_until_the_screen_goes_on_or_seconds_have_passed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.become(Activity.ASKS, question="Which?", parts=(*PARTS, *PARTS), told="x")
    asked = {"op": "answer", "picks": [[2], [1]], "told": "x"}
    stage.agent.pressed = Press(b"2", "page 0")
    for _ in range(3):
        assert stage.prompts.answer(asked)["ok"]
    assert stage.typed() == b"2"
    stage.agent.pressed = Press(b"1", "page 1")
    assert stage.prompts.answer(asked)["ok"]
    assert stage.typed() == b"1"
    monkeypatch.setattr(prompts, "_DROPPED", 0.0)
    assert stage.prompts.answer(asked)["ok"]
    assert stage.typed() == b"1"
    assert "something else" in stage.prompts.answer(asked | {"told": "y"})["why"]
    for picks, why in (([[1]], "asks 2 questions, and that is 1 answer"), ([[1, 2], [1]], "only one answer"),
                       ([[], [1]], "are 1 to 2"), ([[3], [1]], "are 1 to 2"), (3, "0 answers")):  # fmt: skip
        assert why in stage.prompts.answer(asked | {"picks": picks})["why"]
    assert stage.typed() == b""


def test_who_reads_slowly_holds_nobody_up(stage: Stage) -> None:
    stage.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    text = "x" * 200_000
    began = time.monotonic()
    assert stage.prompts.answer({"text": text}) == {"ok": True, "turns": 0}
    assert time.monotonic() - began < 1
    read = stage.typed()
    while stage.prompts.idle():
        read += stage.typed()
    assert read + stage.typed() == f"<{text}>".encode()


def test_a_draft_is_not_joined(stage: Stage) -> None:
    stage.agent.shown = Field.DRAFT
    assert "begun to write" in stage.prompts.answer({"text": "x"})["why"]
    assert (stage.typed(), stage.prompts.queue) == (b"", [])


def test_an_agent_that_was_interrupted_is_done(stage: Stage) -> None:
    stage.become(Activity.WORKING)
    stage.agent.shown = Field.BUSY
    assert stage.prompts.idle(interrupted=True) is False
    assert stage.account.activity == "working"
    stage.agent.shown = Field.DRAFT
    stage.prompts.idle(interrupted=True)
    assert stage.account.activity == "done"


def test_without_a_terminal_there_is_nowhere_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "_STEP", 0.0)
    bare = Stage(tty=False)
    assert bare.prompts.answer({"text": "x"})["why"] == "it has no terminal"
    bare.close()
    assert account.read(ID) is None
