"""How people reach the models: other providers, gateways, addresses of their own machine."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.agent import replace_claude
from tests.support.repos import Repo
from tests.support.servers import SshServer
from tests.support.ssh import UserAgent, with_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine

TELLS = """\
env | grep -E '^(ANTHROPIC|CLAUDE_CODE_USE|AWS)_' | sort >told
cat "$CLAUDE_CONFIG_DIR/settings.json" >settings
"""


@pytest.fixture
def teller(user: User, tmp_path: Path) -> User:
    """A user without any login, in whose containers claude writes down its login."""
    replace_claude(user, tmp_path / "fake", TELLS)
    return user


def told(user: User, name: str) -> dict[str, str]:
    lines = user.repo.show(f"refs/realm/{name}:told").splitlines()
    return dict(line.split("=", 1) for line in lines)


def configure(home: Path, **settings: object) -> None:
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_text(json.dumps(settings))


def test_without_a_login_the_ways_to_one_are_named(teller: User) -> None:
    refused = teller.realm("new", "none", "--no-input", code=125)
    assert "run `claude` once on this machine" in refused.err
    assert "ANTHROPIC_API_KEY" in refused.err
    assert teller.leftovers() == []


@pytest.mark.parametrize("provider", ["BEDROCK", "VERTEX"])
def test_another_provider_needs_no_login_of_claude(teller: User, provider: str) -> None:
    teller.extra["AWS_REGION"] = "eu-test-1"
    teller.extra["REALM_DOCKER_ARGS"] += f" -e AWS_REGION -e CLAUDE_CODE_USE_{provider}=1"
    teller.realm("new", "provider", "--no-input")
    assert told(teller, "provider") == {f"CLAUDE_CODE_USE_{provider}": "1", "AWS_REGION": "eu-test-1"}


def test_a_gateway_in_claudes_settings_is_used(teller: User, sealed: Path) -> None:
    gateway = {"ANTHROPIC_BASE_URL": "https://gateway.test", "ANTHROPIC_AUTH_TOKEN": "token"}
    configure(sealed, env={**gateway, "ANTHROPIC_MODEL": "large", "GITHUB_TOKEN": "ghp_secret"})
    done = teller.realm("new", "gateway", "--no-input")
    assert told(teller, "gateway") == gateway
    inside = json.loads(teller.repo.show("refs/realm/gateway:settings"))
    assert inside["env"] == {"ANTHROPIC_MODEL": "large"}
    assert "GITHUB_TOKEN" in done.err
    assert "ghp_secret" not in done.err


def test_an_address_of_this_machine_is_told_of(teller: User, sealed: Path) -> None:
    configure(sealed, env={"ANTHROPIC_AUTH_TOKEN": "token", "HTTPS_PROXY": "http://127.0.0.1:3128"})
    done = teller.realm("new", "local", "--no-input")
    assert "HTTPS_PROXY is http://127.0.0.1:3128" in done.err


def test_claude_named_as_the_agent_is_claude_code(teller: User) -> None:
    teller.extra["ANTHROPIC_API_KEY"] = "sk-ant-0123456789012345678901234567890123456789"
    teller.realm("new", "named", "--agent", "claude", "--no-input")
    inside = json.loads(teller.repo.show("refs/realm/named:settings"))
    assert inside["skipDangerousModePermissionPrompt"] is True


def test_a_program_of_the_users_lends_the_key(claude: User, sealed: Path) -> None:
    """``apiKeyHelper``: it runs here, and the container has a placeholder."""
    key = claude.extra.pop("ANTHROPIC_API_KEY")
    configure(sealed, apiKeyHelper=f"cat {shlex.quote(str(sealed))}/vault")
    refused = claude.realm("new", "lent", "--no-input", "--", "-p", "hello", code=125)
    assert "the apiKeyHelper of Claude Code's settings failed: cat: " in refused.err
    (sealed / "vault").write_text(f"{key}\n")
    claude.realm("new", "lent", "--no-input", "--", "-p", "hello")
    claude.extra["REALM_CREDENTIALS"] = "env"
    claude.realm("new", "given", "--no-input", "--", "-p", "hello")
    claude.extra["REALM_CREDENTIALS"] = "proxy"
    shell = "cat $CLAUDE_CONFIG_DIR/settings.json; env"
    seen = claude.realm("new", "look", "--no-input", "--agent", "sh", "--", "-c", shell)
    assert "apiKeyHelper" not in seen.out
    assert key not in seen.out


def test_the_hosts_login_goes_in_without_what_renews_it(user: User, api: MessagesApi, sealed: Path) -> None:
    tokens = {"accessToken": "access-0123456789", "refreshToken": "refresh-0123456789"}
    part = {**tokens, "expiresAt": int((time.time() + 3600) * 1000), "scopes": ["user:inference"]}
    configure(sealed)
    (sealed / ".claude/.credentials.json").write_text(json.dumps({"claudeAiOauth": part}))
    user.extra |= {"ANTHROPIC_BASE_URL": api.url, "REALM_CREDENTIALS": "env"}
    done = user.realm("new", "some", "--no-input", "--", "-p", "run grep -rl refresh- /realm; true")
    assert "the login in the container ends at " in done.err
    assert {asked.headers["authorization"] for asked in api.asked} == {"Bearer access-0123456789"}
    (run,) = json.loads(user.realm("audit", "some", "--json").out)
    assert run["credentials"] == "env"
    assert "/realm/" not in user.realm("logs", "some").out.replace("grep -rl refresh- /realm", "")


@pytest.mark.defaults
def test_an_ssh_agent_logs_in_at_the_hosts_that_are_named(user: User, tmp_path: Path) -> None:
    bare = Repo.init(tmp_path / "dep.git", bare=True)
    user.repo.git("push", "-q", str(bare.path), "main")
    url, address = f"ssh://there{bare.path}", engines.gateway()
    with (
        SshServer(tmp_path / "there", address=address) as there,
        SshServer(tmp_path / "elsewhere", "elsewhere", address) as elsewhere,
        UserAgent(tmp_path / "there/user", tmp_path / "elsewhere/user") as agent,
    ):
        ssh = with_config(tmp_path / "bin", there.config, elsewhere.config)
        user.extra |= {"PATH": f"{user.installed.bin}:{ssh}", "SSH_AUTH_SOCK": agent.socket}
        for name in ("there", "elsewhere"):
            subprocess.run(["ssh", name, "true"], env=user.env, check=True)
        user.repo.git("config", "realm.setup", f"git clone -q {url} ~/dep")
        user.repo.git("config", "--add", "realm.sshAgent", "there")
        done = user.scripted(
            "x",
            "cat ~/dep/README.md; cd ~/dep && git commit -q --allow-empty -m more && git push -q; ssh-add -D;"
            "ssh elsewhere true; ssh -p 22 there true; :",
        )
        assert done.out == "# project\n"
        assert bare.git("log", "-1", "--format=%s", "main") == "more"
        assert "logged in at there with your ssh agent: 2 times" in done.err
        assert "refused: 2 requests to elsewhere" in done.err
        assert "ran with less protection: realm.sshAgent there" in done.err
        assert agent.keys().count("ED25519") == 2
        # In the background, too, and for a holder that takes over.
        user.realm(
            "new", "--detach", "--agent", "sh", "y", "-c",
            f"for n in 1 2; do until [ -e go$n ]; do sleep 0.1; done; git ls-remote {url} main; done",
        )  # fmt: skip
        user.realm("exec", "y", "touch", "go1")
        eventually(lambda: "main" in user.realm("logs", "y").out)
        user.realm("exec", "y", "touch", "go2")
        assert user.realm("wait", "y").code == 0
        assert user.realm("logs", "y").out.count("refs/heads/main") == 2
        (run,) = json.loads(user.realm("audit", "y", "--json").out)
        assert run["weakened"] == ["realm.sshAgent there"]
