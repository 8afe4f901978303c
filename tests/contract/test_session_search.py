"""Looking for words in records, which anybody may have written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.history import Asked, Past, realm

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.fixture
def past(repo: Repo) -> Past:
    """Return one of two sessions with words in them."""
    made = Past(repo, "tax")
    screens = {
        "screen.txt": b"all of it is shown\nthe end\n",
        "turns/0001.screen.txt": b"the Shipping table\n\x1b[31mred\n",
    }
    made.run(Asked("raise shipping", {"one.txt": "1\n"}), Asked("and the rate?"), files=screens)
    other = Past(repo, "ship", id="5e555e55-0000-4000-8000-000000000002")
    other.run(Asked("ship it", {"two.txt": "2\n"}))
    return made


def found(past: Past, *arguments: str, code: int = 0) -> list[tuple[str, int, str, str]]:
    done = realm(past.repo.path, "grep", "--json", *arguments)
    assert (done.code, done.err) == (code, "")
    return [(hit["name"], hit["turn"], hit["where"], hit["line"]) for hit in json.loads(done.out)]


def test_prompts_and_screens_are_looked_at(past: Past) -> None:
    assert found(past, "ship") == [
        ("ship", 1, "prompt", "ship it"),
        ("tax", 1, "prompt", "raise shipping"),
    ]
    assert found(past, "-i", "shipping", "tax") == [
        ("tax", 1, "prompt", "raise shipping"),
        ("tax", 1, "screen", "the Shipping table"),
    ]
    assert found(past, "^the end$") == [("tax", 2, "screen", "the end")]
    assert found(past, "rate.$") == [("tax", 2, "prompt", "and the rate?")]
    assert found(past, "nowhere", code=1) == []


def test_closing_words_are_looked_at_and_nothing_else_that_was_said(repo: Repo) -> None:
    said = [("write it", ["First I look around.", "Rounded down."]), ("and more", ["Nothing to round."])]
    files = {}
    for turn, (prompt, answers) in enumerate(said, 1):
        lines: list[dict[str, object]] = [{"type": "user", "message": {"content": prompt}}]
        lines += [
            {"type": "assistant", "message": {"content": [{"type": "text", "text": answer}]}}
            for answer in answers
        ]
        files[f"talk/{turn:04d}.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    past = Past(repo, "tax")
    past.run(*(Asked(prompt) for prompt, _ in said), files=files)
    assert found(past, "(?i)round") == [
        ("tax", 1, "answer", "Rounded down."),
        ("tax", 2, "answer", "Nothing to round."),
    ]


def test_a_line_that_the_next_screens_still_show_is_given_once(repo: Repo) -> None:
    shown = {f"turns/{turn:04d}.screen.txt": b"> write it\n+hello\n" for turn in (1, 2)}
    shown |= {"turns/0003.screen.txt": b"cleared\n", "turns/0004.screen.txt": b"+hello\n"}
    past = Past(repo, "tax")
    past.run(*map(Asked, "abcd"), files={**shown, "screen.txt": b"+hello\n"})
    assert found(past, "hello") == [("tax", 1, "screen", "+hello"), ("tax", 4, "screen", "+hello")]


def test_what_is_printed_is_clean(past: Past) -> None:
    done = realm(past.repo.path, "grep", "red")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert done.out.startswith("tax@1 screen: ")


def test_a_pattern_that_is_none(past: Past) -> None:
    done = realm(past.repo.path, "grep", "(")
    assert done.code == 2
    assert "is not a regular expression" in done.err
