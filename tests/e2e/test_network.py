"""With ``realm.network allow`` a container reaches the allowed hosts, by name, and no others."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.api import MessagesApi
from tests.support.serving import Serving
from tests.support.waiting import eventually
from tests.support.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

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
            f"{GET} --noproxy '*' {web.url} 2>/dev/null; getent hosts no.example; ls /sys/class/net;"
            "curl -s -m 20 http://no.example/; curl -s -m 20 http://no.example:8080/;"
            "curl -s -m 20 --noproxy '' http://127.0.0.1:8080/",
        )
        assert not other.asked
    *codes, first, second, here = done.out.splitlines()
    assert " ".join(codes).split() == ["200000", "403000", "403000", "000403", "000000", "lo"]
    assert first.endswith("Its user allows it with: realm allow no.example")
    assert second.endswith("Its user allows it with: realm allow no.example:8080")
    assert here.endswith("127.0.0.1 is this container itself, which needs no proxy (NO_PROXY)")
    assert web.asked == ["GET / HTTP/1.1"]
    address, _, port = other.host.partition(":")
    assert f"refused: 6 requests to {address}, no.example" in done.err
    told = json.loads(user.realm("net", "x", "--json").out)
    assert told["network"] == "allow"
    assert {"host": "no.example", "port": 443, "why": "name", "times": 1} in told["refused"]
    lines = user.realm("net", "x").out.splitlines()
    assert "denied: no.example, 1 time: realm allow no.example" in lines
    assert any(line.startswith(f"denied: {address}:{port}, 2 times") for line in lines)
    (listed,) = user.listed()
    assert (listed["network"], listed["refused"]) == ("allow", 6)
    assert not sidecars(user)
    assert not volumes(user)


def test_a_host_is_allowed_to_a_container_that_runs_and_taken_back(
    sealed_user: User, web: Web, tmp_path: Path
) -> None:
    user = sealed_user
    user.extra["REALM_NOTIFY"] = f"echo $REALM_EVENT >> {tmp_path}/events"
    user.realm(
        "new", "--detach", "--agent", "sh", "x", "-c",
        f"until {GET} {web.url} | grep -q 200; do sleep 0.2; done; echo in;"
        f"while {GET} {web.url} | grep -q 200; do sleep 0.2; done; echo out",
    )  # fmt: skip
    with user.start("net", "-f", "x") as following:
        eventually(lambda: web.host in user.realm("net", "x").out)
        assert "running containers know it already" in user.realm("allow", web.host).err
        eventually(lambda: "in" in user.realm("logs", "x").out.split())
        assert len(sidecars(user)) == 1
        user.realm("allow", "--remove", web.host)
        assert user.realm("wait", "x").code == 0
        told = following.communicate(timeout=30)[0].splitlines()
    assert "out" in user.realm("logs", "x").out.split()
    assert following.returncode == 0
    assert all(line.startswith(f"denied: {web.host}, ") for line in told)
    first, last = (int(line.split(", ")[1].split()[0]) for line in (told[0], told[-1]))
    assert first < last
    eventually(lambda: (tmp_path / "events").read_text() == "refused\nended\n")
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
    (second,) = sidecars(user)
    eventually(lambda: "tail" in engines.docker("top", second))
    user.realm("new", "--agent", "sh", "y", "-c", "sleep 2")
    # What was begun in it for a run ends with that.
    eventually(lambda: engines.docker("top", second).count("tail ") == 1)
    user.realm("exec", "x", "touch", "go")
    user.realm("wait", "x")
    eventually(lambda: not sidecars(user) and not volumes(user))


def test_the_real_agent_works_through_the_proxy(claude: User) -> None:
    done = claude.realm("new", "x", "-p", "write a.txt with hello")
    assert claude.repo.git("show", f"{claude.tip('x')}:a.txt") == "hello"
    for word in ("refused", "network", "credentials", "warning"):
        assert word not in done.err, done.err
    (run,) = json.loads(claude.realm("audit", "x", "--json").out)
    assert (run["network"], run["credentials"]) == ("allow", "proxy")


def test_without_a_network_the_agent_is_not_started_for_nothing(claude: User) -> None:
    claude.repo.git("config", "realm.network", "none")
    done = claude.realm("new", "x", "-p", "hello", code=125)
    assert "Claude Code cannot reach its model without a network" in done.err
    assert not claude.listed()


def test_where_no_socket_leads_to_the_proxies_nothing_is_started(sealed_user: User, tmp_path: Path) -> None:
    """As with runtimes that pass none, which a filter of system calls stands for."""
    rule = {"names": ["connect"], "action": "SCMP_ACT_ERRNO"}
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    sealed_user.extra["REALM_DOCKER_ARGS"] = f"--security-opt seccomp={profile}"
    done = sealed_user.scripted("x", "echo ran", code=125)
    assert done.out == ""
    assert "no socket leads to the proxies" in done.err
    assert (
        "git config realm.network open, where this engine or its runtime lets no sockets through" in done.err
    )
    assert not sealed_user.listed()
    assert not sidecars(sealed_user)
    # In the background nobody sees it, so the session stays, and says it.
    sealed_user.realm("new", "y", "--detach", "--agent", "sh", "--", "-c", "echo ran")
    waited = sealed_user.realm("wait", "y", code=125)
    assert "no socket leads to the proxies: git config" in waited.err
    (row,) = sealed_user.listed()
    assert (row["state"], row["exit_code"]) == ("exited", 125)
    assert not sealed_user.leftovers()


@pytest.mark.parametrize("flag", ["-p 8080:80", "--dns 1.1.1.1", "--network bridge", "--add-host a:1.2.3.4"])
def test_flags_that_need_a_network_are_refused(sealed_user: User, flag: str) -> None:
    sealed_user.extra["REALM_DOCKER_ARGS"] = flag
    done = sealed_user.realm("new", "x", "--agent", "true", code=125)
    assert "needs a network, and realm.network is allow" in done.err
    assert not sealed_user.listed()


def test_where_nobody_has_chosen_they_open_it_and_that_is_said(claude: User) -> None:
    claude.extra["REALM_DOCKER_ARGS"] = "--add-host a:1.2.3.4"
    done = claude.realm("new", "x", "--agent", "sh", "--", "-c", "getent hosts a")
    assert done.out.split() == ["1.2.3.4", "a"]
    assert "network is open, and the agent's login is in it: docker flag --add-host needs it" in done.err
    assert "ran with less protection: realm.credentials env" in done.err
    assert claude.listed()[0]["network"] == "open"
    claude.extra["REALM_DOCKER_ARGS"] += " -e ANTHROPIC_API_KEY -e OTHER=1"
    tried = claude.realm("try", "x", "--", "sh", "-c", 'echo "$ANTHROPIC_API_KEY,$OTHER"')
    assert tried.out.strip() == ",1"
    assert "the container's network is open: docker flag --add-host needs it" in tried.err


@pytest.mark.parametrize("network", ["allow", "open"])
def test_a_gateway_of_this_machine_is_asked_at_the_address_that_it_has(claude: User, network: str) -> None:
    claude.repo.git("config", "realm.network", network)
    with MessagesApi("0.0.0.0") as gateway:  # noqa: S104 - so do gateways
        claude.extra["ANTHROPIC_BASE_URL"] = gateway.url.replace("0.0.0.0", "localhost")  # noqa: S104
        claude.realm("new", "x", "-p", "write a with b")
        assert gateway.asked
    assert claude.repo.show("refs/realm/x:a") == "b"


def test_a_gateway_that_no_container_can_reach_is_told_of_before_the_start(claude: User) -> None:
    claude.extra["ANTHROPIC_BASE_URL"] = "http://localhost:4000"
    done = claude.realm("new", "x", "-p", "hello", code=125)
    assert "http://localhost:4000 is this machine, which a container cannot reach" in done.err
    assert not claude.listed()


def test_tools_find_the_proxy_by_themselves(sealed_user: User) -> None:
    script = """
        curl -sS -o /dev/null -w '%{http_code}\\n' https://registry.npmjs.org/is-odd
        mkdir -p /tmp/apt/lists/partial /tmp/apt/cache/archives/partial
        apt-get -qq -o Dir::State=/tmp/apt -o Dir::Cache=/tmp/apt/cache -o Debug::NoLocking=1 update \\
          && echo updated
        git ls-remote https://git.no.example/x 2>&1 | grep -o 'response 403'
        printf 'pip '
        pip download -q --no-deps --no-cache-dir -d /tmp/pip six 2>/dev/null; ls /tmp/pip | wc -l
        cd /tmp; printf 'npm '
        npm pack --silent is-odd 2>/dev/null | wc -l
        node -e 'Promise.all(["https://registry.npmjs.org/six", "http://deb.debian.org/debian/"].map(
          url => fetch(url).then(r => r.status, e => e.cause))).then(all => console.log("node", ...all))'
        node -e 'fetch("https://node.no.example/").catch(() => console.log("refused"))'
        perl -MHTTP::Tiny -e 'print HTTP::Tiny->new->get("http://perl.no.example/")->{status}, "\\n"'
    """
    done = sealed_user.scripted("x", script)
    words = done.out.split()
    assert words[:8] == ["200", "updated", "response", "403", "pip", "1", "npm", "1"], (words, done.err)
    assert words[8:] == ["node", "200", "200", "refused", "403"], (words, done.err)
    refused = json.loads(sealed_user.realm("net", "x", "--json").out)["refused"]
    assert {one["host"] for one in refused} == {
        "git.no.example",
        "node.no.example",
        "perl.no.example",
    }


class CompanyProxy(Serving):
    """A company's proxy, which notes the requests, and answers them itself."""

    def __init__(self) -> None:
        asked: list[tuple[str, str]] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
                self.send_error(502)

            def do_GET(self) -> None:
                asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer((engines.gateway(), 0), Handler)
        self.url = f"http://me:sec%20%23r%25e%22t@{engines.gateway()}:{self._server.server_address[1]}"


@pytest.mark.parametrize("by", ["environment", "docker"])
def test_a_company_proxy_is_gone_through(sealed_user: User, sealed: Path, by: str) -> None:
    user = sealed_user
    with CompanyProxy() as proxy:
        if by == "environment":
            user.extra["HTTPS_PROXY"] = proxy.url
        else:
            (sealed / ".docker").mkdir()
            config = {"proxies": {"default": {"httpsProxy": proxy.url}}}
            (sealed / ".docker/config.json").write_text(json.dumps(config))
        done = user.scripted(
            "x", f"{GET} http://pypi.org/a; {GET} https://pypi.org/b; {GET} http://no.example/"
        )
    assert done.out.split()[0] == "204000"
    assert done.out.split()[-1] == "403000"
    assert [path for path, _ in proxy.asked] == ["http://pypi.org/a", "pypi.org:443"]
    login = base64.b64encode(b'me:sec #r%e"t').decode()
    assert {given for _, given in proxy.asked} == {f"Basic {login}"}
    assert "sec" not in done.out + done.err
