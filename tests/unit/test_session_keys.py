"""Who may have an agent's key, and how the host's login is renewed while a run goes on."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from realm import agents
from realm.agents.base import Login
from realm.config import Config
from realm.errors import RealmError, UsageError
from realm.session import keys
from realm.session import plan as planning
from realm.session.requests import ResumeRequest
from realm.session.run import Network
from tests.support.store import project_of, session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

KEY = Login({"ANTHROPIC_API_KEY": "k" * 20}, source="ANTHROPIC_API_KEY is set")
SCRIPT = """#!/bin/sh
echo "$*" >> {calls}
cat > {file} <<END
{content}
END
"""


def tokens(access: str, ends: float) -> str:
    part = {"accessToken": access, "refreshToken": f"{access}-refresh", "expiresAt": int(ends * 1000)}
    return json.dumps({"claudeAiOauth": part})


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("REALM_CREDENTIALS", "proxy")
    return Config()


class TestChoice:
    def test_the_container_has_the_key_unless_the_user_wants_it_otherwise(self) -> None:
        assert keys.choose(Config(), Network("allow"), agents.find(), KEY) is None

    def test_the_sidecar_stands_before_the_api(self, proxy: Config) -> None:
        found = keys.choose(proxy, Network("allow"), agents.find(), KEY)
        assert found is not None
        assert found.headers["x-api-key"] == "k" * 20

    def test_without_a_login_or_a_network_there_is_nothing_to_hide(self, proxy: Config) -> None:
        assert keys.choose(proxy, Network("open"), agents.find(("sh",)), Login()) is None
        assert keys.choose(proxy, Network("none"), agents.find(), KEY) is None

    def test_it_is_never_given_up_in_silence(self, proxy: Config) -> None:
        with pytest.raises(UsageError, match=r"needs realm\.network allow: realm\.network is open"):
            keys.choose(proxy, Network("open"), agents.find(), KEY)
        with pytest.raises(
            UsageError, match="no way to stand in for this login: CLAUDE_CODE_USE_VERTEX is set"
        ):
            keys.choose(proxy, Network("allow"), agents.find(), Login(source="CLAUDE_CODE_USE_VERTEX is set"))
        bad = Login({"ANTHROPIC_API_KEY": 'k";}'}, source="ANTHROPIC_API_KEY is set")
        with pytest.raises(UsageError, match="the header x-api-key has characters that no key has"):
            keys.choose(proxy, Network("allow"), agents.find(), bad)


@pytest.mark.usefixtures("proxy")
def test_work_can_be_saved_whatever_keys_are_missing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k" * 20)
    monkeypatch.setenv("REALM_NETWORK", "open")
    plan = planning.following(project_of(repo), session(), [], ResumeRequest("fix"))
    assert (plan.api, plan.git_hosts) == (None, ())
    with pytest.raises(UsageError, match=r"realm\.credentials is proxy"):
        planning.with_keys(plan)


class TestGitHosts:
    """Logins for git hosts come from the user's own git, and are for fetching."""

    @pytest.fixture
    def asked(self, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
        """Return a repository whose user's git knows a login for one host."""
        helper = "!f() { grep -q host=git.example && printf 'username=me\\npassword=hunter22\\n'; }; f"
        repo.git("config", "credential.helper", helper)
        monkeypatch.setenv("REALM_GIT_CREDENTIALS", "git.example")
        return repo

    def test_git_is_asked_for_a_login(self, asked: Repo) -> None:
        (stand,) = keys.git_hosts(project_of(asked), Config(asked.path), Network("allow"))
        assert (stand.url, stand.prefix, stand.reads) == ("https://git.example", "/git/git.example", True)
        assert stand.headers == {"authorization": "Basic bWU6aHVudGVyMjI="}
        assert "receive" not in stand.paths

    def test_who_has_none_is_told(self, asked: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REALM_GIT_CREDENTIALS", "other.example:8443")
        with pytest.raises(RealmError, match=r"git knows no login for other\.example:8443"):
            keys.git_hosts(project_of(asked), Config(asked.path), Network("allow"))

    def test_it_needs_the_sidecar(self, asked: Repo) -> None:
        with pytest.raises(UsageError, match=r"realm\.gitCredentials needs realm\.network allow"):
            keys.git_hosts(project_of(asked), Config(asked.path), Network("open"))
        assert keys.git_hosts(project_of(asked), Config(asked.path), Network("none")) == ()


class TestRenewal:
    @pytest.fixture
    def claude(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return the host's login, which ends in a minute, and a ``claude`` that renews it."""
        file, calls = tmp_path / "config" / ".credentials.json", tmp_path / "calls"
        file.parent.mkdir()
        file.write_text(tokens("old", time.time() + 60))
        program = tmp_path / "bin" / "claude"
        program.parent.mkdir()
        content = tokens("new", time.time() + 3600)
        program.write_text(SCRIPT.format(calls=calls, file=file, content=content))
        program.chmod(0o755)
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(file.parent))
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return file

    def test_the_hosts_own_program_renews_once(self, claude: Path) -> None:
        assert keys._renew(agents.find()) == ""
        assert keys._renew(agents.find()) == ""
        assert "new" in claude.read_text()
        assert len((claude.parents[1] / "calls").read_text().splitlines()) == 1

    def test_the_user_is_told_where_it_does_not(self, claude: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (claude.parents[1] / "bin" / "claude").write_text("#!/bin/sh\nexit 1\n")
        assert keys._renew(agents.find()).endswith(
            "claude did not renew it: run claude here once, or claude setup-token"
        )
        monkeypatch.setenv("PATH", "/nowhere")
        assert keys._renew(agents.find()).endswith(
            "nothing here can renew it: claude setup-token makes one that lasts"
        )
