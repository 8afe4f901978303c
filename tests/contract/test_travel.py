"""Time travel: sessions that begin where a turn of another ended, or go back there; real git, no engine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from realm.sandbox.report import Report
from realm.session import talk
from realm.store import record
from tests.support.history import Asked, Past, realm
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Run
    from tests.support.repos import Repo

OLD = "01234567-89ab-cdef-0123-456789abcdef"


def said(prompt: str) -> bytes:
    """Return the lines of a conversation that a turn adds."""
    lines = [
        {"type": "user", "sessionId": OLD, "message": {"content": prompt}},
        {
            "type": "assistant",
            "sessionId": OLD,
            "message": {"content": [{"type": "text", "text": f"Did {prompt}."}]},
        },
    ]
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


@pytest.fixture
def past(repo: Repo) -> Past:
    """Return a session of two runs with two turns each, and their conversation."""
    made = Past(repo)
    made.conversation = OLD
    first = {"talk/0001.jsonl": said("one"), "talk/0002.jsonl": said("two"), "screen.txt": b"end of run 1"}
    made.run(Asked("one", {"a": "1\n"}), Asked("two", {"a": "2\n"}), files=first, said=len(said("one")) * 2)
    screens = {f"turns/000{turn}.screen.txt": f"turn {turn}".encode() for turn in (1, 2)}
    second = {
        "talk/0001.jsonl": said("three"),
        "talk/0002.jsonl": said("four"),
        "screen.txt": b"end of run 2",
    }
    second |= screens | {"audit.json": b"{}"}
    made.run(Asked("three", {"b": "3\n"}), Asked("four", {"b": "4\n"}), files=second, continues=1)
    return made


def prompts(repo: Repo, name: str, run: int) -> list[str]:
    with record.Record(project_of(repo), name) as found:
        talk = found.conversation(run)
        conversation = found.session().conversation
    lines = [json.loads(line) for line in talk.splitlines()]
    assert {line["sessionId"] for line in lines} == {conversation}
    return [line["message"]["content"] for line in lines if line["type"] == "user"]


def runs(repo: Repo, name: str) -> list[Run]:
    return record.read_runs(project_of(repo), name)


@pytest.mark.parametrize(
    ("turn", "run", "expected"),
    [
        (1, 1, ["one"]),
        (2, 1, ["one", "two"]),
        (3, 2, ["one", "two", "three"]),
        (4, 2, ["one", "two", "three", "four"]),
    ],
)
def test_a_fork_has_code_and_conversation_up_to_the_turn(
    past: Past, turn: int, run: int, expected: list[str]
) -> None:
    repo, before = past.repo, past.repo.refs()
    done = realm(repo.path, "fork", f"fix@{turn}", "other")
    assert (done.code, done.err) == (0, "hint: realm resume other continues it\n")
    ends = [found["after"] for found in log(repo, "fix")]
    assert repo.head("refs/realm/other") == ends[turn - 1]
    assert prompts(repo, "other", run) == expected
    assert [found["prompt"] for found in log(repo, "other")] == expected
    assert {name: oid for name, oid in repo.refs().items() if "other" not in name} == before
    assert prompts(repo, "fix", 2) == ["one", "two", "three", "four"]
    with record.Record(project_of(repo), "other") as found:
        assert found.session().id != past.id
        assert found.session().conversation != OLD
        kept = found.files(run)
    if turn == 3:
        assert kept == {"turns/0001.screen.txt": b"turn 1", "screen.txt": b"turn 1", "audit.json": b"{}"}
    else:
        assert "screen.txt" in kept or turn == 1


@pytest.mark.parametrize(
    ("turn", "expected"),
    [(3, ["three"]), (4, ["one", "two", "four"]), (5, ["three", "five"]), (6, ["one", "two", "four", "six"])],
)
def test_a_turn_has_the_conversation_that_it_was_in(repo: Repo, turn: int, expected: list[str]) -> None:
    """The agent went over to a new one, back to the first, to the second and to the first again."""
    past = Past(repo)
    past.conversation = OLD
    first = {"talk/0001.jsonl": said("one"), "talk/0002.jsonl": said("two")}
    past.run(Asked("one", {"a": "1\n"}), Asked("two", {"a": "2\n"}), files=first)
    words = ("three", "four", "five", "six")
    talk = {f"talk/{at:04d}.jsonl": said(word) for at, word in enumerate(words, 1)}
    asked = [Asked(word, {"a": f"{word}\n"}) for word in words]
    past.run(*asked, files=talk, continues=1, switches=[(1, None), (2, 0), (3, 1), (4, 2)])
    assert prompts(repo, "fix", 2) == ["one", "two", "four", "six"]
    assert realm(repo.path, "rewind" if turn < 6 else "fork", f"fix@{turn}", *["other"][turn < 6 :]).code == 0
    assert prompts(repo, "fix" if turn < 6 else "other", 2) == expected


def test_the_end_of_a_turn_is_not_added_where_a_later_one_went_on(repo: Repo, tmp_path: Path) -> None:
    """The agent returns to its first turn's end, from which its third had continued."""
    past = Past(repo)
    past.conversation = OLD
    words = ("one", "two", "three", "four")
    kept = {f"talk/{at:04d}.jsonl": said(word) for at, word in enumerate(words, 1)}
    asked = [Asked(word, {"a": f"{word}\n"}) for word in words]
    size = len(said("two") + said("four"))
    past.run(*asked, files=kept, switches=[(2, None), (3, 1), (4, 2)], said=size)
    tail = said("x").splitlines(keepends=True)[1] + said("five")
    (tmp_path / "transcript").write_bytes(said("one") + tail)
    with record.Record(project_of(repo), "fix") as found:
        report = Report(transcript=tmp_path / "transcript")
        heard = talk.heard(talk.Talk(found.session(), past.runs[0], {}), found, report, 5, 1 << 20)
    assert heard.run.switches[-1] == (5, 1)
    assert heard.files == {"talk/0005.jsonl": tail}


def log(repo: Repo, name: str) -> list[dict[str, str]]:
    return list(json.loads(realm(repo.path, "log", name, "--json", "--reverse").out))


def test_a_fork_of_nothing_in_particular_begins_at_the_end(past: Past) -> None:
    assert realm(past.repo.path, "fork", "fix", "other").code == 0
    assert past.repo.head("refs/realm/other") == past.tip
    taken = realm(past.repo.path, "fork", "fix", "other")
    assert (taken.code, taken.err.splitlines()[0]) == (1, "error: the session 'other' exists already")
    bad = realm(past.repo.path, "fork", "fix", "a/b")
    assert (bad.code, bad.err.splitlines()[0]) == (2, "error: the session name 'a/b' holds a '/'")


def test_a_rewound_session_is_what_it_was_and_can_be_brought_back(past: Past) -> None:
    repo = past.repo
    before = repo.refs("refs/realm/") | repo.refs("refs/realm-meta/")
    done = realm(repo.path, "rewind", "fix@3")
    assert done.code == 0
    assert re.match(r"fix is back where turn 3 ended, on [0-9a-f]{10}\n", done.out)
    assert prompts(repo, "fix", 2) == ["one", "two", "three"]
    assert repo.show("refs/realm/fix:b") == "3"
    assert [run.number for run in runs(repo, "fix")] == [1, 2]
    listed = json.loads(realm(repo.path, "list", "--json").out)[0]
    assert (listed["turns"], listed["runs"], listed["last_words"]) == (3, 2, "Did three.")
    now = repo.refs("refs/realm/") | repo.refs("refs/realm-meta/")
    refused = realm(repo.path, "restore", "fix")
    assert (refused.code, refused.err.split(": ")[-1]) == (1, "realm restore fix --replace swaps the two\n")
    assert realm(repo.path, "restore", "fix", "--replace").code == 0
    assert repo.refs("refs/realm/") | repo.refs("refs/realm-meta/") == before
    assert realm(repo.path, "restore", "fix", "--replace").code == 0
    assert repo.refs("refs/realm/") | repo.refs("refs/realm-meta/") == now


def test_a_rewound_session_goes_back_to_its_first_run(past: Past) -> None:
    assert realm(past.repo.path, "rewind", "fix@1").code == 0
    assert [(run.number, run.prompts) for run in runs(past.repo, "fix")] == [(1, ("one",))]
    assert prompts(past.repo, "fix", 1) == ["one"]


def test_a_removed_session_of_nearly_that_name_is_named(past: Past) -> None:
    assert realm(past.repo.path, "remove", "fix", "--yes").code == 0
    done = realm(past.repo.path, "restore", "fx")
    assert done.err.endswith("\n\nhint: did you mean fix?\n")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (["rewind", "fix@4"], 1, "fix is where turn 4 ended"),
        (["rewind", "fix@5"], 1, "session fix has no turn 5"),
        (["rewind", "fix"], 2, "no turn was given to go back to"),
        (["fork", "nix", "other"], 1, "there is no session nix"),
        (["restore", "gone", "--replace"], 1, "no removed session gone"),
    ],
)
def test_what_cannot_be_is_said(past: Past, line: list[str], code: int, message: str) -> None:
    before = past.repo.refs()
    done = realm(past.repo.path, *line)
    assert (done.code, done.err.splitlines()[0].startswith(f"error: {message}")) == (code, True), done.err
    assert past.repo.refs() == before


def test_an_old_record_is_cut_where_the_next_prompt_begins(repo: Repo) -> None:
    past = Past(repo)
    past.conversation = OLD
    past.run(Asked("one", {"a": "1\n"}), Asked("two", {"a": "2\n"}),
             files={"transcript.jsonl": said("one") + said("two")})  # fmt: skip
    assert realm(repo.path, "fork", "fix@1", "other").code == 0
    assert prompts(repo, "other", 1) == ["one"]


def test_a_program_without_prompts_has_turns_to_go_back_to(repo: Repo) -> None:
    past = Past(repo)
    past.run(Asked("", {"a": "1\n"}))
    past.run(Asked("", {"a": "2\n"}))
    assert realm(repo.path, "rewind", "fix@1").code == 0
    assert repo.show("refs/realm/fix:a") == "1"
