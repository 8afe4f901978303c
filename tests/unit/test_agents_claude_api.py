"""How the model's API is reached with each login, and what a sandbox without any key gets."""

from __future__ import annotations

import json

import pytest

from realm import agents
from realm.agents.base import Login
from realm.agents.claude import api, home
from realm.agents.claude.api import find, inside

URL = "http://127.0.0.1:3129"


@pytest.mark.parametrize(
    ("variables", "headers"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, {"x-api-key": "k"}),
        ({"ANTHROPIC_AUTH_TOKEN": "t"}, {"authorization": "Bearer t"}),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "o"}, {"authorization": "Bearer o"}),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t", "CLAUDE_CODE_OAUTH_TOKEN": "o"},
            {"x-api-key": "k", "authorization": "Bearer t"},
        ),
    ],
)
def test_each_variable_becomes_the_header_that_it_is_for(
    variables: dict[str, str], headers: dict[str, str]
) -> None:
    found = find(Login(variables, source="set"), {}, {})
    assert found is not None
    assert (found.url, found.headers) == (api.ANTHROPIC, headers)
    given = inside(Login(variables, source="set"), found, URL, "placeholder")
    assert given.variables == {**dict.fromkeys(variables, "placeholder"), "ANTHROPIC_BASE_URL": URL}
    assert given.is_placeholder


def test_of_the_hosts_login_only_the_access_token_is_used() -> None:
    tokens = {"accessToken": "access", "refreshToken": "refresh", "expiresAt": 1, "scopes": []}
    login = Login(credentials=json.dumps({"claudeAiOauth": tokens}).encode(), source="the host's")
    found = find(login, {}, {})
    assert found is not None
    assert found.headers == {"authorization": "Bearer access"}
    given = inside(login, found, URL, "placeholder")
    assert given.credentials is None
    assert given.variables == {"CLAUDE_CODE_OAUTH_TOKEN": "placeholder", "ANTHROPIC_BASE_URL": URL}


def test_another_address_and_headers_of_the_users_stay_outside() -> None:
    login = Login(
        {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://gateway.example/claude"}, source="set"
    )
    found = find(login, {}, {"ANTHROPIC_CUSTOM_HEADERS": "X-Team: blue\nno header\nX-Other:a:b"})
    assert found is not None
    assert found.url == "https://gateway.example/claude"
    assert found.headers == {"x-team": "blue", "x-other": "a:b", "x-api-key": "k"}


def test_a_bearer_token_of_bedrock() -> None:
    settings = {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": "b"}
    found = find(Login(source="set"), {}, settings)
    assert found is not None
    assert found.url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert found.headers == {"authorization": "Bearer b"}
    given = inside(Login(source="set"), found, URL, "placeholder")
    assert given.variables == {"AWS_BEARER_TOKEN_BEDROCK": "placeholder", "ANTHROPIC_BEDROCK_BASE_URL": URL}
    assert find(Login(source="set"), {}, {"CLAUDE_CODE_USE_BEDROCK": "1"}) is None


def test_nothing_can_stand_in_for_nothing() -> None:
    assert find(Login(), {}, {}) is None
    assert agents.find(("sh",)).api(Login(), {}) is None


def test_no_secret_of_the_settings_goes_in(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {name: f"secret-{name}" for name in api.SECRETS}
    settings = {"env": {**secrets, "ANTHROPIC_MODEL": "opus", "AWS_REGION": "eu-west-1"}}
    monkeypatch.setattr(home, "_read_object", lambda path: settings if path.name == "settings.json" else {})
    login = Login({"ANTHROPIC_API_KEY": "placeholder"}, source="set", is_placeholder=True)
    files = {file.path: file.content for file in home.files(login, "/workspace/x", {}, sealed=True)}
    assert b"secret-" not in b"".join(files.values())
    kept = json.loads(files["settings.json"])["env"]
    assert kept == {"ANTHROPIC_MODEL": "opus", "AWS_REGION": "eu-west-1"}
    del tmp_path
