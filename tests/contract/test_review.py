"""Looking at sessions: turns by number, and the user's own git that shows what they changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from realm.errors import NoSuchSessionError
from realm.session import find
from realm.session.lock import RunLock
from tests.support.driver import Terminal
from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo
from tests.support.store import STARTED


@pytest.fixture
def past(repo: Repo) -> Past:
    """Return a session of two runs and four turns, the second of which changed nothing."""
    made = Past(repo)
    made.run(
        Asked("write one.txt", {"one.txt": "1\n"}, "I wrote it."),
        Asked("what is in it?"),
        Asked(
            "two at once",
            {"two.txt": "2\n"},
            commits=[("Three", {"three.txt": "3\n", "one.txt": "one\n"})],
        ),
    )
    made.run(Asked("write src/four.txt", {"src/four.txt": "4\n"}))
    return made


def log(past: Past, *arguments: str) -> list[dict[str, object]]:
    done = realm(past.repo.path, "log", "--json", "--reverse", past.name, *arguments)
    assert (done.code, done.err) == (0, "")
    return list(json.loads(done.out))


def test_turns_are_numbered_through_all_runs_also_those_that_changed_nothing(past: Past) -> None:
    found = log(past)
    assert [(turn["turn"], turn["run"], turn["prompt"], turn["files"]) for turn in found] == [
        (1, 1, "write one.txt", 1),
        (2, 1, "what is in it?", 0),
        (3, 1, "two at once", 3),
        (4, 2, "write src/four.txt", 1),
    ]
    ends = [(turn["before"], turn["after"]) for turn in found]
    assert ends[0][0] == past.base
    assert ends[1] == (ends[0][1], ends[0][1])
    assert [after for _, after in ends[:-1]] == [before for before, _ in ends[1:]]
    assert ends[-1][1] == past.tip
    assert [len(turn["commits"]) for turn in found] == [1, 0, 2, 1]  # type: ignore[arg-type]


def test_the_newest_turn_comes_first_in_the_table(past: Past) -> None:
    done = realm(past.repo.path, "log", "fix")
    assert [line.split("\t")[0] for line in done.out.splitlines()] == ["@4", "@3", "@2", "@1"]
    assert done.out.splitlines()[2].endswith("\t\t\tno changes\twhat is in it?")
    assert realm(past.repo.path, "log", "fix@2").out.splitlines() == done.out.splitlines()[2:]


def test_what_git_would_not_number_is_numbered_all_the_same(repo: Repo) -> None:
    """Work of a program without prompts, and commits of the user's own between two runs."""
    past = Past(repo)
    past.run(Asked("", {"made.txt": "x\n"}))
    own = repo.git("commit-tree", "-m", "Mine", "-p", past.tip, f"{past.tip}^{{tree}}")
    past.run(Asked("go on", {"made.txt": "y\n"}), before=own)
    past.run()
    found = log(past)
    assert [(turn["turn"], turn["run"], turn["prompt"]) for turn in found] == [
        (1, 1, "Work of run 1"),
        (2, 2, "go on"),
    ]
    assert found[1]["before"] == own


def test_a_diff_is_against_the_commit_that_the_session_started_on(past: Past) -> None:
    past.repo.write("later.txt", "later\n")
    past.repo.commit("Later")
    done = realm(past.repo.path, "diff", "fix")
    assert done.out == past.repo.git("diff", f"{past.base}...refs/realm/fix") + "\n"
    assert "later.txt" not in done.out
    whole = realm(past.repo.path, "diff", "fix", "--stat").out
    assert "4 files changed" in whole
    assert "two.txt" not in realm(past.repo.path, "diff", "fix@2").out


def test_two_sessions_are_not_compared_with_diff(past: Past) -> None:
    past.repo.git("update-ref", "refs/realm/other", past.tip)
    refused = realm(past.repo.path, "diff", "fix", "other")
    assert refused.code == 1
    assert "realm compare fix other" in refused.err
    assert realm(past.repo.path, "diff", "fix", "./other").code == 0


@pytest.mark.parametrize(
    ("turns", "names"),
    [
        ("1", ["one.txt"]),
        ("3", ["one.txt", "three.txt", "two.txt"]),
        ("3..4", ["one.txt", "src/four.txt", "three.txt", "two.txt"]),
        ("2..3", ["one.txt", "three.txt", "two.txt"]),
    ],
)
def test_a_diff_of_turns_is_what_they_changed(past: Past, turns: str, names: list[str]) -> None:
    out = realm(past.repo.path, "diff", "fix", "--turn", turns).out
    assert [line.split(" b/")[1] for line in out.splitlines() if line.startswith("diff --git")] == names


def test_paths_are_seen_from_where_the_user_stands(past: Past) -> None:
    (past.repo.path / "src").mkdir()
    assert "four.txt" in realm(past.repo.path / "src", "diff", "fix", "--", "four.txt").out
    assert realm(past.repo.path / "src", "diff", "fix", "--", "one.txt").out == ""
    assert "one.txt" in realm(past.repo.path / "src", "diff", "fix", "--", "../one.txt").out


def test_the_users_settings_apply(past: Past) -> None:
    past.repo.git("config", "diff.noprefix", "true")
    assert "diff --git one.txt one.txt" in realm(past.repo.path, "diff", "fix").out
    assert "\x1b[" not in realm(past.repo.path, "diff", "fix").out
    assert "\x1b[" in realm(past.repo.path, "--color=always", "diff", "fix").out
    shown = realm(past.repo.path, "diff", "fix@1", env={"GIT_EXTERNAL_DIFF": "echo mine"})
    assert shown.out.startswith("mine one.txt ")


def test_a_difftool_shows_it(past: Past) -> None:
    past.repo.git("config", "diff.tool", "mine")
    past.repo.git("config", "difftool.prompt", "false")
    past.repo.git("config", "difftool.mine.cmd", 'echo "$MERGED"; cat "$REMOTE"')
    assert realm(past.repo.path, "diff", "fix@1", "--tool").out == "one.txt\n1\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (["diff", "fix@9"], 1, "session fix has no turn 9", "it has turns 1 to 4: realm log fix"),
        (["diff", "fix", "--turn", "9"], 1, "session fix has no turn 9", "it has turns 1 to 4"),
        (["diff", "fix", "--turn", "2"], 1, "turn 2 of fix changed nothing", "realm log fix"),
        (["diff", "fix", "--turn", "4..3"], 2, "--turn is '4..3'", "--turn 3..4"),
        (["diff", "fix", "--turn", "0"], 2, "--turn is '0'", "--turn 2..4"),
        (["diff", "fix@x"], 2, "'x' is not the number of a turn", "as in fix@2: realm log fix"),
        (["diff", "fix@"], 2, "'' is not the number of a turn", "as in fix@2: realm log fix"),
        (["diff", "fix@0"], 2, "'0' is not the number of a turn", "as in fix@2: realm log fix"),
        (["log", "fix@9"], 1, "session fix has no turn 9", "it has turns 1 to 4"),
        (["log", "fxi"], 1, "there is no session fxi", "did you mean fix?"),
        (["diff", "fix", "--stat", "--tool"], 2, "--stat and --tool exclude each other", "give one"),
    ],
)
def test_what_cannot_be_shown_is_said(
    past: Past, arguments: list[str], code: int, message: str, hint: str
) -> None:
    done = realm(past.repo.path, *arguments)
    assert (done.code, done.out) == (code, "")
    assert f"error: {message}" in done.err
    assert f"hint: {hint}" in done.err


def test_a_session_without_changes_has_nothing_to_show(repo: Repo) -> None:
    past = Past(repo)
    past.run()
    done = realm(repo.path, "log", "fix")
    assert (done.code, done.out, done.err) == (
        0,
        "",
        "hint: no turns yet: realm resume fix continues it\n",
    )
    with RunLock(past.id, "fix", 1):
        assert realm(repo.path, "log", "fix").err == "hint: no turns yet: realm attach fix shows it\n"
        assert "hint: realm attach fix shows it\n" in realm(repo.path, "push", "fix").err
    done = realm(repo.path, "diff", "fix")
    assert (done.code, done.err) == (1, "error: fix changed nothing\n\nhint: realm log fix\n")


def entry(kind: str, content: object, **more: object) -> bytes:
    message = {"role": kind, "content": content, **more}
    return (
        json.dumps({"type": kind, "timestamp": "2026-11-26T10:00:00Z", "message": message}).encode() + b"\n"
    )


def test_a_turn_is_shown_with_all_that_is_known_of_it(repo: Repo) -> None:
    past = Past(repo)
    talk = [
        entry("user", "write\none.txt"),
        entry("assistant", [{"type": "text", "text": "Doing"}], id="m1", usage={"input_tokens": 7}),
        entry("user", [{"type": "tool_result", "content": "ok"}]),
        entry("assistant", [{"type": "text", "text": "Did\x1b[2J it."}], id="m2", usage={"output_tokens": 5}),
        entry("assistant", [{"type": "text", "text": "Did it.\nBye."}], id="m2", usage={"output_tokens": 5}),
        entry("user", "next"),
        *[entry("assistant", [{"type": "text", "text": "No."}], id="m3", usage={"output_tokens": 3})] * 2,
    ]
    talk[-2:] = [line.replace(b'{"type"', b'{"costUSD": 0.126, "type"', 1) for line in talk[-2:]]
    kept = {
        "transcript.jsonl": b"".join(talk),
        "screen.ans": b"\x1b[1;1H\x1b[1mlast screen",
        "screen.txt": b"la\x07st screen",
        "turns/0001.screen.txt": b"first screen\n",
    }
    asked = (Asked("write\none.txt", {"one.txt": "1\n"}, "Did it."), Asked("next"))
    past.run(*asked, exit_code=3, files=kept, notes=["left out: odd\x1b[2J"])
    done = realm(repo.path, "show", "fix@1")
    assert (done.code, done.err) == (0, "")
    head, ended, tokens, *rest = done.out.splitlines()
    assert head == "turn 1 of fix: run 1, took 2 min 0 s"
    assert re.fullmatch(r"ended 20.* ago\)", ended)
    assert tokens == "tokens: 7 in, 5 out"
    commit = repo.git("log", "-1", "--format=%h %s", "--abbrev=10", "refs/realm/fix")
    shown = ["", "> write", "> one.txt", "", "Did it.", "Bye.", "", commit, " one.txt | 1 +"]
    assert rest == [*shown, " 1 file changed, 1 insertion(+)", "", "first screen"]
    last = realm(repo.path, "show", "fix").out
    assert last.startswith(
        "turn 2 of fix: run 1, exit code 3\ntokens: 0 in, 3 out, $0.13\n\n> next\n\nNo.\n\nno changes\n\n"
        "note: left out: odd[2J\n\nlast screen\n"
    )
    assert "\x1b[1mlast screen" in realm(repo.path, "--color=always", "show", "fix").out
    found = json.loads(realm(repo.path, "show", "fix@1", "--json").out)
    assert (found["prompt"], found["answer"]) == ("write\none.txt", "Did it.\nBye.")
    assert (found["tokens_in"], found["cost"], found["screen"]) == (7, None, "first screen\n")
    assert found["notes"] == []
    assert json.loads(realm(repo.path, "show", "fix", "--json").out)["cost"] == 0.126


def test_screens_and_pushes_know_turns_too(repo: Repo, tmp_path: Path) -> None:
    past = Past(repo)
    past.run(Asked("one", {"a": "1\n"}), files={"screen.ans": b"\x1b[1;1Hrun 1"})
    kept = {"screen.ans": b"\x1b[1;1Hend", "turns/0001.screen.ans": b"\x1b[1;1Hsecond"}
    past.run(Asked("two", {"a": "2\n"}), Asked("three", {"a": "3\n"}), files=kept)
    assert realm(repo.path, "screen", "fix@2").out == "second\n"
    assert realm(repo.path, "screen", "fix@2", "--turn", "1").code == 2
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    assert realm(repo.path, "push", "fix@2", "--to", str(origin.path)).code == 0
    assert origin.show("fix:a") == "2"


def test_all_screens_are_those_of_sessions_that_have_one(repo: Repo) -> None:
    Past(repo).run(Asked("one"), files={"screen.ans": b"\x1b[1;1Hshown"})
    Past(repo, "mute", id="5e555e55-0000-4000-8000-000000000000").run(Asked("two"))
    done = realm(repo.path, "screen", "--all")
    assert (done.code, done.out, done.err) == (0, "== fix, run 1 ==\nshown\n", "")
    assert realm(repo.path, "screen", "fix", "mute").code == 1


def test_a_turn_without_a_conversation_is_shown_by_its_commits(past: Past) -> None:
    out = realm(past.repo.path, "show", "fix@3").out
    assert "> two at once\n" in out
    assert re.search(r"^[0-9a-f]{10} Three$", out, re.MULTILINE)
    assert "3 files changed" in out
    done = realm(past.repo.path, "show", "fix@5")
    assert (done.code, done.err.splitlines()[0]) == (1, "error: session fix has no turn 5")


@pytest.mark.parametrize(
    ("shell", "words", "at", "offered"),
    [
        ("zsh", "realm diff fix@", "2", ["fix@4", "fix@3", "fix@2", "fix@1"]),
        ("fish", "realm diff fix@", "fix@", ["fix@4", "fix@3", "fix@2", "fix@1"]),
        ("bash", "realm diff fix @", "3", ["4", "3", "2", "1"]),
        ("bash", "realm diff --stat fix @ 3", "5", ["3"]),
        ("zsh", "realm diff nix@", "2", []),
    ],
)
def test_turns_are_completed(past: Past, shell: str, words: str, at: str, offered: list[str]) -> None:
    env = {"_REALM_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": at}
    shown = realm(past.repo.path, env=env)
    lines = [line.partition("\t")[0] for line in shown.out.splitlines()]
    found = [line.removeprefix("plain,") for line in lines if line.startswith(("fix@", "plain,"))]
    assert found == offered
    assert (shown.code, shown.err) == (0, "")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_on_a_terminal_the_users_pager_shows_it(past: Past) -> None:
    past.repo.git("config", "core.pager", "sed 's/^/paged: /'")
    with terminal(past, "log", "fix") as shown:
        assert shown.wait() == 0
        assert "paged: TURN" in shown.history()
        assert "paged: @4" in shown.history()
    with terminal(past, "diff", "fix@1") as shown:
        assert shown.wait() == 0
        assert "paged: diff --git a/one.txt b/one.txt" in shown.history()


def terminal(past: Past, *arguments: str) -> Terminal:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return Terminal([sys.executable, "-m", "realm", *arguments], env=env, cwd=past.repo.path)


def test_logs_of_a_turn_are_what_was_said_in_it(repo: Repo) -> None:
    made = Past(repo)
    files = {f"talk/{turn:04d}.jsonl": spoken(f"ask {turn}", f"Answer {turn}.") for turn in (1, 2)}
    made.run(Asked("ask 1", {"a": "1\n"}), Asked("ask 2"), files=files)
    made.run(Asked("ask 3", {"c": "3\n"}), files={"transcript.jsonl": spoken("ask 3", "Answer 3.")})
    made.run(Asked("ask 4", {"d": "4\n"}))
    for turn in (1, 2, 3):
        done = realm(repo.path, "logs", f"fix@{turn}")
        assert (done.code, done.out, done.err) == (0, f"> ask {turn}\n\nAnswer {turn}.\n\n", "")
    silent = realm(repo.path, "logs", "fix@4")
    assert (silent.code, silent.out) == (1, "")
    assert "error: nothing that was said in turn 4 of fix was kept" in silent.err
    assert "realm logs fix --run 3" in silent.err
    for wrong in (["fix@9"], ["fix@1", "--run", "1"], ["fix@1", "-f"]):
        done = realm(repo.path, "logs", *wrong)
        assert (done.code in (1, 2), done.out) == (True, "")
        assert "\nhint: " in done.err


def spoken(prompt: str, answer: str) -> bytes:
    entries = [
        {"type": "user", "message": {"role": "user", "content": prompt}},
        {"type": "assistant", "message": {"content": [{"type": "text", "text": answer}]}},
    ]
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()


def test_replay_of_a_turn_begins_with_what_was_on_the_screen(repo: Repo) -> None:
    made = Past(repo)
    started = STARTED + 3600
    # Turns of this run end 120, 180 and 240 seconds after its start.
    said = [
        (30, "one "),
        (100, "two\\r\\n"),
        (130, "three "),
        (179, "four\\r\\n"),
        (230, "five"),
        (300, "six"),
    ]
    header = json.dumps({"version": 2, "width": 80, "height": 24, "timestamp": started})
    cast = "\n".join([header, *(f'[{at}, "o", "{text}"]' for at, text in said)]).encode() + b"\n"
    made.run(
        Asked("a", {"a": "1\n"}), Asked("b", {"b": "1\n"}), Asked("c", {"c": "1\n"}),
        files={"session.cast": cast},
    )  # fmt: skip

    def played(turn: int) -> list[list[object]]:
        done = realm(repo.path, "replay", f"fix@{turn}", "--cast", "-")
        assert (done.code, done.err) == (0, "")
        head, *events = map(json.loads, done.out.splitlines())
        assert (head["width"], head["timestamp"] >= started) == (80, True)
        return [[round(at), re.sub("\x1b[^A-Za-z]*[A-Za-z]", " ", text).split()] for at, _, text in events]

    assert [text for _, text in played(1)] == [["one"], ["two"]]
    assert played(2)[-2:] == [[10, ["three"]], [59, ["four"]]]
    assert played(2)[1][1] == ["one", "two"]  # as the screen was
    assert [text for _, text in played(3)][-1] == ["five"]
    plain = realm(repo.path, "replay", "fix@2").out
    assert ("three four" in plain, "five" in plain) == (True, False)
    assert "names a turn already" in realm(repo.path, "replay", "fix@2", "--run", "1").err
    made.run(Asked("d", {"d": "1\n"}))
    missing = realm(repo.path, "replay", "fix@4")
    assert (missing.code, missing.out) == (1, "")
    assert "error: run 2 of fix has no recording" in missing.err


def test_a_session_that_is_looked_for_ahead_is_found_or_missed_all_the_same(
    past: Past, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(past.repo.path)
    find.look_ahead("fix")
    found = find.locate("fix", None)
    assert (found.row.code, found.project.root) == (past.tip, past.repo.path)
    find.look_ahead("other")
    with pytest.raises(NoSuchSessionError):
        find.locate("other", None)
    find.look_ahead("no/name")
    find.look_ahead()
    assert [row.name for row in find.list_sessions(None).rows] == ["fix"]
    find.look_ahead()
    assert [row.name for row in find.list_sessions(past.repo.path).rows] == ["fix"]
    monkeypatch.chdir(tmp_path)
    find.look_ahead("fix")  # outside any repository
    assert find.locate("fix", past.repo.path).row.code == past.tip
