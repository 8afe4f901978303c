from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from realm.errors import RealmError
from realm.model import Activity, Project, SessionRow, State, Summary, Totals
from realm.session.requests import Check, Listing, NewRequest, PushRequest, PushResult, Removal, ResumeRequest
from tests.support.cli import CommandLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.session.requests import UI

CODE, META = "c" * 40, "d" * 40


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    return CommandLine(monkeypatch, capsys)


def recorder(asked: list[Any], answer: Any) -> Callable[..., Any]:
    """Return a use-case that notes what it is asked and gives ``answer``."""

    def use_case(*arguments: Any) -> Any:
        asked.append(arguments[0] if len(arguments) == 2 and hasattr(arguments[1], "confirm") else arguments)
        return answer

    return use_case


class TestNew:
    def test_it_hands_everything_on_and_passes_the_agents_code(self, realm: CommandLine) -> None:
        asked: list[NewRequest] = []
        realm.fake("new", new=recorder(asked, 42))
        line = ["new", "x", "--base", "v1", "--wip", "--include", "a", "--include", "b", "--image", "i"]
        result = realm(*line, "--agent", "sh -c true", "--no-input", "--remote", "sub", "-p", "hi", "--wip")
        assert (result.code, result.out) == (42, "")
        assert result.err.startswith("warning: --wip went to the agent: ")
        assert asked == [
            NewRequest(
                name="x", directory=Path("sub"), agent_args=("-p", "hi", "--wip"), remote=True, base="v1",
                wip=True,
                include=("a", "b"), image="i", agent="sh -c true", no_input=True,
            )
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("line", "directory", "arguments"),
        [
            (["new", "x"], None, ()),
            (["new", "x", "explain this"], None, ("explain this",)),
            (["new", "x", "sub"], "sub", ()),
            (["-C", "sub", "new", "x", "sub"], "sub", ("sub",)),
            (["-C", ".", "new", "x", "-C", "sub", "go"], "sub", ("go",)),
            (["new", "-C", "sub", "x", "--", "--wip"], "sub", ("--wip",)),
            (["new", "x", "--", "sub", "--"], None, ("sub", "--")),
        ],
    )
    def test_where_the_project_is(
        self,
        line: list[str],
        directory: str | None,
        arguments: tuple[str, ...],
        realm: CommandLine,
        tmp_path: Path,
    ) -> None:
        asked: list[NewRequest] = []
        realm.fake("new", new=recorder(asked, 0))
        assert realm(*line).code == 0
        assert asked[0].directory.resolve() == (tmp_path / directory if directory else tmp_path)
        assert asked[0].agent_args == arguments

    def test_options_that_claude_code_does_not_have_are_realms_anywhere(self, realm: CommandLine) -> None:
        asked: list[NewRequest] = []
        realm.fake("new", new=recorder(asked, 0))
        assert (
            realm("new", "x", "write --detach", "--detach", "--image=i", "--remote", "--", "--wip").err == ""
        )
        (request,) = asked
        assert (request.detach, request.image, request.remote, request.wip) == (True, "i", False, False)
        assert request.agent_args == ("write --detach", "--remote", "--", "--wip")

    def test_its_own_failure_is_125(self, realm: CommandLine) -> None:
        def new(request: NewRequest, ui: UI) -> int:
            raise RealmError("no engine", "start it")

        realm.fake("new", new=new)
        result = realm("new", "x")
        assert (result.code, result.err) == (125, "error: no engine\n\nhint: start it\n")

    def test_a_place_that_was_deleted_is_said(
        self, realm: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        result = realm("new", "x")
        assert result.code == 125
        assert "error: the current directory does not exist any more" in result.err


def test_resume_takes_no_project(realm: CommandLine) -> None:
    asked: list[ResumeRequest] = []
    realm.fake("resume", resume=recorder(asked, 7))
    assert realm("resume", "x", "--rebase", "--image", "i", "--no-input", "sub", "-r").code == 7
    expected = ResumeRequest("x", None, ("sub", "-r"), rebase=True, image="i", no_input=True)
    assert asked == [expected]


class TestList:
    ROWS = (
        SessionRow(
            "old", Path("/p"), META, State.EXITED,
            Summary("id1", "/p", 1_700_000_000, State.EXITED, CODE, 2, Totals(1, 1, 10, 3)),
        ),
        SessionRow(
            "new", Path("/p"), CODE, State.RUNNING,
            Summary(
                "id2", "/p", 1_700_000_060, State.RUNNING, CODE, 1, started=1_700_000_060, prompt="raise it"
            ),
            Activity.WORKING, since=1_700_000_060,
        ),
        SessionRow(
            "cut", Path("/p"), CODE, State.INTERRUPTED,
            Summary("id3", "/p", 0.0, State.RUNNING, CODE, 1, Totals(3, 2, 1, 0)),
            Activity.INTERRUPTED,
        ),
    )  # fmt: skip

    def test_in_a_pipe_it_is_tabs_with_the_project(self, realm: CommandLine) -> None:
        realm.fake("find", list_sessions=lambda *_: Listing(self.ROWS, ()))
        assert realm("list").out == (
            "old\t/p\tdone\t\t1 file +10 \N{MINUS SIGN}3\t\n"
            "cut\t/p\tinterrupted\t\t2 files +1\t\n"
            "new\t/p\tworking\t2023-11-14T22:14:20Z\t\traise it\n"
        )

    def test_on_a_terminal_it_has_a_header_and_a_way_out(self, realm: CommandLine) -> None:
        realm.fake("find", list_sessions=lambda *_: Listing(self.ROWS, ()))
        realm.terminal()
        result = realm("list")
        header, *rows = result.out.splitlines()
        assert header.split() == ["NAME", "STATE", "LAST", "CHANGES", "TASK"]
        assert re.match(r"old +done +\N{EN DASH} +1 file \+10 \N{MINUS SIGN}3 +\N{EN DASH}$", rows[0])
        assert re.match(r"cut +interrupted ", rows[1])
        assert re.match(r"new +working \d+ h \d+ min +\d+y +\N{EN DASH} +raise it$", rows[2])
        assert result.err == "hint: realm resume cut saves the work that a run left in its container\n"

    def test_one_that_an_error_stopped_needs_the_user(self, realm: CommandLine) -> None:
        new = self.ROWS[1]
        words = new.summary._replace(words="API Error: 429")
        rows = (self.ROWS[0], new._replace(activity=Activity.STUCK, summary=words))
        realm.fake("find", list_sessions=lambda *_: Listing(rows, ()))
        assert realm("list").out.splitlines()[0].split("\t")[:3] == ["new", "/p", "stuck: API Error: 429"]
        assert realm("list", "--waiting").out.count("\n") == 1

    def test_what_was_refused_is_counted(self, realm: CommandLine) -> None:
        realm.terminal()
        rows = [self.ROWS[0]._replace(refused=3), self.ROWS[1]]
        realm.fake("find", list_sessions=lambda *_: Listing(tuple(rows), ()))
        assert "hint: old: 3 requests refused: realm net old\n" in realm("list").err

    def test_as_json(self, realm: CommandLine) -> None:
        realm.fake("find", list_sessions=lambda *_: Listing(self.ROWS, ()))
        old, cut, new = json.loads(realm("list", "--json").out)
        assert old == {
            "name": "old", "project": "/p", "created": "2023-11-14T22:13:20Z", "started": None,
            "ended": None, "state": "exited", "activity": "done", "since": None, "question": None,
            "paused": None,
            "prompt": None, "last_words": None, "exit_code": None,
            "died": None, "also_kept": None, "weakened": None, "risky": None, "network": None, "refused": 0,
            "turns": 1, "files": 1, "insertions": 10, "deletions": 3, "runs": 2,
            "merged_into": None, "pushed_to": None, "pull_request": None,
            "ref": "refs/realm/old", "base": CODE, "tip": META, "id": "id1",
        }  # fmt: skip
        assert new["started"] == "2023-11-14T22:14:20Z"
        assert (new["prompt"], new["activity"]) == ("raise it", "working")
        assert cut["created"] is None

    def row(self, name: str, activity: Activity, **facts: Any) -> SessionRow:
        state = State.RUNNING if activity in (Activity.ASKS, Activity.WORKING) else State.EXITED
        told = {field: facts.pop(field) for field in facts.keys() & set(Summary._fields)}
        summary = Summary(name, "/p", 1.0, state, CODE, 1)._replace(**told)
        return SessionRow(name, Path("/p"), META, state, summary, activity)._replace(**facts)

    def test_who_needs_you_comes_first_and_what_is_over_last(self, realm: CommandLine) -> None:
        rows = (
            self.row("merged", Activity.DONE, merged_into="main", since=9.0),
            self.row("pushed", Activity.DONE, pushed_to="origin/x", since=8.0),
            self.row("works", Activity.WORKING, since=7.0, prompt="write it"),
            self.row("early", Activity.DONE, since=5.0, words="Wrote it.", prompt="write it"),
            self.row("late", Activity.FAILED, since=6.0, exit_code=3, words="I cannot"),
            self.row("asks", Activity.ASKS, since=1.0, question="Which?", prompt="choose"),
            self.row("stopped", Activity.STOPPED, since=4.0, exit_code=130),
        )
        realm.fake("find", list_sessions=lambda *_: Listing(rows))
        lines = [line.split("\t") for line in realm("list").out.splitlines()]
        assert [(line[0], line[2], line[5]) for line in lines] == [
            ("asks", "asks: Which?", "choose"),
            ("late", "failed (exit 3)", '"I cannot"'),
            ("early", "done", '"Wrote it."'),
            ("stopped", "stopped", ""),
            ("works", "working", "write it"),
            ("merged", "merged into main", ""),
            ("pushed", "pushed to origin/x", ""),
        ]
        idle = self.row("idle", Activity.DONE, merged_into="main")._replace(state=State.RUNNING)
        busy = self.row("busy", Activity.WORKING, merged_into="main")
        realm.fake("find", list_sessions=lambda *_: Listing((idle, busy)))
        rows_now = [line.split("\t")[2] for line in realm("list").out.splitlines()]
        assert rows_now == ["working", "merged into main"]  # at its prompt it has nothing to be reviewed
        realm.fake("find", list_sessions=lambda *_: Listing(rows))
        assert [line.split("\t")[0] for line in realm("list", "--waiting").out.splitlines()] == ["asks"]

    def test_each_column_says_what_one_look_needs(
        self, realm: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, size = time.time(), Totals(1, 2, 4, 2)
        row = self.row
        rows = (
            row("ship", Activity.ASKS, question="Which database?", prompt="raise it",
                since=now - 200, totals=size),
            row("rate", Activity.DONE, words="Raised the rate", since=now - 750, totals=size),
            row("bug", Activity.FAILED, exit_code=1, words="I could not", since=now - 760),
            row("doc", Activity.WORKING, prompt="write the docs", since=now - 41),
            row("gift", Activity.DONE, pushed_to="origin/gift", since=now - 4000, words="Gift",
                request="https://forge.example/shop/pull/7", totals=size),
            row("lab", Activity.DONE, pushed_to="origin/lab", since=now - 4001,
                request="https://lab.example/shop/-/merge_requests/12"),
            row("far", Activity.DONE, pushed_to="origin/far", since=now - 4002, request="https://x/new"),
            row("tax", Activity.DONE, merged_into="main", since=now - 7300, words="A fifth", totals=size),
        )  # fmt: skip
        realm.terminal()
        monkeypatch.setenv("COLUMNS", "120")
        realm.fake("find", list_sessions=lambda *_: Listing(rows))
        _, *lines = realm("list").out.splitlines()
        assert [re.split("  +", line) for line in lines] == [
            ["ship", "asks: Which database?", "3m ago", "2 files +4 \N{MINUS SIGN}2", "raise it"],
            ["rate", "done", "12m", "2 files +4 \N{MINUS SIGN}2", '"Raised the rate"'],
            ["bug", "failed (exit 1)", "12m", "\N{EN DASH}", '"I could not"'],
            ["doc", "working 41 s", "now", "\N{EN DASH}", "write the docs"],
            ["gift", "pull request #7", "1h", "2 files +4 \N{MINUS SIGN}2", '"Gift"'],
            ["lab", "merge request !12", "1h", "\N{EN DASH}", "\N{EN DASH}"],
            ["far", "pull request", "1h", "\N{EN DASH}", "\N{EN DASH}"],
            ["tax", "merged into main", "2h", "\N{EN DASH}", "\N{EN DASH}"],
        ]

    def test_a_narrow_terminal_breaks_no_word(
        self, realm: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        question = "Which of the databases should it be, the old one or the new one?"
        row = self.row("ship", Activity.ASKS, question=question, prompt="raise shipping to 5 euros or so")
        far = Path("/a/long/way/to/another/project")
        other = self.row("far", Activity.DONE)._replace(project=far)
        realm.terminal()
        monkeypatch.setenv("COLUMNS", "72")
        realm.fake("find", list_sessions=lambda *_: Listing((row, other)))
        header, first, second = realm("list").out.splitlines()
        assert header.split() == ["NAME", "PROJECT", "STATE", "LAST", "CHANGES", "TASK"]
        assert max(map(len, (header, first, second))) <= 72
        assert "raise…" in first
        assert re.search(r"  asks: (\w+ )*\w+…", first)
        assert all(word in question.split() for word in re.findall(r"asks: (.*?)…", first)[0].split())

    def test_watching_needs_a_terminal(self, realm: CommandLine) -> None:
        result = realm("list", "--watch")
        assert (result.code, result.out) == (2, "")
        assert "--watch draws on a terminal" in result.err

    def test_nothing_is_a_hint_and_no_output(self, realm: CommandLine) -> None:
        realm.fake("find", list_sessions=lambda *_: Listing((), ("/gone no longer exists: skipped",)))
        result = realm("list")
        assert (result.code, result.out) == (0, "")
        warning = "warning: /gone no longer exists: skipped\n"
        assert result.err == f"{warning}hint: no sessions yet: realm new NAME starts one\n"
        assert realm("list", "--json").out == "[]\n"

    def test_where_it_looks(self, realm: CommandLine) -> None:
        asked: list[Any] = []
        realm.fake("find", list_sessions=recorder(asked, Listing()))
        realm("list")
        realm("list", "--all")
        realm("-C", "sub", "list")
        realm("list", "-C", "sub")
        assert asked == [(None, False), (None, True), (Path("sub"), False), (Path("sub"), False)]

    def test_what_a_repository_holds_is_cleaned(self, realm: CommandLine) -> None:
        row = SessionRow("a\x1b[2J", Path("/p\n\udcff"), CODE, State.EXITED, Summary("\x07"))
        realm.fake("find", list_sessions=lambda *_: Listing((row,), ("b\x1b]0;t\x07",)))
        result = realm("list")
        assert result.out == "a[2J\t/p \tdone\t\t\t\n"
        assert result.err == "warning: b]0;t\n"
        assert "\\u001b" not in realm("list", "--json").out


class TestPush:
    def test_it_says_where_the_commits_went(self, realm: CommandLine) -> None:
        asked: list[PushRequest] = []
        answer = PushResult("origin", "fix/x", CODE, 1, lines=("Create a pull request: https://x/\x1b[2Jpr",))
        realm.fake("push", push=recorder(asked, answer))
        result = realm("push", "x", "--as", "fix/x", "--to", "origin", "--squash", "--force")
        assert asked == [PushRequest("x", None, "fix/x", "origin", squash=True, force=True)]
        expected = "pushed x → origin/fix/x (1 commit)\nCreate a pull request: https://x/[2Jpr\n"
        assert (result.code, result.out, result.err) == (0, expected, "")

    def test_nothing_new_is_said_too(self, realm: CommandLine) -> None:
        realm.fake("push", push=recorder([], PushResult("origin", "x", CODE, 3, up_to_date=True)))
        assert realm("push", "x").out == "origin/x has all of x already\n"


class TestRemove:
    @staticmethod
    def fakes(realm: CommandLine, **facts: Any) -> list[Any]:
        removed: list[Any] = []
        removal = Removal(
            "x", Project(Path("/p"), Path("/p/.git"), Path("/p/.git"), "p"), CODE, META, **facts
        )
        realm.fake(
            "remove",
            plan=lambda *_, **__: removal,
            remove=recorder(removed, removal),
            restore=lambda *_, **__: removal,
        )
        return removed

    def test_it_prints_the_way_back(self, realm: CommandLine) -> None:
        removed = self.fakes(realm)
        result = realm("remove", "x")
        assert result.code == 0
        assert result.out == f"removed x\n  code    {CODE}\n  record  {META}\n"
        assert result.err == "hint: realm restore x brings it back\n"
        assert [removal.name for removal in removed] == ["x"]

    @pytest.mark.parametrize(
        ("facts", "sentence"),
        [
            ({"unpushed": 1}, "session x has 1 commit found nowhere else"),
            ({"unpushed": 3}, "session x has 3 commits found nowhere else"),
        ],
    )
    def test_without_a_terminal_work_needs_yes(
        self, facts: dict[str, int], sentence: str, realm: CommandLine
    ) -> None:
        removed = self.fakes(realm, **facts)
        result = realm("remove", "x")
        assert (result.code, result.out, removed) == (1, "", [])
        assert result.err.startswith(f"error: {sentence}")
        assert result.err.endswith("hint: realm remove x --yes removes it anyway\n")
        assert realm("remove", "x", "--yes").code == 0
        assert len(removed) == 1

    @pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1)])
    def test_on_a_terminal_it_asks(
        self, answer: str, code: int, realm: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import io

        removed = self.fakes(realm, unpushed=2)
        realm.terminal()
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        result = realm("remove", "x")
        assert result.code == code
        assert "session x has 2 commits found nowhere else. Remove it? [y/N] " in result.err
        assert len(removed) == (code == 0)

    def test_restore_says_what_is_back(self, realm: CommandLine) -> None:
        self.fakes(realm)
        result = realm("restore", "x")
        assert (result.code, result.out) == (0, f"restored x\n  code    {CODE}\n  record  {META}\n")


class TestDoctor:
    CHECKS = (Check("git", "ok", "git 2.39"), Check("login", "warn", "no login", "claude login"))
    BROKEN = Check("engine", "fail", "stopped\x1b[2J", "start it")

    def fakes(self, realm: CommandLine, *more: Check) -> list[Any]:
        tried: list[Any] = []

        def checks() -> Iterator[Check]:
            yield from (*self.CHECKS, *more)

        def trial(ui: UI) -> int:
            tried.append(ui)
            ui.info("made")
            return 0

        realm.fake("doctor", checks=checks, trial=trial)
        return tried

    def test_one_line_per_check_with_its_hint(self, realm: CommandLine) -> None:
        self.fakes(realm, self.BROKEN)
        result = realm("doctor")
        assert result.code == 1
        assert result.out.splitlines() == [
            "ok    git       git 2.39",
            "warn  login     no login",
            "                hint: claude login",
            "fail  engine    stopped[2J",
            "                hint: start it",
        ]

    def test_on_a_terminal_long_texts_keep_their_column(self, realm: CommandLine) -> None:
        self.fakes(realm, Check("path", "warn", "word " * 20, "word " * 20))
        realm.terminal(60)
        lines = realm("doctor").out.splitlines()[3:]
        assert max(map(len, lines)) <= 60
        assert [line[:16].split() for line in lines] == [["warn", "path"], [], [], [], [], []]
        assert lines[3].index("hint:") == lines[0].index("word")

    def test_warnings_are_no_failure(self, realm: CommandLine) -> None:
        self.fakes(realm)
        assert realm("doctor").code == 0

    def test_as_json(self, realm: CommandLine) -> None:
        self.fakes(realm, self.BROKEN)
        result = realm("doctor", "--json")
        assert result.code == 1
        assert json.loads(result.out)[1] == {
            "name": "login", "status": "warn", "detail": "no login", "hint": "claude login"
        }  # fmt: skip

    def test_a_trial_runs_when_all_is_well(self, realm: CommandLine) -> None:
        tried = self.fakes(realm)
        result = realm("doctor", "--run")
        assert (result.code, result.err, len(tried)) == (0, "made\n", 1)

    def test_no_trial_when_a_check_failed(self, realm: CommandLine) -> None:
        tried = self.fakes(realm, self.BROKEN)
        assert (realm("doctor", "--run").code, tried) == (1, [])


class TestBuild:
    def test_it_prints_the_images_id(self, realm: CommandLine, tmp_path: Path) -> None:
        asked: list[Any] = []
        realm.fake("images", build=recorder(asked, "sha256:1"))
        (tmp_path / "ca.pem").touch()
        result = realm(
            "build", "--claude-version", "2", "--base", "b", "--ca-file", "ca.pem", "--slim", "--no-cache",
            "-C", "sub",
        )  # fmt: skip
        assert (result.code, result.out, result.err) == (0, "sha256:1\n", "built realm:latest\n")
        assert asked[0][:5] == ("2", "b", tmp_path / "ca.pem", True, True)

    def test_a_missing_file_is_a_usage_error(self, realm: CommandLine) -> None:
        result = realm("build", "--ca-file", "nope.pem")
        assert result.code == 2
        assert "--ca-file is 'nope.pem': there is no such file" in result.err

    def test_a_tilde_is_the_home_directory(self, realm: CommandLine, sealed: Path) -> None:
        asked: list[Any] = []
        realm.fake("images", build=recorder(asked, "sha256:1"))
        (sealed / "ca.pem").touch()
        assert realm("build", "--ca-file=~/ca.pem").code == 0
        assert asked[0][2] == sealed / "ca.pem"


class TestConfig:
    def test_each_value_says_where_it_comes_from(
        self, realm: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REALM_IMAGE", "mine")
        out = realm("config").out
        assert "realm.image\tmine\tenvironment\tREALM_IMAGE\n" in out
        assert "realm.remote\torigin\tdefault\tREALM_REMOTE\n" in out

    def test_as_json(self, realm: CommandLine, sealed: Path) -> None:
        with (sealed / ".gitconfig").open("a") as file:
            file.write("[realm]\n\tinclude = a\n\tinclude = b\n")
        found = {record["key"]: record for record in json.loads(realm("config", "--json").out)}
        assert found["realm.include"]["value"] == "a b"
        assert found["realm.include"]["source"] == "git config"
        assert set(found["realm.pids"]) == {"key", "value", "source", "variable", "help", "problem"}

    def test_what_a_setting_cannot_mean_is_flagged(
        self, realm: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REALM_PIDS", "many")
        monkeypatch.setenv("REALM_DOCKER_ARGS", "--no-such")
        done = realm("config")
        assert done.code == 0
        assert "warning: REALM_PIDS is 'many': it is not a number from 1 to" in done.err
        assert "'--no-such' is not supported" in done.err
        found = {record["key"]: record["problem"] for record in json.loads(realm("config", "--json").out)}
        assert {key for key, problem in found.items() if problem} == {"realm.pids", "realm.dockerArgs"}

    def test_a_terminal_gets_a_header(self, realm: CommandLine) -> None:
        realm.terminal(120)
        assert realm("config").out.splitlines()[0].split() == ["SETTING", "VALUE", "SOURCE", "ENVIRONMENT"]


def test_completion_prints_the_script(realm: CommandLine) -> None:
    for shell, word in (
        ("bash", "complete -o nosort -F _realm_completion realm"),
        ("zsh", "#compdef realm"),
        ("fish", "complete --no-files --command realm"),
    ):
        assert word in realm("completion", shell).out


def test_colour_can_be_forced_and_forbidden(realm: CommandLine) -> None:
    realm.fake("doctor", checks=lambda: iter([Check("git", "ok", "x")]))
    assert realm("doctor", "--color", "always").out == "\x1b[32mok\x1b[0m    git       x\n"
    assert realm("--color=always", "doctor").out == "\x1b[32mok\x1b[0m    git       x\n"
    assert realm("--color=always", "doctor", "--color=never").out == "ok    git       x\n"
