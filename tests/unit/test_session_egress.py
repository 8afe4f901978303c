"""What a run may reach, and what is kept of what it was refused."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from realm import agents
from realm.agents import Api, Login
from realm.config import Config
from realm.errors import UsageError
from realm.hosts import Host
from realm.model import Refusal
from realm.paths import realm_home
from realm.sandbox import flags, layout
from realm.sandbox.egress import sidecar, ticket
from realm.sandbox.egress.rules import Upstream
from realm.session import egress, refusals
from realm.session.lock import run_directory
from realm.session.run import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.docker import Engine

CLAUDE, COMMAND = agents.find(()), agents.find(("true",))


def _choose(monkeypatch: pytest.MonkeyPatch, policy: str, args: str = "", url: str = "") -> Network:
    monkeypatch.setenv("REALM_NETWORK", policy)
    login = Login({"ANTHROPIC_BASE_URL": url} if url else {})
    return egress.choose(Config(), flags.parse(args), CLAUDE, login)


def test_the_setting_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _choose(monkeypatch, "open", "-p 80:80") == Network("open")
    assert _choose(monkeypatch, "none") == Network("none")
    assert _choose(monkeypatch, "allow", "-e A=b --memory 1g").policy == "allow"
    assert _choose(monkeypatch, "allow", "--network none") == Network("none")


@pytest.mark.parametrize("args", ["-p 80:80", "--dns 1.1.1.1", "--network host", "--add-host a:1.1.1.1"])
def test_flags_that_need_a_network_and_the_setting_contradict(
    monkeypatch: pytest.MonkeyPatch, args: str
) -> None:
    for policy in ("allow", "none"):
        with pytest.raises(UsageError, match="needs a network"):
            _choose(monkeypatch, policy, args)


def test_where_nobody_has_chosen_flags_that_need_a_network_open_it() -> None:
    found = egress.choose(Config(), flags.parse("-p 80:80 --dns 1.1.1.1"), CLAUDE, Login())
    assert found == Network("open", "docker flags --publish and --dns need it")
    assert egress.choose(Config(), flags.parse(""), CLAUDE, Login()).policy == "allow"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("", Host("api.anthropic.com", 0, known=True)),
        ("http://10.1.2.3:8080/v1", Host("10.1.2.3", 8080, known=True)),
        ("https://LLM.corp.example/", Host("llm.corp.example", 0, known=True)),
        ("http://[fd00::1]:80", Host("fd00::1", 80, known=True)),
    ],
)
def test_the_model_is_reached_wherever_it_is(monkeypatch: pytest.MonkeyPatch, url: str, host: Host) -> None:
    assert _choose(monkeypatch, "allow", url=url).given == (host,)


def test_a_model_in_the_sandbox_itself_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _choose(monkeypatch, "allow", url="http://127.0.0.1:9").given == ()
    assert not COMMAND.reaches(Login(), {})


def test_where_the_sidecar_stands_before_the_model_nobody_else_reaches_that() -> None:
    model = Host("api.anthropic.com", known=True)
    network = Network("allow", given=(model, Host("sts.example", known=True)))
    api = Api("https://api.anthropic.com", {}, "")
    found = egress.reaching(network, api, []).given
    assert found == (Host("sts.example", known=True), model._replace(own=True))
    assert egress.reaching(Network("allow"), None, [api]).given == (model,)
    assert egress.reaching(Network("allow"), None, [Api("http://localhost:1", {}, "")]).given == ()


def test_other_providers_are_reached_with_what_lets_in_there() -> None:
    found = CLAUDE.reaches(Login(), {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1"})
    assert "https://bedrock-runtime.eu-west-1.amazonaws.com" in found
    assert "https://sts.eu-west-1.amazonaws.com" in found
    assert "https://oauth2.googleapis.com" in CLAUDE.reaches(Login(), {"CLAUDE_CODE_USE_VERTEX": "1"})


def test_the_way_out_stays_whatever_the_docker_flags_say() -> None:
    own = ticket.variables(ticket.Ticket("t", "127.1.1.1"))
    given = {"https_proxy": "http://proxy.corp", "NODE_OPTIONS": "--max-old-space-size=9", "A": "b"}
    assert ticket.besides(own, given) == {
        "A": "b",
        "NODE_OPTIONS": f"{own['NODE_OPTIONS']} --max-old-space-size=9",
    }


def test_tools_that_overlook_the_usual_variables_find_the_proxy() -> None:
    own = ticket.variables(ticket.Ticket("t", "127.1.1.1"))
    assert own["YARN_HTTP_PROXY"] == own["YARN_HTTPS_PROXY"] == own["HTTPS_PROXY"]
    assert own["ELECTRON_GET_USE_PROXY"]
    assert "-Daether.connector.http.useSystemProperties=true" in own["MAVEN_ARGS"].split()
    given = {"MAVEN_ARGS": "-B"}
    assert ticket.besides(own, given) == {"MAVEN_ARGS": f"{own['MAVEN_ARGS']} -B"}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.corp:3128"}, Upstream("proxy.corp", 3128)),
        ({"https_proxy": "proxy.corp:81"}, Upstream("proxy.corp", 81)),
        (
            {"HTTPS_PROXY": "http://me:p%40ss@proxy.corp:1", "NO_PROXY": "localhost,.corp, 10.0.0.1"},
            Upstream("proxy.corp", 1, "me:p@ss", (".localhost", ".corp")),
        ),
    ],
)
def test_the_company_proxy_of_the_environment(environ: Mapping[str, str], found: Upstream | None) -> None:
    assert egress.company_proxy(environ) == found


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:3128", "a proxy on this machine's loopback, which containers cannot reach"),
        ("me:secret@localhost:3128", "a proxy on this machine's loopback"),
        ("socks5://proxy.corp:1", "a proxy of the kind socks5, not http"),
        ("https://me:secret@proxy.corp", "a proxy of the kind https, not http"),
        ("http://[::1", "is not the address of a proxy"),
        ("to be asked for", "is not the address of a proxy"),
        ("http://proxy.corp:port", "is not the address of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_gone_through_is_named(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"HTTPS_PROXY .*{said}") as problem:
        egress.company_proxy({"HTTPS_PROXY": url})
    assert "secret" not in str(problem.value)


class Bare:
    """An engine on which nothing is."""

    def volumes(self, *_: str) -> list[object]:
        return []

    def containers(self, *_: str) -> list[object]:
        return []


def test_the_lock_of_a_sidecar_that_was_never_made_goes() -> None:
    with sidecar.in_use("realm-egress-1"), sidecar.in_use("realm-egress-2"):
        pass
    locks = realm_home() / "egress"
    with sidecar.in_use("realm-egress-2"):
        sidecar.sweep(cast("Engine", Bare()))
        assert [path.name for path in locks.iterdir()] == ["realm-egress-2.use"]


class Late(Bare):
    """An engine that lists a sandbox which ends while the second list is on its way."""

    def __init__(self) -> None:
        self.lists = 0
        self.ended, self.asked = threading.Event(), threading.Event()

    def containers(self, *_: str) -> list[object]:
        self.lists += 1
        if self.lists != 2:
            return []
        self.asked.set()
        self.ended.wait(10)
        return [SimpleNamespace(labels={layout.SIDECAR: "realm-egress-1"}, status="running")]


def test_who_removes_a_sidecar_last_is_not_put_off_by_one_who_saw_it_in_use() -> None:
    with sidecar.in_use("realm-egress-1"):
        pass
    engine = Late()
    first, last = (threading.Thread(target=sidecar.sweep, args=[engine]) for _ in range(2))
    first.start()
    assert engine.asked.wait(10)
    last.start()
    last.join(0.1)
    engine.ended.set()
    first.join(10)
    last.join(10)
    assert list((realm_home() / "egress").iterdir()) == []


def test_refusals_of_several_sidecars_add_up_and_damage_counts_as_none() -> None:
    place = run_directory("id")
    place.mkdir(parents=True)
    assert refusals.recorded("id") == ()
    refusals.note("id", "one", [Refusal("a.example", 443, "name", 2)])
    refusals.note("id", "two", [Refusal("a.example", 443, "name", 1), Refusal("b.example", 80, "name", 5)])
    assert refusals.recorded("id") == (
        Refusal("b.example", 80, "name", 5),
        Refusal("a.example", 443, "name", 3),
    )
    (place / "refused.json").write_text('{"one": [["a"]]}')
    assert refusals.recorded("id") == ()
    refusals.forget("id")
    assert not (place / "refused.json").exists()
