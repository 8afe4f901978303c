from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm import agents
from realm.agents.claude import login
from realm.errors import RealmError
from realm.paths import realm_home

if TYPE_CHECKING:
    from pathlib import Path


def credentials(expires: int, *, access: str = "a", **more: object) -> bytes:
    part = {"accessToken": access, "refreshToken": "r", "expiresAt": expires, "scopes": ["s"], **more}
    return json.dumps({"claudeAiOauth": part}).encode()


@pytest.fixture
def host(tmp_path: Path) -> dict[str, str]:
    return {"CLAUDE_CONFIG_DIR": str(tmp_path)}


def test_a_key_in_the_environment_is_the_login(host: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".credentials.json").write_bytes(credentials(1))
    found = agents.find((), {**host, "ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://x"}).find_login()
    assert found.variables == {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://x"}
    assert found.credentials is None


def test_without_a_key_the_hosts_login_is_used(host: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".credentials.json").write_bytes(credentials(1))
    assert agents.find((), host).find_login().credentials == credentials(1)


def test_a_home_that_is_not_there_has_no_login() -> None:
    with pytest.raises(RealmError, match="no login"):
        agents.find((), {"REALM_LOGIN": "~nosuch/x"}).find_login()


@pytest.mark.parametrize(
    ("environ", "service"),
    [
        ({}, "Claude Code-credentials"),
        ({"REALM_LOGIN": "/home/ada/cafe\u0301"}, "Claude Code-credentials-@"),
        ({"CLAUDE_CONFIG_DIR": "/home/ada/caf\u00e9"}, "Claude Code-credentials-@"),
    ],
)
def test_the_keychain_has_a_login_for_each_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], service: str
) -> None:
    program = tmp_path / "security"
    digest = hashlib.sha256("/home/ada/caf\u00e9".encode()).hexdigest()[:8]
    program.write_text(f"""#!/bin/sh
[ "$3" = "{service.replace("@", digest)}" ] && echo '{credentials(1).decode()}'
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "darwin")
    assert login.read_host(environ) == credentials(1)


def test_no_login_says_both_ways_to_log_in(host: dict[str, str]) -> None:
    with pytest.raises(RealmError) as caught:
        agents.find((), host).find_login()
    assert "run `claude`" in caught.value.hint
    assert "ANTHROPIC_API_KEY" in caught.value.hint


def test_an_empty_variable_is_no_login(host: dict[str, str]) -> None:
    with pytest.raises(RealmError):
        agents.find((), {**host, "ANTHROPIC_API_KEY": ""}).find_login()


def test_the_end_of_a_line_is_no_part_of_a_key_or_an_address(host: dict[str, str]) -> None:
    given = {"ANTHROPIC_API_KEY": "sk-1\r", "ANTHROPIC_BASE_URL": "https://gateway.test\n"}
    agent = agents.find((), {**host, **given})
    api = agent.api(agent.find_login(), {})
    assert api is not None
    assert (api.url, api.headers) == ("https://gateway.test", {"x-api-key": "sk-1"})


@pytest.mark.parametrize("name", ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "ANTHROPIC_API_KEY"])
def test_what_the_docker_flags_give_is_a_login(host: dict[str, str], name: str) -> None:
    found = agents.find((), {**host, "ANTHROPIC_API_KEY": ""}).find_login({name: "1"})
    own = {name: "1"} if name == "ANTHROPIC_API_KEY" else {}
    assert (found.variables, found.credentials, found.source) == (own, None, f"{name} is set")
    with pytest.raises(RealmError):
        agents.find((), host).find_login({name: ""})


def test_a_gateway_of_the_settings_is_a_login(host: dict[str, str], tmp_path: Path) -> None:
    env = {"ANTHROPIC_AUTH_TOKEN": "t", "ANTHROPIC_BASE_URL": "https://gateway.test", "OTHER": "x"}
    (tmp_path / "settings.json").write_text(json.dumps({"env": env}))
    found = agents.find((), {**host, "ANTHROPIC_BASE_URL": "https://elsewhere.test"}).find_login()
    assert found.variables == {
        "ANTHROPIC_AUTH_TOKEN": "t", "ANTHROPIC_BASE_URL": "https://gateway.test",
    }  # fmt: skip
    assert found.source == "ANTHROPIC_AUTH_TOKEN is set"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b'{"claudeAiOauth": 3}',
        b"\xff",
        b"[" * 5000,
        credentials(1)[:-1],
        credentials(1, access="x\n"),
        credentials(1, refreshToken=3),
        credentials(1, expiresAt="soon"),
        credentials(1).replace(b'": 1,', b'": NaN,'),
        credentials(-(10**30)),
        b" " * 70000,
    ],
)
def test_what_is_no_credentials_file_is_never_newer(raw: bytes) -> None:
    assert login.parse(raw) is None
    assert not login.newer(credentials(1), raw)


@pytest.mark.parametrize("ends", [b"1e30", b"1" + b"0" * 400, b"Infinity"])
def test_a_login_that_never_ends_is_said_to_end_late_and_is_no_renewal(ends: bytes) -> None:
    odd = credentials(1).replace(b'": 1,', b'": ' + ends + b",")
    found = login.unrenewed(agents.Login(credentials=odd)).ends
    assert time.gmtime(found).tm_year == 9999
    assert login.newer(credentials(1), odd)
    assert not login.may_be_taken(credentials(1), odd)


def test_the_later_expiry_is_the_newer() -> None:
    assert login.newer(credentials(1), credentials(2))
    assert not login.newer(credentials(2), credentials(2))
    assert login.newer(None, credentials(1))


def test_only_tokens_are_taken_from_a_sandbox(host: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / ".credentials.json"
    kept = {
        "claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": 1, "scopes": ["s"]},
        "other": 1,
    }
    file.write_text(json.dumps(kept))
    assert login.store_on_host(credentials(9, access="new", scopes=["all"], evil="hook"), host)
    written = json.loads(file.read_text())
    assert written["claudeAiOauth"] == {
        "accessToken": "new",
        "refreshToken": "r",
        "expiresAt": 9,
        "scopes": ["s"],
    }
    assert written["other"] == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_host_without_login_gets_none(host: dict[str, str], tmp_path: Path) -> None:
    assert not login.store_on_host(credentials(9), host)
    assert list(tmp_path.iterdir()) == []


def test_a_linked_credentials_file_stays_a_link(host: dict[str, str], tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_bytes(credentials(1))
    (tmp_path / ".credentials.json").symlink_to(real)
    assert login.store_on_host(credentials(2), host)
    assert (tmp_path / ".credentials.json").is_symlink()
    assert json.loads(real.read_bytes())["claudeAiOauth"]["expiresAt"] == 2


def renewal(ours: int, theirs: int, **changes: object) -> bool:
    """Tell whether a login that ends ``theirs`` minutes from now is taken for one that ends in ``ours``."""
    now = 1_800_000_000.0
    ms = [int((now + minutes * 60) * 1000) for minutes in (ours, theirs)]
    old = credentials(ms[0], scopes=["user:inference"], subscriptionType="max")
    same: dict[str, Any] = {"scopes": ["user:inference"], "subscriptionType": "max"}
    new = credentials(ms[1], **(same | changes))
    return login.may_be_taken(old, new, now)


def test_a_renewal_that_was_due_is_taken() -> None:
    assert renewal(4, 480)
    assert renewal(-600, 480)


def test_a_login_that_cannot_be_a_renewal_is_not_taken() -> None:
    assert not renewal(300, 480)  # the host's was not due
    assert not renewal(4, 60 * 24 * 365)  # no token lives that long
    assert not renewal(-600, -300)  # dead already
    assert not renewal(4, 480, scopes=["user:inference", "org:create_api_key"])
    assert not renewal(4, 480, subscriptionType="free")
    assert not login.may_be_taken(None, credentials(1))
    assert not login.may_be_taken(credentials(1), b"garbage")


def test_the_login_before_is_kept(host: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".credentials.json").write_bytes(credentials(1, access="old"))
    login.store_on_host(credentials(2, access="new"), host)
    kept = realm_home() / agents.BEFORE
    assert json.loads(kept.read_bytes())["claudeAiOauth"]["accessToken"] == "old"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_newer_login_goes_over_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = int(time.time() * 1000)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    claude = agents.find()
    ours = credentials(now + 60_000)
    (tmp_path / ".credentials.json").write_bytes(ours)
    assert claude.renew(ours) == agents.Renewal()
    assert claude.renew(b"") == agents.Renewal(inside=ours)
    assert claude.renew(credentials(now - 60_000)) == agents.Renewal(inside=ours)
    assert claude.renew(credentials(now + 90 * 86_400_000)) == agents.Renewal(agents.Match.REFUSED)
    assert claude.renew(credentials(now + 3_600_000)) == agents.Renewal(agents.Match.RENEWED)
    assert (
        json.loads((tmp_path / ".credentials.json").read_bytes())["claudeAiOauth"]["expiresAt"] > now + 60_000
    )
