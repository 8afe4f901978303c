"""The stand-in speaks the Messages API and follows its grammar."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.support.api import Json, MessagesApi, Plan, bash, plan


def _ask(api: MessagesApi, messages: list[Json], **more: Any) -> str:
    body = {"model": "m", "tools": [{"name": "Bash"}], "messages": messages} | more
    headers = {"Content-Type": "application/json", "X-Api-Key": "key-1"}
    request = urllib.request.Request(f"{api.url}/v1/messages?beta=true", json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return str(answer.read().decode())


def test_every_line_of_the_grammar_is_a_step() -> None:
    made = plan("please\nwrite a b.txt with it's\nrun make\nwait 0.5\nsay Bye")
    assert [step.arguments.get("command") for step in made.steps] == [
        "printf '%s\\n' 'it'\"'\"'s' > 'a b.txt'",
        "make",
        None,
    ]
    assert made.steps[2].delay == 0.5
    assert made.closing == "Bye"


def test_one_step_for_each_result_then_the_closing_words() -> None:
    with MessagesApi() as api:
        prompt = {"role": "user", "content": "run first\nrun second"}
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": ""}]}
        used = {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}],
        }
        answers = [json.loads(_ask(api, [prompt, *[used, result] * done])) for done in range(3)]
    commands = [answer["content"][0].get("input", {}).get("command") for answer in answers]
    assert commands == ["first", "second", None]
    assert [answer["stop_reason"] for answer in answers] == ["tool_use", "tool_use", "end_turn"]
    assert [request.key for request in api.asked] == ["key-1"] * 3
    assert api.asked[0].prompts() == ["run first\nrun second"]


def test_streams_events_in_order() -> None:
    with MessagesApi(planner=lambda _: Plan((bash("true"),))) as api:
        stream = _ask(api, [{"role": "user", "content": "x"}], stream=True)
    names = [line.removeprefix("event: ") for line in stream.splitlines() if line.startswith("event: ")]
    assert names == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
