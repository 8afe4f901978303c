"""What a container reaches with ``realm.network allow``: hosts by name, and nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.waiting import eventually
from tests.support.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.user import User

pytestmark = pytest.mark.engine

GET = "curl -sS -m 20 -o /dev/null -w '%{http_code}%{http_connect} '"


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as serving:
        yield serving


@pytest.fixture
def sealed_user(user: User) -> User:
    user.repo.git("config", "realm.network", "allow")
    return user


def sidecars(user: User) -> list[str]:
    return engines.labelled("container", "realm.role=egress", f"realm.project={user.repo.path}")


def volumes(user: User) -> list[str]:
    return engines.labelled("volume", "realm.role=egress", f"realm.project={user.repo.path}")


def test_what_is_allowed_is_reached_and_the_rest_is_told(sealed_user: User, web: Web) -> None:
    user = sealed_user
    with Web() as other:
        user.realm("allow", web.host)
        done = user.scripted(
            "x",
            f"{GET} {web.url}; {GET} {other.url}; {GET} {other.url}; {GET} https://no.example/ 2>/dev/null;"
            f"{GET} --noproxy '*' {web.url} 2>/dev/null; getent hosts no.example; ls /sys/class/net",
        )
        assert not other.asked
    assert done.out.split() == ["200000", "403000", "403000", "000403", "000000", "lo"]
    assert web.asked == ["GET / HTTP/1.1"]
    address, _, port = other.host.partition(":")
    assert f"refused: 3 requests to {address}, no.example" in done.err
    told = json.loads(user.realm("net", "x", "--json").out)
    assert told["network"] == "allow"
    assert {"host": "no.example", "port": 443, "why": "name", "times": 1} in told["refused"]
    lines = user.realm("net", "x").out.splitlines()
    assert "denied: no.example, 1 time: realm allow no.example" in lines
    assert any(line.startswith(f"denied: {address}:{port}, 2 times") for line in lines)
    assert user.listed()[0]["network"] == "allow"
    assert not sidecars(user)
    assert not volumes(user)


def test_a_host_is_allowed_to_a_container_that_runs_and_taken_back(sealed_user: User, web: Web) -> None:
    user = sealed_user
    user.realm(
        "new", "--detach", "--agent", "sh", "x", "-c",
        f"until {GET} {web.url} | grep -q 200; do sleep 0.2; done; echo in;"
        f"while {GET} {web.url} | grep -q 200; do sleep 0.2; done; echo out",
    )  # fmt: skip
    eventually(lambda: web.host in user.realm("net", "x").out)
    assert "containers that run know it" in user.realm("allow", web.host).err
    eventually(lambda: "in" in user.realm("logs", "x").out.split())
    assert len(sidecars(user)) == 1
    user.realm("allow", "--remove", web.host)
    assert user.realm("wait", "x").code == 0
    assert "out" in user.realm("logs", "x").out.split()
    eventually(lambda: not sidecars(user) and not volumes(user))


def test_a_sidecar_that_dies_is_started_again(sealed_user: User, web: Web) -> None:
    user = sealed_user
    user.realm("allow", web.host)
    user.realm(
        "new", "--detach", "--agent", "sh", "x", "-c",
        f"until [ -e go ]; do {GET} {web.url}; sleep 0.2; done",
    )  # fmt: skip
    eventually(lambda: bool(web.asked))
    (first,) = sidecars(user)
    engines.docker("rm", "--force", first)
    eventually(lambda: sidecars(user) not in ([], [first]), seconds=30)
    before = len(web.asked)
    eventually(lambda: len(web.asked) > before + 1, seconds=30)
    user.realm("exec", "x", "touch", "go")
    user.realm("wait", "x")
    eventually(lambda: not sidecars(user) and not volumes(user))


def test_the_real_agent_works_through_the_proxy(claude: User) -> None:
    claude.repo.git("config", "realm.network", "allow")
    done = claude.realm("new", "x", "-p", "write a.txt with hello")
    assert claude.repo.git("show", f"{claude.tip('x')}:a.txt") == "hello"
    assert "refused" not in done.err, done.err
    assert "network: allow" in done.err


def test_without_a_network_the_agent_is_not_started_for_nothing(claude: User) -> None:
    claude.repo.git("config", "realm.network", "none")
    done = claude.realm("new", "x", "-p", "hello", code=125)
    assert "Claude Code cannot reach its model without a network" in done.err
    assert not claude.listed()


@pytest.mark.parametrize("flag", ["-p 8080:80", "--dns 1.1.1.1", "--network bridge", "--add-host a:1.2.3.4"])
def test_flags_that_need_a_network_are_refused(sealed_user: User, flag: str) -> None:
    sealed_user.extra["REALM_DOCKER_ARGS"] = flag
    done = sealed_user.realm("new", "x", "--agent", "true", code=125)
    assert "needs a network, and realm.network is allow" in done.err
    assert not sealed_user.listed()
