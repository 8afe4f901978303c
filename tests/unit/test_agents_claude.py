from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any

import pytest

from realm import agents
from realm.agents import Login, News
from realm.agents.claude import home
from realm.model import Activity, Question, TurnText

if TYPE_CHECKING:
    from pathlib import Path

ID = "01234567-89ab-cdef-0123-456789abcdef"


CLAUDE = agents.find()


def config(host: Path, login: Login | None = None) -> dict[str, agents.HomeFile]:
    files = agents.find((), {"CLAUDE_CONFIG_DIR": str(host)}).files(login or Login(), "/workspace/p")
    return {file.path.removeprefix("claude/"): file for file in files}


def load(file: agents.HomeFile) -> Any:
    return json.loads(file.content)


def test_a_first_run_names_its_conversation() -> None:
    assert CLAUDE.argv(["fix it"], conversation=ID, resume=False) == [
        "claude", "--dangerously-skip-permissions", "--session-id", ID, "fix it",
    ]  # fmt: skip


def test_a_later_run_resumes_it() -> None:
    assert CLAUDE.argv([], conversation=ID, resume=True)[2:] == ["--resume", ID]


@pytest.mark.parametrize(
    "chosen", [["-c"], ["--resume", "x"], ["--resume=x"], ["--continue"], ["--session-id", "y"]]
)
def test_the_users_choice_of_a_conversation_wins(chosen: list[str]) -> None:
    assert CLAUDE.argv(chosen, conversation=ID, resume=True) == [
        "claude", "--dangerously-skip-permissions", *chosen,
    ]  # fmt: skip


def test_a_permission_mode_of_the_users_wins() -> None:
    for given in (["--permission-mode", "plan"], ["--permission-mode=plan"]):
        assert CLAUDE.argv(given, conversation=ID, resume=False) == [
            "claude", "--allow-dangerously-skip-permissions", "--session-id", ID, *given,
        ]  # fmt: skip


def test_a_fork_is_of_this_conversation() -> None:
    assert CLAUDE.argv(["--fork-session"], conversation=ID, resume=True)[2:] == [
        "--resume", ID, "--fork-session",
    ]  # fmt: skip


def test_it_starts_without_questions(tmp_path: Path) -> None:
    files = config(tmp_path, Login({"ANTHROPIC_API_KEY": "x" * 10 + "0123456789abcdefghij"}))
    state = load(files[".claude.json"])
    assert state["hasCompletedOnboarding"] is True
    assert state["projects"]["/workspace/p"]["hasTrustDialogAccepted"] is True
    assert state["customApiKeyResponses"]["approved"] == ["0123456789abcdefghij"]
    assert load(files["settings.json"])["skipDangerousModePermissionPrompt"] is True


def test_servers_of_the_users_own_configuration_are_not_there(tmp_path: Path) -> None:
    server = {"mcpServers": {"mine": {"command": "/home/ada/serve"}}}
    (tmp_path / ".claude.json").write_text(json.dumps({**server, "projects": {"/home/ada/p": server}}))
    (tmp_path / "settings.json").write_text(json.dumps(server))
    assert [path for path, file in config(tmp_path).items() if b"/home/ada" in file.content] == []


def test_the_key_itself_is_in_no_file(tmp_path: Path) -> None:
    key = "sk-ant-secret-part-0123456789abcdefghij"
    files = config(tmp_path, Login({"ANTHROPIC_API_KEY": key}))
    assert all(key.encode() not in file.content for file in files.values())


def test_settings_come_without_programs_of_the_host(tmp_path: Path) -> None:
    settings = {"model": "opus", "hooks": {"Stop": []}, "statusLine": {}, "apiKeyHelper": "/bin/x"}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    assert load(config(tmp_path)["settings.json"]) == {
        "model": "opus",
        "skipDangerousModePermissionPrompt": True,
        "preferredNotifChannel": "terminal_bell",
    }


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "[" * 3000])
def test_broken_settings_of_the_user_are_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    assert load(config(tmp_path)["settings.json"]) == {
        "skipDangerousModePermissionPrompt": True, "preferredNotifChannel": "terminal_bell",
    }  # fmt: skip


def test_instructions_commands_and_skills_are_read_only_copies(tmp_path: Path) -> None:
    skills = tmp_path / "elsewhere"
    (skills / "deep").mkdir(parents=True)
    (skills / "deep" / "SKILL.md").write_text("s")
    (skills / "deep" / "loop").symlink_to(skills)
    (tmp_path / "CLAUDE.md").write_text("be kind")
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "go.md").write_text("go")
    (tmp_path / "skills").symlink_to(skills)
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "private.jsonl").write_text("secret")
    files = config(tmp_path)
    assert files["CLAUDE.md"].content == b"be kind"
    assert files["commands/go.md"].mode == 0o444
    assert files["skills/deep/SKILL.md"].content == b"s"
    assert not any("private" in path or "elsewhere" in path for path in files)


def test_the_account_goes_only_with_a_copied_login(tmp_path: Path) -> None:
    (tmp_path / ".claude.json").write_text(
        json.dumps({"oauthAccount": {"id": 1}, "theme": "light", "userID": "u"})
    )
    without = load(config(tmp_path)[".claude.json"])
    assert "oauthAccount" not in without
    assert "userID" not in without
    assert without["theme"] == "light"
    files = config(tmp_path, Login(credentials=b"{}"))
    assert load(files[".claude.json"])["oauthAccount"] == {"id": 1}
    assert files[".credentials.json"].mode == 0o600


def test_where_a_conversation_lies() -> None:
    expected = f"claude/projects/-workspace-my-repo-src/{ID}.jsonl"
    assert CLAUDE.conversation_file("/workspace/my.repo/src", ID) == expected
    assert CLAUDE.conversation_id(expected) == ID


def test_turns_are_joined_by_number() -> None:
    texts = CLAUDE.turn_texts(
        {1: b'{"prompt": "a"}', 2: b'{"prompt": 3}', 4: b"[" * 5000},
        {1: b'{"last_assistant_message": "z"}', 3: b"{"},
    )
    assert texts == {1: TurnText("a", "z"), 2: TurnText(), 3: TurnText(), 4: TurnText()}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (ID, ID),
        (f"claude/projects/-workspace-p/{ID}.jsonl", ID),
        (f"claude/projects/-workspace-p/agent-{ID}.jsonl", None),
        (f"claude/projects/../{ID}.jsonl", None),
        (f"claude/projects/-workspace-p/{ID}", None),
        (f"claude/projects/-workspace-p/deep/{ID}.jsonl", None),
        ("../x", None),
        ("", None),
        (f"{ID}\n", None),
        (f"{ID}/..", None),
    ],
)
def test_a_conversations_id_is_checked(name: str, found: str | None) -> None:
    assert CLAUDE.conversation_id(name) == found


def test_pattern_of_conversations_names_them_and_not_those_of_helpers() -> None:
    place, id_ = "claude/projects/-workspace-x", "0f0f0f0f-0000-4000-8000-000000000000"
    assert CLAUDE.conversation_file("/workspace/x", id_) == f"{place}/{id_}.jsonl"
    assert CLAUDE.conversations is not None
    assert fnmatch.fnmatchcase(f"{place}/{id_}.jsonl", CLAUDE.conversations)
    for other in (f"agent-{id_[9:]}", "agent-0f0f0f0f", f"{id_}/subagents/agent-0f0f0f0f"):
        assert not fnmatch.fnmatchcase(f"{place}/{other}.jsonl", CLAUDE.conversations)


def test_of_the_settings_variables_only_what_reaches_and_chooses_a_model_goes_in(tmp_path: Path) -> None:
    fit = {
        "ANTHROPIC_MODEL": "opus", "ANTHROPIC_DEFAULT_HAIKU_MODEL": "h", "HTTPS_PROXY": "http://proxy:3128",
        "CLAUDE_CODE_USE_VERTEX": "1", "DISABLE_TELEMETRY": "1", "BASH_MAX_TIMEOUT_MS": "9",
    }  # fmt: skip
    login = {"ANTHROPIC_AUTH_TOKEN": "secret", "ANTHROPIC_BASE_URL": "https://gateway.test"}
    other = {
        "GITHUB_TOKEN": "ghp_1", "AWS_SECRET_ACCESS_KEY": "s", "NODE_OPTIONS": "--require /x", "PATH": "/x",
        "NODE_EXTRA_CA_CERTS": "/etc/x", "LD_PRELOAD": "/x", "BASH_ENV": "/x", "n\x1b[2J": "x", "NUMBER": 3,
    }  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps({"model": "opus", "env": {**fit, **login, **other}}))
    assert load(config(tmp_path)["settings.json"])["env"] == fit
    (warning,) = agents.find((), {"CLAUDE_CONFIG_DIR": str(tmp_path)}).warnings(Login())
    assert "AWS_SECRET_ACCESS_KEY, BASH_ENV, GITHUB_TOKEN, LD_PRELOAD" in warning
    assert "ghp_1" not in warning
    assert "\x1b" not in warning


def test_addresses_of_this_machine_are_told_of(tmp_path: Path) -> None:
    host = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    (tmp_path / "settings.json").write_text(json.dumps({"env": {"HTTPS_PROXY": "http://127.0.0.1:3128"}}))
    told = agents.find((), host).warnings(Login({"ANTHROPIC_BASE_URL": "http://localhost:4000"}))
    assert [text.split(" is ")[0] for text in told] == ["ANTHROPIC_BASE_URL", "HTTPS_PROXY"]
    elsewhere = agents.find((), {"CLAUDE_CONFIG_DIR": "/no"})
    assert elsewhere.warnings(Login({"ANTHROPIC_BASE_URL": "https://api.test"})) == []


def test_it_has_a_screen_unless_it_prints() -> None:
    assert CLAUDE.wants_screen(["fix it"])
    assert CLAUDE.wants_screen(["fix it"], listens=False)
    assert not CLAUDE.wants_screen(["--print", "fix it"])


def test_its_closing_line_is_known() -> None:
    assert CLAUDE.closing is not None
    for options in ("", " --dangerously-skip-permissions", " --dangerously-skip-permissions --model opus"):
        assert CLAUDE.closing.fullmatch(f"claude{options} --resume {ID}".encode())


def test_options_that_realm_shares_with_it_are_its_own() -> None:
    assert CLAUDE.options is not None
    assert {"--agent", "--model", "--print"} <= CLAUDE.options
    assert not {"--detach", "--wip", "--base", "--include"} & CLAUDE.options


PASTED = '<pasted_content id="b8">\na\nb\n</pasted_content id="b8">\n'


def test_what_was_said_is_read_from_the_conversation() -> None:
    lines = [
        {"type": "summary", "summary": "x"},
        {"type": "user", "timestamp": "2026-01-01T00:00:00Z", "message": {"content": "fix it"}},
        {"type": "user", "isMeta": True, "message": {"content": "caveat"}},
        {"type": "user", "message": {"content": f"Do\n\n{PASTED}"}},
        {"type": "assistant", "message": {"content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "name": "Bash", "input": {"description": "list", "command": "ls\n-l"}},
            {"type": "tool_use", "name": 3, "input": []},
            "odd",
        ]}},
        {"type": "user", "message": {"content": [{"type": "tool_result", "content": "a"}]}},
        {
            "type": "user",
            "message": {"content": [{"type": "tool_result", "content": "Your questions have been answered"}]},
            "toolUseResult": {"answers": {"Which?": "Blue", "Pages?": "Home, Help", "Odd?": 1}},
        },
        {"type": "user", "message": {"content": []}, "toolUseResult": {"answers": ["x"]}},
        {"type": "assistant", "isSidechain": True, "message": {"content": "helper"}},
        {"type": "assistant", "message": None},
    ]  # fmt: skip
    raw = [json.dumps(line).encode() for line in lines] + [b"{", b"[" * 5000, b"\xff", b"[]"]
    assert list(CLAUDE.read(raw)) == [
        agents.Said("user", "fix it", "2026-01-01T00:00:00Z"),
        agents.Said("user", "Do\na\nb"),
        agents.Said("agent", "Looking."),
        agents.Said("tool", "Bash ls -l"),
        agents.Said("tool", "3"),
        agents.Said("tool", "Which? was answered: Blue"),
        agents.Said("tool", "Pages? was answered: Home, Help"),
    ]


def test_commands_are_shown_as_they_were_typed() -> None:
    own = "<command-message>shout</command-message>\n<command-name>/shout</command-name>\n"
    built_in = "<command-name>/compact</command-name>\n   <command-message>compact</command-message>\n"
    texts = [
        f"{own}<command-args>now\nand here</command-args>",
        f"{built_in}   <command-args></command-args>",
        "<local-command-stdout>Compacted</local-command-stdout>",
        "<bash-input>make test</bash-input>",
        "<bash-stdout>fine</bash-stdout><bash-stderr></bash-stderr>",
        f"{own}and nothing else of it",
    ]
    lines: list[dict[str, Any]] = [{"type": "user", "message": {"content": text}} for text in texts]
    lines.append({"type": "user", "isCompactSummary": True, "message": {"content": "This session is…"}})
    raw = [json.dumps(line).encode() for line in lines]
    typed = ["/shout now\nand here", "/compact", "! make test", texts[-1]]
    assert list(CLAUDE.read(raw)) == [agents.Said("user", text) for text in typed]
    assert [one.prompt for one in CLAUDE.exchanges(raw)] == [typed[0], typed[-1]]


def hook(kind: str, **fields: Any) -> bytes:
    return json.dumps({"hook_event_name": kind, "session_id": ID, **fields}).encode()


def asked(*questions: Any) -> bytes:
    return hook("PermissionRequest", tool_name="AskUserQuestion", tool_input={"questions": list(questions)})


MORE = {"question": "More?", "options": [{"label": "A"}, {"label": "B"}], "multiSelect": True}
PAGES = Question("More?", ("A", "B"), several=True)
WHICH = {"question": "Which?", "options": [{"label": "One"}, {"label": "Two"}], "multiSelect": False}


@pytest.mark.parametrize(
    ("told", "news"),
    [
        (hook("UserPromptSubmit", prompt="fix it"), News(Activity.WORKING, prompt="fix it")),
        (
            hook("UserPromptSubmit", prompt=f"Do\n\n{PASTED}"),
            News(Activity.WORKING, prompt="Do\na\nb"),
        ),
        (hook("Stop", last_assistant_message="Fixed."), News(Activity.DONE, words="Fixed.")),
        (hook("StopFailure", last_assistant_message="Error: 429"), News(Activity.STUCK, words="Error: 429")),
        (asked(WHICH), News(Activity.ASKS, "Which?", (Question("Which?", ("One", "Two")),))),
        (
            asked(WHICH, MORE),
            News(Activity.ASKS, "Which? (1 of 2)", (Question("Which?", ("One", "Two")), PAGES)),
        ),
        (asked(MORE), News(Activity.ASKS, "More?", (PAGES,))),
        (asked(*[WHICH] * 9), News(Activity.ASKS, "Which? (1 of 9)")),
        (asked({**WHICH, "options": []}), News(Activity.ASKS, "Which?")),
        (
            hook("PermissionRequest", tool_name="Bash", tool_input={"command": "ls"}),
            News(Activity.ASKS, "to use Bash ls"),
        ),
        (
            hook("PermissionRequest", tool_name="ExitPlanMode", tool_input={"plan": "1. …"}),
            News(Activity.ASKS, "to go on with its plan"),
        ),
        (hook("PostToolUse", tool_name="AskUserQuestion"), News(Activity.WORKING)),
    ],
)
def test_what_its_hooks_say_is_read(told: bytes, news: News) -> None:
    assert CLAUDE.news(told) == news._replace(conversation=ID)


@pytest.mark.parametrize(
    "told",
    [
        b"", b"[]", b"{", b"\xff", hook("Other"), b'{"hook_event_name": []}',
        hook("PermissionRequest"), hook("PermissionRequest", tool_name=3, tool_input=[]),
        hook("PermissionRequest", tool_input={"questions": "all"}), asked(), asked(3), asked({}),
        asked({"question": {}, "options": 3}), asked({"options": [3, {"label": 3}]}),
        asked({"options": {"label": 1}}),
        hook("Stop", last_assistant_message=3), hook("UserPromptSubmit", prompt=[]),
        json.dumps({"hook_event_name": "Stop", "session_id": "../../x"}).encode(),
    ],
)  # fmt: skip
def test_whatever_its_hooks_say_is_survived(told: bytes) -> None:
    news = CLAUDE.news(told)
    assert news is None or (isinstance(news.question, str) and news.conversation in {"", ID})


@pytest.mark.parametrize(
    ("arguments", "prompt"),
    [
        ((), ""),
        (("do it",), "do it"),
        (("-p", "do it"), "do it"),
        (("--", "do it"), "do it"),
        (("--model", "opus", "--verbose", "do it"), "do it"),
        (("--model=opus", "do it", "--verbose"), "do it"),
        (("--model", "opus"), ""),
        (("--add-dir", "lib", "do it"), ""),
        (("--debug", "do it"), ""),
        (("--model", "opus", "--add-dir", "lib"), ""),
    ],
)
def test_the_prompt_that_arguments_give(arguments: tuple[str, ...], prompt: str) -> None:
    assert CLAUDE.prompt(arguments) == prompt


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((), None),
        (("--worktree",), None),
        (("--worktree", "foo", "-p", "x"), "foo"),
        (("-p", "x", "-w", "foo"), "foo"),
        (("--worktree=foo",), "foo"),
        (("--worktree", "../foo"), None),
        (("-p", "--worktree"), None),
    ],
)
def test_the_work_tree_that_arguments_name(arguments: tuple[str, ...], name: str | None) -> None:
    found = (f".claude/worktrees/{name}", f"worktree-{name}") if name else None
    assert agents.find().worktree(arguments, None) == found


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ([{"worktreeName": "foo"}], "foo"),
        ([{"worktreeName": "foo"}, {"worktreeName": "bar"}], "bar"),
        ([{"worktreeName": "foo"}, None], None),
        ([{"worktreeName": "../../foo"}], None),
        (["foo"], None),
        ([], None),
    ],
)
def test_the_work_tree_that_a_conversation_was_last_in(states: list[object], name: str | None) -> None:
    lines = [{"type": "worktree-state", "worktreeSession": state} for state in states]
    said = "".join(json.dumps(line, separators=(",", ":")) + '\n{"type":"user"}\n' for line in lines)
    found = (f".claude/worktrees/{name}", f"worktree-{name}") if name else None
    assert agents.find().worktree((), said.encode()) == found
    assert agents.find().worktree(("-w", "other"), said.encode()) == (
        ".claude/worktrees/other",
        "worktree-other",
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), []),
        (("--add-dir", "../a", "../b", "-p", "x"), ["../a", "../b"]),
        (("-p", "x", "--add-dir=../a", "y"), ["../a"]),
        (("--add-dir",), []),
        (("../a",), []),
    ],
)
def test_the_directories_that_arguments_name(arguments: tuple[str, ...], named: list[str]) -> None:
    assert CLAUDE.directories(arguments) == named


SERVERS: dict[str, dict[str, Any]] = {
    "docs": {"type": "http", "url": "https://mcp.example.com/mcp", "headers": {"Accept": "x/y"}},
    "keyed": {"type": "sse", "url": "https://mcp.example.com/k", "headers": {"X-Api-Key": "hunter2hunter2"}},
    "npx": {
        "command": "/usr/bin/npx",
        "args": ["-y", "it"],
        "env": {"KEY": "${SERVER_KEY}", "TOKEN": "hunter2hunter2"},
    },
    "own": {"command": "/home/ada/bin/server"},
    "here": {"type": "http", "url": "http://localhost:3000/mcp"},
    "told": {"command": "npx", "args": ["server", "--api-key=hunter2hunter2"]},
    "path": {"command": "uvx", "args": ["{home}/server"]},
    "login": {"type": "http", "url": "https://ada:hunter2@mcp.example.com/mcp"},
    "odd": {"command": ["npx"], "args": 5, "env": []},
    "odder": {"url": "https://mcp.example.com/", "headers": [1]},
    "query": {"type": "http", "url": "https://mcp.example.com/mcp?sig=x"},
    "broken": {"type": "http", "url": "https://[bad"},
    "header": {"command": "npx", "args": ["it", "--header", "Authorization: Bearer x"]},
    "joined": {"command": "npx", "args": ["it", "--header=Authorization:x"]},
    "option": {"command": "npx", "args": ["it", "--pw", "x"]},
    "base": {"command": "uvx", "args": ["it", "postgresql://db/x?user=ada&password=x"]},
    "pair": {"command": "uvx", "args": ["it", "ada:x@db"]},
    "named": {
        "command": "npx",
        "args": ["-y", "@auth/keys@1.2", "--header", "Authorization: Bearer ${T}", "--token", "${T}", "x"],
    },
    "short": {
        "url": "https://mcp.example.com/s",
        "headers": {"X-Api-Key": "x", "Authorization": "Bearer ${T}"},
    },
    "unasked": {"type": "http", "url": "https://other.example.com/mcp"},
}


def test_mcp_servers_that_are_named_come_along_without_secrets(sealed: Path) -> None:
    text = json.dumps({"mcpServers": SERVERS}).replace("{home}", str(sealed))
    (sealed / ".claude.json").write_text(text)
    claude = agents.find((), {"REALM_MCP": " ".join([*list(SERVERS)[:-1], "none"])})
    state = json.loads(next(file.content for file in claude.files(Login(), "/workspace/p")))
    assert state["mcpServers"] == {
        "docs": SERVERS["docs"],
        "keyed": {**SERVERS["keyed"], "headers": {}},
        "npx": {"command": "npx", "args": ["-y", "it"], "env": {"KEY": "${SERVER_KEY}"}},
        "named": SERVERS["named"],
        "short": {
            "type": "http",
            "url": SERVERS["short"]["url"],
            "headers": {"Authorization": "Bearer ${T}"},
        },
    }
    told = "\n".join(claude.warnings(Login()))
    assert "keyed is in the container without X-Api-Key" in told
    assert "npx is in the container without TOKEN" in told
    outside = [
        "own",
        "here",
        "told",
        "path",
        "login",
        "odd",
        "odder",
        "query",
        "broken",
        "header",
        "joined",
        "option",
        "base",
        "pair",
    ]
    assert [name for name in SERVERS if f"{name} stays outside: " in told] == outside
    assert "option stays outside: its argument 3 may have a secret in it" in told
    assert "no server none on this" in told
    assert "https://mcp.example.com/mcp" in claude.reaches(Login(), {})
    assert "https://other.example.com/mcp" not in claude.reaches(Login(), {})


def test_the_state_is_read_again_only_when_it_changed(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = home._read_object
    monkeypatch.setattr(home, "_read_object", lambda path: read.append(path) or original(path))  # type: ignore[func-returns-value]
    file = sealed / ".claude.json"
    claude = agents.find((), {"REALM_MCP": "docs"})
    for names in (["docs"], ["docs", "npx"]):
        file.write_text(json.dumps({"mcpServers": {name: SERVERS[name] for name in names}}))
        for _ in range(2):
            state = json.loads(next(found.content for found in claude.files(Login(), "/workspace/p")))
            assert list(state["mcpServers"]) == ["docs"]
            assert "https://mcp.example.com/mcp" in claude.reaches(Login(), {})
    assert read.count(file) == 2


def test_a_login_that_was_chosen_is_the_one_that_is_used_and_renewed(sealed: Path) -> None:
    work = sealed / "work"
    work.mkdir()
    (work / ".claude.json").write_text('{"theme": "dark"}')
    claude = agents.find((), {"REALM_LOGIN": str(work), "CLAUDE_CONFIG_DIR": "/other"})
    state = json.loads(next(file.content for file in claude.files(Login(), "/workspace/p")))
    assert state["theme"] == "dark"
    assert claude.host_environment() == {"CLAUDE_CONFIG_DIR": str(work)}
    assert agents.find((), {}).host_environment() == {}
