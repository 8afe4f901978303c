from __future__ import annotations

import json

import pytest

from realm import agents
from realm.agents.base import Exchange
from realm.session.words import find, took

CLAUDE = agents.find()


def told(*prompts: str) -> list[Exchange]:
    return [Exchange(prompt) for prompt in prompts]


@pytest.mark.parametrize(
    ("conversation", "prompts", "turn", "place"),
    [
        (("a", "b"), ("a", "b"), 1, 0),
        (("a", "b"), ("a", "b"), 2, 1),
        (("a", "a", "a"), ("a", "a"), 1, 1),
        (("earlier", "a", "b"), ("a", "b"), 1, 1),
        (("a", "of no hook", "b"), ("a", "b"), 1, 0),
        (("a\nmore", "b"), ("a",), 1, 0),
        (("b",), ("a", "b"), 2, 0),
        (("b",), ("a", "b"), 1, None),
        ((), ("a",), 1, None),
    ],
)
def test_a_turn_is_found_in_the_conversation(
    conversation: tuple[str, ...], prompts: tuple[str, ...], turn: int, place: int | None
) -> None:
    assert find(told(*conversation), prompts, turn) == place


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\xff", b"[]", b'{"type": "user"}', b'{"type": "user", "message": []}', b"[" * 100_000,
        b'{"type": "user", "message": {"content": [1, {"type": "text"}]}}',
        b'{"type": "assistant", "message": {"content": 1, "usage": {"input_tokens": "x"}}, "costUSD": NaN}',
        b'{"type": "assistant", "message": {"id": [], "usage": 3}}',
    ],
)  # fmt: skip
def test_lines_of_any_kind_are_passed_over(line: bytes) -> None:
    prompt = json.dumps({"type": "user", "message": {"content": "go"}}).encode()
    (found,) = CLAUDE.exchanges([line, prompt, line])
    assert found._replace(line=0) == Exchange("go")


def test_what_is_no_prompt_does_not_count_as_one() -> None:
    lines = [
        {"type": "user", "message": {"content": "go"}},
        {"type": "user", "isMeta": True, "message": {"content": "about the commands"}},
        {"type": "user", "isSidechain": True, "message": {"content": "a helper's"}},
        {"type": "user", "message": {"content": "<command-name>/exit</command-name>"}},
        {"type": "user", "message": {"content": [{"type": "tool_result"}, {"type": "text", "text": "x"}]}},
        {"type": "user", "message": {"content": [{"type": "text", "text": "[Request interrupted by user]"}]}},
    ]
    assert [found.prompt for found in CLAUDE.exchanges(json.dumps(line).encode() for line in lines)] == ["go"]


def test_how_long_prompts_took_is_read_from_the_end() -> None:
    at = [f"2026-11-26T10:00:{second:02}.500Z" for second in range(10)]
    told = [
        Exchange("earlier", began=at[0], ended=at[1]),
        Exchange("one\nmore", began=at[1], ended=at[3]),
        Exchange("two", began=at[5], ended=at[4]),
        Exchange("three", began="nonsense", ended=at[9]),
        Exchange("four", began=at[6], ended=at[9]),
    ]
    assert took(told, {1: "one", 2: "two", 3: "three", 4: "four"}, 4) == {1: 2.0, 4: 3.0}
    assert took(told, {1: "four"}, 1) == {1: 3.0}
    assert took(told, {1: "other"}, 1) == {}
    assert took([], {1: "one"}, 1) == {}
