"""The key that a program of the user's lends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from realm.agents.claude import home, login
from realm.errors import RealmError

if TYPE_CHECKING:
    from pathlib import Path


def configured(tmp_path: Path, command: object, **env: str) -> dict[str, str]:
    (tmp_path / "settings.json").write_text(json.dumps({"apiKeyHelper": command, "env": env}))
    return {"CLAUDE_CONFIG_DIR": str(tmp_path)}


def test_it_is_asked_again_after_its_time(tmp_path: Path) -> None:
    counts = f"echo x >>{tmp_path}/asked; echo key-$(wc -l <{tmp_path}/asked)"
    environ = configured(tmp_path, counts)
    assert [home.lent_key(environ), home.lent_key(environ)] == ["key-1", "key-1"]
    environ = configured(tmp_path, counts, CLAUDE_CODE_API_KEY_HELPER_TTL_MS="0")
    assert [home.lent_key(environ), home.lent_key(environ)] == ["key-2", "key-3"]


@pytest.mark.parametrize("command", [None, "", " ", 3])
def test_without_one_there_is_none(tmp_path: Path, command: object) -> None:
    assert home.lent_key(configured(tmp_path, command)) == ""


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("true", "it printed no key"),
        ("echo two words", "it printed no key"),
        ("printf '\\033[31mred'", "it printed no key"),
        ("exit 3", "exit code 3"),
        ("echo 'vault \\033[2Jis shut' >&2; exit 1", "vault"),
    ],
)
def test_what_is_no_key_is_said(tmp_path: Path, command: str, why: str) -> None:
    with pytest.raises(RealmError, match=why) as refused:
        home.lent_key(configured(tmp_path, command))
    assert "\033" not in refused.value.message


def test_a_key_of_the_environment_wins_and_a_login_of_the_host_does_not(tmp_path: Path) -> None:
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    part = {"accessToken": "a", "refreshToken": "r", "expiresAt": 1}
    (tmp_path / ".credentials.json").write_text(json.dumps({"claudeAiOauth": part}))
    found = login.find(environ, {}, {}, lambda: "lent")
    assert found.variables == {"ANTHROPIC_API_KEY": "lent", "ANTHROPIC_AUTH_TOKEN": "lent"}
    assert found.is_renewed
    found = login.find({**environ, "ANTHROPIC_API_KEY": "own"}, {}, {}, lambda: "lent")
    assert found.variables == {"ANTHROPIC_API_KEY": "own"}
    assert not found.is_renewed
