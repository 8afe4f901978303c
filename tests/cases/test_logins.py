"""How people reach the models: other providers, gateways, addresses of their own machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import replace_claude
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine

TELLS = """\
env | grep -E '^(ANTHROPIC|CLAUDE_CODE_USE|AWS)_' | sort >told
cat "$CLAUDE_CONFIG_DIR/settings.json" >settings
"""


@pytest.fixture
def teller(user: User, tmp_path: Path) -> User:
    """A user without any login, in whose containers claude writes down what it was given."""
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


def test_an_ssh_agent_named_by_the_user_lends_its_keys(user: User, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "my key", "-f", key], check=True)
    # An agent serves its own user alone: for root, whoever the container's is.
    place = Path(tempfile.mkdtemp(prefix="realm-agent-", dir="/tmp"))
    as_user = []
    if os.getuid() == 0:
        as_user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
        os.chown(place, 1000, 1000)
    agent = {"SSH_AUTH_SOCK": str(place / "agent.sock")}
    command = [*as_user, "ssh-agent", "-D", "-a", agent["SSH_AUTH_SOCK"]]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as serving:
        try:
            eventually(Path(agent["SSH_AUTH_SOCK"]).is_socket)
            subprocess.run(["ssh-add", "-q", str(key)], env=os.environ | agent, check=True)
            user.extra |= agent
            user.extra["REALM_DOCKER_ARGS"] = (
                f"-v {agent['SSH_AUTH_SOCK']}:/run/ssh-agent.sock -e SSH_AUTH_SOCK=/run/ssh-agent.sock"
            )
            assert "my key (ED25519)" in user.scripted("fix", "ssh-add -l").out
        finally:
            serving.terminate()
            shutil.rmtree(place)
