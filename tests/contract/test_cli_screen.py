"""``realm screen`` and ``realm replay`` on a real repository: from the record, and while a run goes on."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from realm.store.commits import trailers
from tests.support.cast import check
from tests.support.cli import CommandLine
from tests.support.recorded import add_session, files_of, live
from tests.support.repos import git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

HOSTILE = b"\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x07\x1b[c\x1b[?1003h\x1bP+q\x1b\\"


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], repo: Repo) -> CommandLine:
    monkeypatch.chdir(repo.path)
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def _two_runs(repo: Repo) -> None:
    add_session(
        repo,
        files_of(b"first\r\n", HOSTILE, b"\x1b[31mred <b>\x1b[m"),
        files_of(b"second ", b"run", number=2),
    )


class TestScreen:
    @pytest.mark.usefixtures("_two_runs")
    def test_the_last_run_in_plain_text(self, realm: CommandLine) -> None:
        result = realm("screen", "fix")
        assert (result.code, result.out, result.err) == (0, "second run\n", "")

    @pytest.mark.usefixtures("_two_runs")
    def test_an_earlier_run_in_colour(self, realm: CommandLine) -> None:
        assert realm("screen", "fix", "--run", "1", "--ansi").out == "first\n\x1b[31mred <b>\x1b[m\n"
        assert (
            realm("screen", "fix", "--run", "1", "--color", "always").out == "first\n\x1b[31mred <b>\x1b[m\n"
        )
        assert realm("screen", "fix", "--run", "1", "--text", "--color", "always").out == "first\nred <b>\n"

    @pytest.mark.usefixtures("_two_runs")
    def test_pictures(self, realm: CommandLine, tmp_path: Path) -> None:
        path = tmp_path / "picture.svg"
        result = realm("screen", "fix", "--run", "1", "--svg", str(path))
        assert (result.code, result.out) == (0, "")
        texts = [element.text for element in ET.fromstring(path.read_bytes()).iter()]  # noqa: S314 - ours
        assert "red <b>" in texts
        assert "fix, run 1" in texts
        assert realm("screen", "fix", "--run", "1", "--svg", "-").out == path.read_text()
        page = realm("screen", "fix", "--run", "1", "--html", "-").out
        assert page.startswith("<!DOCTYPE html>")
        assert "red &lt;b&gt;" in page

    def test_while_a_run_goes_on(self, realm: CommandLine, repo: Repo) -> None:
        add_session(repo, files_of(b"first"), {})
        live(b"\x1b[?1049h\x1b[2J\x1b[Hworking", number=2)
        assert realm("screen", "fix").out == "working\n"
        assert realm("screen", "fix", "--run", "1").out == "first\n"
        assert realm("replay", "fix").out == "\x1b[?1049h\x1b[2J\x1b[Hworking\x1b[?1049l"

    def test_a_hostile_record_can_colour_and_no_more(self, realm: CommandLine, repo: Repo) -> None:
        drawing = (
            b"\x1b[2;3Ha" + HOSTILE + b"\x1b[9999b\x1b[7mb\x1b[2J\x1b[5;1Hc\x1b]8;;http://x\x07d\xc2\x9b6n"
        )
        add_session(repo, {"screen.ans": drawing})
        out = realm("screen", "fix", "--ansi").out
        assert "\x1b" not in out.replace("\x1b[7m", "").replace("\x1b[m", "")
        assert "\x9b" not in out

    @pytest.mark.usefixtures("_two_runs")
    @pytest.mark.parametrize(
        ("arguments", "code", "error"),
        [
            (["fix", "--run", "3"], 1, "error: session fix has no run 3\n\nhint: its runs: 1 to 2\n"),
            (["fax"], 1, "error: there is no session fax"),
            (["fix", "--run", "0"], 2, "error: "),
            (["fix", "--ansi", "--text"], 2, "error: --ansi, --text, --svg and --html exclude each other"),
            (["fix", "--svg", "-", "--html", "x"], 2, "error: --ansi, --text, --svg and --html exclude"),
            (["fix", "--svg", "/nowhere/x.svg"], 1, "error: /nowhere/x.svg cannot be written: No such file"),
            (["fix", "--turn", "1"], 1, "error: run 2 of fix has no turn 1 that ended\n"),
        ],
    )
    def test_what_cannot_be(self, realm: CommandLine, arguments: list[str], code: int, error: str) -> None:
        result = realm("screen", *arguments)
        assert (result.code, result.out) == (code, "")
        assert result.err.startswith(error)

    def test_a_screen_that_may_lack_something_says_so(self, realm: CommandLine, repo: Repo) -> None:
        drawn = {"screen.ans": b"end", "turns/0001.screen.ans": b"one", "turns/0002.screen.ans": b"two"}
        add_session(repo, drawn, incomplete=("screen", "turns/0002.screen"))
        warning = "some of the output was not kept, parts of this screen may be missing\n"
        result = realm("screen", "fix")
        assert (result.code, result.out, result.err) == (0, "end\n", f"warning: fix, run 1: {warning}")
        assert realm("screen", "fix", "--turn", "1").err == ""
        assert realm("screen", "fix", "--turn", "2").err == f"warning: fix, run 1, turn 2: {warning}"

    def test_so_does_one_of_a_run_that_goes_on(self, realm: CommandLine, repo: Repo) -> None:
        add_session(repo, {})
        live(b"x" * 400_000 + b"\r\nend")
        result = realm("screen", "fix")
        assert result.out.endswith("end\n")
        assert "was not kept" in result.err
        live(b"\x1b[H\x1b[2Jnew")
        result = realm("screen", "fix")
        assert (result.out, result.err) == ("new\n", "")

    def test_a_run_without_a_terminal(self, realm: CommandLine, repo: Repo) -> None:
        add_session(repo, {"transcript.jsonl": b"{}"})
        assert realm("screen", "fix").err.startswith(
            "error: run 1 of fix showed nothing on a terminal\n\nhint: realm logs fix --run 1 prints"
        )
        assert realm("replay", "fix").err.startswith("error: run 1 of fix has no recording\n")

    def test_a_run_without_any_is_passed_over_and_that_is_said(self, realm: CommandLine, repo: Repo) -> None:
        add_session(repo, files_of(b"seen"), files_of(b"seen", number=2), {"transcript.jsonl": b"{}"})
        for verb in ("screen", "replay"):
            result = realm(verb, "fix")
            assert (result.code, result.out.strip()) == (0, "seen")
            assert result.err == "run 3 of fix has none; this is run 2\n"
        assert realm("screen", "fix", "--run", "3").err.startswith("error: run 3 of fix showed nothing")


class TestLogs:
    @pytest.mark.usefixtures("_two_runs")
    def test_what_was_printed(self, realm: CommandLine) -> None:
        assert realm("logs", "fix").out == "second run\n"
        assert realm("logs", "fix", "--run", "1").out == "first\nred <b>\n"

    def test_the_conversation_where_there_is_one(self, realm: CommandLine, repo: Repo) -> None:
        entries: list[dict[str, object]] = [
            {"type": "user", "message": {"role": "user", "content": "do it\x1b[31m\nnow"}},
            {"type": "assistant", "message": {"role": "assistant", "content": [
                {"type": "text", "text": "I do."},
                {"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "ls\u009b6n"}}]}},
        ]  # fmt: skip
        transcript = "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
        add_session(repo, files_of(b"\x1b[HDoi\x1b[1;6Hg as a k d") | {"transcript.jsonl": transcript})
        out = realm("logs", "fix").out
        assert out.startswith("> do it[31m\n> now\n\nI do.\n\n  * Bash")
        assert "ls6n" in out
        assert "\x1b" not in out

    def test_a_run_that_left_none_is_passed_over(self, realm: CommandLine, repo: Repo) -> None:
        add_session(repo, files_of(b"said"), {})
        result = realm("logs", "fix")
        assert (result.out, result.err) == ("said\n", "run 2 of fix has none; this is run 1\n")
        assert realm("logs", "fix", "--run", "2").err.startswith("error: run 2 of fix has no log")


class TestTurn:
    @staticmethod
    def turn(made: Repo, number: int, when: float) -> str:
        """Commit as realm does at the end of a turn; return the commit."""
        made.write("file", str(number))
        tree = [made.git("add", "file"), made.git("write-tree")][1]
        message = f"Turn {number}\n\n{trailers('fix', 1, number)}"
        date = {"GIT_AUTHOR_DATE": f"@{int(when)} +0000"}
        parent = made.git("for-each-ref", "--format=%(objectname)", "refs/turns") or made.head()
        command = ("commit-tree", tree, "-p", parent, "-m", message)
        oid = git(made.path, *command, env={**os.environ, **date})
        made.git("update-ref", "refs/turns", oid)
        return oid

    def test_what_it_showed_when_the_turn_ended(self, realm: CommandLine, repo: Repo) -> None:
        began = int(time.time())
        header = {"version": 2, "width": 20, "height": 5, "timestamp": began}
        shown = [[1.5, "o", "one"], [3.0, "r", "30x6"], [60.5, "o", "\r\ntwo"], [200.0, "o", "\x1b[2Jend"]]
        data = "".join(f"{json.dumps(line)}\n" for line in [header, *shown]).encode()
        self.turn(repo, 1, began + 10)
        tip = self.turn(repo, 3, began + 61)
        add_session(repo, {"session.cast": data, "screen.ans": b"\x1b[1;1Hend"}, tip=tip)
        assert realm("screen", "fix", "--turn", "1").out == "one\n"
        assert realm("screen", "fix", "--turn", "3").out == "one\ntwo\n"
        assert "fix, run 1, turn 3" in realm("screen", "fix", "--turn", "3", "--svg", "-").out
        assert realm("screen", "fix").out == "end\n"
        result = realm("screen", "fix", "--turn", "2")
        assert result.err == ("error: run 1 of fix has no turn 2 that ended\n\nhint: those of run 1: 1, 3\n")

    def test_one_that_changed_nothing(self, realm: CommandLine, repo: Repo) -> None:
        header = {"version": 2, "width": 20, "height": 5, "timestamp": 1000}
        shown = [[1.5, "o", "one"], [30.0, "o", "\r\ntwo"], [60.0, "o", "\x1b[2Jend"]]
        data = "".join(f"{json.dumps(line)}\n" for line in [header, *shown]).encode()
        asked = ("why?", "how?", "when?")
        add_session(repo, {"session.cast": data}, prompts=asked, ends=(1010.0, 1040.0, 0.0))
        assert realm("screen", "fix", "--turn", "1").out == "one\n"
        assert realm("screen", "fix", "--turn", "2").out == "one\ntwo\n"
        assert realm("screen", "fix", "--turn", "3").err.endswith("hint: those of run 1: 1, 2\n")
        assert realm("screen", "--all", "--turn", "2").out == "one\ntwo\n"
        nothing = realm("screen", "--all", "--turn", "3")
        assert (nothing.code, nothing.out, nothing.err) == (0, "", "")

    def test_what_was_kept_of_the_turn_comes_first(self, realm: CommandLine, repo: Repo) -> None:
        drawn = {
            "turns/0002.screen.txt": b"two",
            "turns/0002.screen.ans": b"\x1b[1;1H\x1b[31mtwo\x1b[m\x1b[2;1H",
        }
        add_session(repo, {"screen.ans": b"end", **drawn})
        assert realm("screen", "fix", "--turn", "2").out == "two\n"
        assert realm("screen", "fix", "--turn", "2", "--ansi").out == "\x1b[31mtwo\x1b[m\n"
        assert "fix, run 1, turn 2" in realm("screen", "fix", "--turn", "2", "--html", "-").out
        assert repo.show("refs/realm-meta/fix:runs/0001/turns/0002.screen.txt") == "two"
        assert realm("screen", "fix", "--turn", "1").code == 1

    def test_a_turn_before_what_was_kept(self, realm: CommandLine, repo: Repo) -> None:
        header = json.dumps({"version": 2, "width": 20, "height": 5, "timestamp": 2_000_000_000})
        tip = self.turn(repo, 1, 1_700_000_000)
        add_session(repo, {"session.cast": header.encode() + b"\n"}, tip=tip)
        assert realm("screen", "fix", "--turn", "1").err.startswith(
            "error: the recording of run 1 begins after"
        )
        repo.git("update-ref", "-d", "refs/realm-meta/fix")
        repo.git("update-ref", "-d", "refs/realm/fix")
        add_session(repo, {"screen.ans": b"x"}, tip=tip)
        assert realm("screen", "fix", "--turn", "1").err.startswith("error: run 1 of fix has no recording")


class TestReplay:
    @pytest.mark.usefixtures("_two_runs")
    def test_in_a_pipe_it_comes_at_once_and_harmless(self, realm: CommandLine) -> None:
        started = time.monotonic()
        assert realm("replay", "fix", "--run", "1").out == "first\r\n\x1b[31mred <b>\x1b[m"
        assert time.monotonic() - started < 20

    @pytest.mark.usefixtures("_two_runs")
    def test_as_an_asciicast(self, realm: CommandLine, tmp_path: Path) -> None:
        path = tmp_path / "x.cast"
        assert realm("replay", "fix", "--run", "1", "--cast", str(path)).code == 0
        events = check(path.read_bytes())
        assert "".join(event[2] for event in events if event[1] == "o") == "first\r\n\x1b[31mred <b>\x1b[m"
        assert realm("replay", "fix", "--run", "1", "--cast", "-").out == path.read_text()

    def test_somebody_elses_cast_is_made_harmless(self, realm: CommandLine, repo: Repo) -> None:
        lines = [
            {"version": 2, "width": 9, "height": 9, "title": "\x1b]0;x\x07"},
            [0, "o", "a\x1b]52;c;"], [0, "o", "ZXZpbA==\x07b"], [0, "m", "\x1b[2J"], [0, "r", "\x1b[2J"],
            [0, "i", "x"],
            [1, "o", "\x9b6n\x1b[?1000hc"],
        ]  # fmt: skip
        add_session(repo, {"session.cast": "".join(f"{json.dumps(line)}\n" for line in lines).encode()})
        assert realm("replay", "fix").out == "abc"
        events = check(realm("replay", "fix", "--cast", "-").out.encode())
        assert [event[1:] for event in events] == [["o", "a"], ["o", "b"], ["m", "[2J"], ["o", "c"]]

    @pytest.mark.usefixtures("_two_runs")
    @pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "fast"])
    def test_a_speed_that_is_none(self, realm: CommandLine, value: str) -> None:
        assert realm("replay", "fix", "--speed", value).code == 2

    def test_a_damaged_recording_is_said(self, realm: CommandLine, repo: Repo) -> None:
        add_session(repo, {"session.cast": b"nonsense"})
        result = realm("replay", "fix")
        assert result.code == 1
        assert result.err.startswith("error: the recording of run 1 of fix is damaged: its first line is not")
