from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from realm import agents
from realm.model import Activity
from realm.session import account, bookkeeper
from realm.session.bookkeeper import Bookkeeper
from realm.session.lock import run_directory
from realm.terminal.relay.events import Event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan

ID = "01234567-89ab-cdef-0123-456789abcdef"


class Told:
    """A sandbox in which the agent's hook has said ``word``."""

    def __init__(self) -> None:
        self.word: dict[str, Any] | bytes = b""
        self.looks = 0

    def read_file(self, path: str, limit: int) -> bytes | None:  # noqa: ARG002 - as a sandbox has it
        self.looks += 1
        if not path.endswith("now"):
            return None
        return self.word if isinstance(self.word, bytes) else json.dumps(self.word).encode()


class Running:
    """As much of a plan as an account needs: a run with a terminal of Claude Code."""

    def __init__(
        self, number: int = 1, *, tty: bool = True, words: tuple[str, ...] = (), args: tuple[str, ...] = ()
    ) -> None:
        self.agent, self.tty, self.agent_args = agents.find(words), tty, args
        self.session = type("Session", (), {"id": ID})
        self.run = type("Run", (), {"number": number})


@pytest.fixture
def sandbox() -> Told:
    run_directory(ID).mkdir(parents=True)
    return Told()


def books(sandbox: Told, number: int = 1, *, tty: bool = True, words: tuple[str, ...] = ()) -> Bookkeeper:
    return Bookkeeper(cast("Plan", Running(number, tty=tty, words=words)), cast("Sandbox", sandbox))


def noted() -> account.Account:
    found = account.read(ID)
    assert found is not None
    return found


def test_a_screen_waits_for_a_prompt_and_any_other_program_works(sandbox: Told) -> None:
    books(sandbox)
    assert noted().activity is Activity.READY
    books(sandbox, 2, tty=False)
    assert noted().activity is Activity.WORKING
    books(sandbox, 3, words=("sh",))
    assert noted().activity is Activity.WORKING
    Bookkeeper(cast("Plan", Running(4, args=("-p", "go"))), cast("Sandbox", sandbox))
    assert (noted().activity, noted().prompt) == (Activity.WORKING, "go")


def test_marks_are_noted_at_once(sandbox: Told) -> None:
    kept = books(sandbox)
    kept.hear(Event.BEGUN)
    assert (noted().activity, noted().turns) == (Activity.WORKING, 1)
    kept.hear(Event.BELL)
    assert noted().activity is Activity.RANG
    kept.hear(Event.ENDED)
    kept.hear(Event.BELL)
    assert noted().activity is Activity.DONE


def test_what_a_hook_said_is_read_cleaned_and_cut(sandbox: Told) -> None:
    kept = books(sandbox)
    options = [{"label": "\x1b[2Jred"}, {"label": "b" * 500}]
    sandbox.word = {
        "hook_event_name": "PermissionRequest",
        "tool_input": {"questions": [{"question": "Which\x07?\nNow", "options": options}]},
    }
    kept.hear(Event.TOLD)
    eventually(lambda: noted().activity is Activity.ASKS)
    assert noted().question == "Which?"
    kept.pause("docker unpause 0123")
    assert (noted().paused, noted().question) == ("docker unpause 0123", "Which?")
    kept.pause("")
    assert (noted().paused, noted().activity) == ("", Activity.ASKS)
    assert noted().parts[0].options[0] == "[2Jred"
    assert len(noted().parts[0].options[1]) < 100
    kept.hear(Event.ENDED)
    assert (noted().question, noted().parts) == ("", ())


def test_the_first_prompt_and_the_last_words_stay(sandbox: Told) -> None:
    kept = books(sandbox)
    for word in (
        {"hook_event_name": "UserPromptSubmit", "prompt": "raise it"},
        {"hook_event_name": "Stop", "last_assistant_message": "Raised."},
        {"hook_event_name": "UserPromptSubmit", "prompt": "more"},
    ):
        sandbox.word = word
        before = noted().told
        kept.hear(Event.TOLD)
        eventually(lambda before=before: noted().told != before)  # type: ignore[misc]
    assert (noted().prompt, noted().words, noted().activity) == ("raise it", "Raised.", Activity.WORKING)


def test_any_number_of_marks_costs_a_few_looks(sandbox: Told) -> None:
    kept = books(sandbox)
    sandbox.word = b"no JSON"
    began = time.monotonic()
    for _ in range(2000):
        kept.hear(Event.TOLD)
    eventually(lambda: not kept.looking)
    assert 0 < sandbox.looks <= 2 * ((time.monotonic() - began) / bookkeeper._PAUSE + 1)


def test_another_holder_goes_on_with_the_same_account(sandbox: Told) -> None:
    books(sandbox).hear(Event.BEGUN)
    again = books(sandbox)
    assert (again.account.activity, again.account.turns) == (Activity.WORKING, 1)
    assert books(sandbox, 2).account.turns == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": "x"}', '{"run": 1, "activity": "flying"}'])
def test_a_damaged_account_is_none(sandbox: Told, content: str) -> None:
    assert sandbox.looks == 0
    (run_directory(ID) / "account.json").write_text(content)
    assert account.read(ID) is None
    account.forget(ID)
    account.forget(ID)
