"""Who may have an agent's key, and how the host's login is renewed while a run goes on."""

from __future__ import annotations

import base64
import json
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from realm import agents
from realm.agents.base import Login, Match
from realm.config import Config
from realm.errors import RealmError, UsageError
from realm.sandbox.egress import sidecar
from realm.session import egress, keys, logins
from realm.session import plan as planning
from realm.session import run as running
from realm.session.requests import NewRequest, ResumeRequest
from realm.session.run import Network
from tests.support.store import project_of, session
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI
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


GATEWAY = Login({**KEY.variables, "ANTHROPIC_BASE_URL": "http://localhost:4000"}, source=KEY.source)
VERTEX = Login(source="CLAUDE_CODE_USE_VERTEX is set")


class TestChoice:
    def test_the_sidecar_stands_before_the_api(self, proxy: Config) -> None:
        for config in (Config(), proxy):
            found = keys.choose(config, Network("allow"), agents.find(), KEY)
            assert found.api is not None
            assert (found.api.headers["x-api-key"], found.why) == ("k" * 20, "")

    def test_what_the_docker_flags_name_counts(self) -> None:
        given = {"ANTHROPIC_API_KEY": "g", "ANTHROPIC_BASE_URL": "https://gateway.example"}
        login = agents.find((), {"ANTHROPIC_API_KEY": "k", "CLAUDE_CONFIG_DIR": "/nowhere"}).find_login(given)
        found = keys.choose(Config(), Network("allow"), agents.find(), login, given)
        assert found.api is not None
        assert (found.api.url, found.api.headers["x-api-key"]) == ("https://gateway.example", "g")

    def test_who_wants_the_key_inside_has_it_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for setting in ("env", "share"):
            monkeypatch.setenv("REALM_CREDENTIALS", setting)
            assert keys.choose(Config(), Network("allow"), agents.find(), KEY) == keys.Choice()

    def test_the_hosts_login_goes_in_without_what_renews_it_or_is_shared(
        self, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".credentials.json").write_text(tokens("token", time.time() + 3600))
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
        found = {}
        for setting in ("env", "share", "proxy"):
            monkeypatch.setenv("REALM_CREDENTIALS", setting)
            found[setting] = planning.following(project_of(repo), session(), None, ResumeRequest("fix"))
        assert {setting: running.credentials(plan) for setting, plan in found.items()} == {
            setting: setting for setting in found
        }
        inside = found["env"].login
        assert (inside.variables, inside.credentials) == ({"CLAUDE_CODE_OAUTH_TOKEN": "token"}, None)
        assert b"token-refresh" in (found["share"].login.credentials or b"")
        (warning,) = egress.warnings(found["env"])
        assert "the login in the container ends at " in warning
        assert egress.warnings(found["share"]) == []

    def test_without_a_login_or_a_network_there_is_nothing_to_hide(self, proxy: Config) -> None:
        assert keys.choose(proxy, Network("open"), agents.find(("sh",)), Login()) == keys.Choice()
        assert keys.choose(proxy, Network("none"), agents.find(), KEY) == keys.Choice()

    def test_what_was_asked_for_is_never_given_up(self, proxy: Config) -> None:
        with pytest.raises(UsageError, match=r"needs realm\.network allow: realm\.network is open"):
            keys.choose(proxy, Network("open"), agents.find(), KEY)
        with pytest.raises(
            UsageError, match="the proxy cannot stand in for this login: CLAUDE_CODE_USE_VERTEX"
        ):
            keys.choose(proxy, Network("allow"), agents.find(), VERTEX)
        bad = Login({"ANTHROPIC_API_KEY": "k$t"}, source="ANTHROPIC_API_KEY is set")
        with pytest.raises(UsageError, match="the header x-api-key has characters that no key has"):
            keys.choose(proxy, Network("allow"), agents.find(), bad)

    def test_otherwise_what_cannot_be_kept_outside_goes_in_and_is_said(self) -> None:
        found = keys.choose(Config(), Network("allow"), agents.find(), VERTEX)
        assert found == keys.Choice(None, f"the proxy cannot stand in for this login: {VERTEX.source}")
        published = Network("open", "docker flag --publish needs it")
        assert keys.choose(Config(), published, agents.find(), KEY) == keys.Choice(None, published.why)
        assert keys.choose(Config(), Network("open"), agents.find(), KEY) == keys.Choice()

    def test_a_gateway_at_the_loopback_is_told_of_at_once(self) -> None:
        with pytest.raises(UsageError, match="http://localhost:4000 is this machine, which a container"):
            keys.choose(Config(), Network("allow"), agents.find(), GATEWAY)
        # Another program may never ask it.
        found = keys.choose(Config(), Network("allow"), agents.find(("sh",)), GATEWAY)
        assert found.api is None


@pytest.mark.usefixtures("proxy")
def test_work_can_be_saved_whatever_keys_are_missing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k" * 20)
    monkeypatch.setenv("REALM_NETWORK", "open")
    plan = planning.following(project_of(repo), session(), None, ResumeRequest("fix"))
    assert (plan.api, plan.git_hosts) == (None, ())
    with pytest.raises(UsageError, match=r"realm\.credentials is proxy"):
        planning.with_keys(plan)


def test_logins_for_registries_are_read_anew_and_are_in_no_environment(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REALM_REGISTRY_CREDENTIALS", "npm.example")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:first-password@npm.example/simple")
    npm = tmp_path / ".npmrc"
    npm.write_text("//npm.example/npm/:_authToken=first-token")
    plan = planning.following(project_of(repo), session(), None, ResumeRequest("fix"))
    assert plan.registries[0].host in plan.network.given
    npm.write_text("//npm.example/npm/:_authToken=second-token")
    owner = running.owner(plan)
    (data,) = (data for name, data in keys.files(plan, owner).items() if name.startswith("registry-"))
    assert b"second-token" in data
    npm.unlink()
    monkeypatch.delenv("PIP_INDEX_URL")
    (data,) = (data for name, data in keys.files(plan, owner).items() if name.startswith("registry-"))
    assert b"first-token" in data  # what was known last counts while nothing is
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:first-password@npm.example/simple")
    inside = running.environment(plan)
    assert inside["PIP_INDEX_URL"] == "https://npm.example/simple"
    assert not [value for value in inside.values() if "first-" in value]


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

    def test_it_is_asked_again_when_a_login_was_refused_and_ever_more_rarely(
        self, asked: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = tmp_path / "calls"
        helper = f"!f() {{ echo $1 >>{calls}; echo username=me; echo password=$(wc -l <{calls}); }}; f"
        asked.git("config", "credential.helper", helper)
        plan = planning.following(project_of(asked), session(), None, ResumeRequest("fix"))
        given: list[str] = []
        monkeypatch.setattr(keys, "PERIOD", 0.01)
        monkeypatch.setattr(keys, "_GIT_AGAIN", 0.0)
        monkeypatch.setattr(sidecar, "give", lambda *arguments: given.append(str(arguments[-1])))
        stale, sandbox, engine = (
            threading.Event(),
            SimpleNamespace(owner=running.owner(plan)),
            cast("Engine", None),
        )
        with keys.followed(engine, plan, cast("Sandbox", sandbox), cast("UI", None), stale):
            time.sleep(0.1)
            assert given == []
            monkeypatch.setattr(keys, "_GIT_AGAIN", 60.0)
            stale.set()
            eventually(lambda: len(given) == 1)
            asked.git("config", "credential.helper", "!false")
            stale.set()
            time.sleep(0.1)
        assert base64.b64encode(b"me:2").decode() in given[0]
        assert len(given) == 1
        assert set(calls.read_text().split()) == {"get"}

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

    def test_a_sandbox_gets_no_token_that_ends_at_once(
        self, claude: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REALM_CREDENTIALS", "env")
        request = NewRequest(name="fix", directory=repo.path)
        found = planning.new(request, project_of(repo), Config(repo.path)).login
        assert found.variables["CLAUDE_CODE_OAUTH_TOKEN"] == "new"
        assert (found.ends or 0) > time.time() + 3000
        claude.write_text(tokens("old", time.time() - 60))
        (claude.parents[1] / "bin" / "claude").write_text("#!/bin/sh\nexit 1\n")
        with pytest.raises(RealmError, match="did not renew it") as caught:
            planning.new(request, project_of(repo), Config(repo.path))
        assert caught.value.hint == "run claude here once, or claude setup-token"

    def test_the_end_of_a_run_does_not_wait_for_another_process(self, claude: Path) -> None:
        sandbox: Any = SimpleNamespace(read_file=lambda *_, **__: claude.read_bytes())
        started = time.monotonic()
        with keys.renewing():
            assert logins.match(sandbox, agents.find(), "x", 0.2) == Match.SAME
        assert time.monotonic() - started < 5
