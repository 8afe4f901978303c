from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from realm.agents import claude, turns
from realm.agents.login import Login
from realm.model import TurnText

if TYPE_CHECKING:
    from pathlib import Path

ID = "01234567-89ab-cdef-0123-456789abcdef"


def config(host: Path, login: Login | None = None) -> dict[str, claude.ConfigFile]:
    files = claude.config_files(login or Login(), "/workspace/p", {"CLAUDE_CONFIG_DIR": str(host)})
    return {file.path: file for file in files}


def load(file: claude.ConfigFile) -> Any:
    return json.loads(file.content)


def test_a_first_run_names_its_conversation() -> None:
    assert claude.command(ID, ["fix it"], resume=False) == [
        "claude", "--dangerously-skip-permissions", "--session-id", ID, "fix it",
    ]  # fmt: skip


def test_a_later_run_resumes_it() -> None:
    assert claude.command(ID, [], resume=True)[2:] == ["--resume", ID]


@pytest.mark.parametrize(
    "chosen", [["-c"], ["--resume", "x"], ["--resume=x"], ["--continue"], ["--session-id", "y"]]
)
def test_the_users_choice_of_a_conversation_wins(chosen: list[str]) -> None:
    assert claude.command(ID, chosen, resume=True) == ["claude", "--dangerously-skip-permissions", *chosen]


def test_it_starts_without_questions(tmp_path: Path) -> None:
    files = config(tmp_path, Login({"ANTHROPIC_API_KEY": "x" * 10 + "0123456789abcdefghij"}))
    state = load(files[".claude.json"])
    assert state["hasCompletedOnboarding"] is True
    assert state["projects"]["/workspace/p"]["hasTrustDialogAccepted"] is True
    assert state["customApiKeyResponses"]["approved"] == ["0123456789abcdefghij"]
    assert load(files["settings.json"])["skipDangerousModePermissionPrompt"] is True


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
    }


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "[" * 3000])
def test_broken_settings_of_the_user_are_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    assert load(config(tmp_path)["settings.json"]) == {"skipDangerousModePermissionPrompt": True}


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
    expected = f"projects/-workspace-my-repo-src/{ID}.jsonl"
    assert claude.transcript_path("/workspace/my.repo/src", ID) == expected


def test_turns_are_joined_by_number() -> None:
    texts = turns.turn_texts(
        {1: b'{"prompt": "a"}', 2: b'{"prompt": 3}'}, {1: b'{"last_assistant_message": "z"}', 3: b"{"}
    )
    assert texts == {1: TurnText("a", "z"), 2: TurnText(), 3: TurnText()}


@pytest.mark.parametrize(("text", "found"), [(ID + "\n", ID), ("../x", None), ("", None), (ID + "/..", None)])
def test_a_conversations_id_is_checked(text: str, found: str | None) -> None:
    assert turns.conversation_id(text) == found
