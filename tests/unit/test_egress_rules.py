"""The proxies' configuration: who gets through, in which order it is asked."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from realm.hosts import Host, parse
from realm.sandbox.egress import registries, rules
from realm.sandbox.egress.ticket import Ticket, ticket, variables
from realm.sandbox.layout import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping


def _lines(*allowed: Host, name: str = "squid.conf", upstream: rules.Upstream | None = None) -> list[str]:
    return rules.files(allowed, upstream)[name].decode().splitlines()


def _access(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("http_access")]


def _acl(lines: list[str], name: str) -> list[str]:
    return next(line.split() for line in lines if line.startswith(f"acl {name} "))


def test_the_list_of_usual_hosts_is_one_of_hosts_and_names_none_twice() -> None:
    names = [host.name for host in rules.usual()]
    assert len(names) == len(set(names))
    assert {"pypi.org", "registry.npmjs.org", "github.com"} <= set(names)
    assert not [host for host in rules.usual() if host.network is not None or host.port]


def test_what_nothing_lets_through_is_refused() -> None:
    access = _access(_lines())
    assert access[-2:] == ["http_access deny usual_port because_name", "http_access deny all because_port"]
    assert all("allow all" not in line for line in access)


def test_what_is_refused_is_answered_with_what_to_do() -> None:
    found = rules.files(())
    reasons = [line.split() for line in found["squid.conf"].decode().splitlines() if "deny_info" in line]
    of_run = registries.files(Ticket("0", "127.1.2.3"), [registries.Registry("https://npm.example", {})])
    access = _access([*_lines(parse("10.1.2.3")), *of_run["registry-0.conf"].decode().splitlines()])
    assert {because for _, _, because in reasons} == {
        word for line in access for word in line.split() if "because" in word
    }
    for _, page, because in reasons:
        advice = {"because_login": b"realm.registryCredentials", "because_here": b"needs no proxy"}
        assert advice.get(because, b"realm allow") in found[page.removeprefix("403:")]


def test_no_name_is_looked_up_before_it_is_known_to_be_allowed() -> None:
    lines = _lines(parse("10.1.2.3"), parse("x.example:8080"))
    for line in _access(lines):
        words = line.split()[2:]
        asking = [at for at, word in enumerate(words) if word == "private" or word.startswith("address")]
        # dst looks a name up: before it stands who may be asked for, or that it is no name.
        assert not asking or words[0].startswith(("names", "literal"))
    assert all(_acl(lines, name)[2:4] == ["dstdomain", "-n"] for name in ("names0", "names8080"))


def test_an_allowed_name_may_not_lead_to_a_private_address() -> None:
    access = _access(_lines(parse("x.example:8080")))
    for group in ("names0", "names8080"):
        of_group = [line for line in access if f" {group} " in line]
        for refused, let_in in zip(of_group[::2], of_group[1::2], strict=True):
            assert refused == let_in.replace("allow", "deny") + " private because_private"


def test_a_named_address_is_let_through_and_is_not_private_any_more() -> None:
    lines = _lines(parse("10.1.2.3"))
    private = [ipaddress.ip_network(text) for text in _acl(lines, "private")[3:]]
    inside = ipaddress.ip_address("10.1.2.3")
    assert not [network for network in private if network.version == 4 and inside in network]
    for other in (
        "10.1.2.2",
        "10.1.2.4",
        "10.255.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "0.1.2.3",
    ):
        assert [network for network in private if ipaddress.ip_address(other) in network], other
    assert "http_access allow literal address0 tunnel at443" in lines
    assert not [line for line in _lines(parse("10.1.2.3"), name="dnsmasq.conf") if line.startswith("stop")]


def test_what_the_agent_cannot_do_without_is_reached_wherever_it_leads() -> None:
    known = parse("llm.corp.example:8080")._replace(known=True)
    access = _access(_lines(known))
    assert [line for line in access if "known8080" in line and line.startswith("http_access allow")]
    assert not [line for line in access if "known8080" in line and "private" in line]
    assert "rebind-domain-ok=/llm.corp.example/" in _lines(known, name="dnsmasq.conf")


def test_names_below_others_are_listed_once() -> None:
    names = _acl(_lines(parse(".example.com"), parse("a.example.com"), parse("example.com")), "names0")
    assert [name for name in names if "example.com" in name] == [".example.com"]


def test_a_company_proxy_is_the_only_way_out() -> None:
    lines = _lines(upstream=rules.Upstream("proxy.corp", 3128, "me:p w", (".corp",)))
    (peer,) = (line for line in lines if line.startswith("cache_peer "))
    assert peer.startswith("cache_peer proxy.corp parent 3128 0 no-query default no-digest ")
    assert peer.endswith(" name=upstream login=me:p%20w")
    assert "cache_peer_access upstream deny led" in lines
    assert lines[-4:] == [
        "acl direct dstdomain -n .corp",
        "always_direct allow direct",
        "always_direct deny all",
        "never_direct allow all",
    ]


def test_names_that_change_are_answered_with_no_private_address() -> None:
    assert "stop-dns-rebind" in _lines(parse("x.example"), name="dnsmasq.conf")
    assert "rebind-domain-ok=/x.example/" not in _lines(parse("x.example"), name="dnsmasq.conf")


def test_a_run_has_a_ticket_of_its_own_and_always_the_same() -> None:
    one = Owner("id", "s", 1, "/p", "0" * 40, 5)
    assert ticket(one) == ticket(one._replace(egress="sidecar", role="try"))
    others = [
        ticket(one),
        ticket(one._replace(run=2)),
        ticket(one._replace(id="x")),
        ticket(one._replace(started=6)),
    ]
    assert len({other.token for other in others}) == 4
    for found in others:
        address = ipaddress.IPv4Address(found.address)
        assert address.is_loopback
        assert address not in ipaddress.ip_network("127.0.0.0/24")
    assert variables(ticket(one))["REALM_EGRESS"] == f"/egress/run/{ticket(one).token}"


def test_what_the_sidecar_stands_before_is_reached_by_it_alone() -> None:
    lines = _lines(Host("api.example", known=True, own=True), Host("10.1.2.3", 4000, known=True, own=True))
    ways = [line for line in _access(lines) if "own" in line]
    assert len(ways) == 6
    assert all(line.split()[2] == "standing" for line in ways)
    assert _acl(lines, "own0")[2:] == ["dstdomain", "-n", "api.example"]
    assert "10.0.0.0/8" in _acl(lines, "private")
    assert not any("api.example" in line for line in lines if line.startswith(("acl known", "acl names")))


def _stands(
    url: str = "https://api.example",
    headers: Mapping[str, str] = {},
    prefix: str = "",
    *,
    reads: bool = False,
) -> dict[str, str]:
    stand = rules.Stand(url, headers, "/v1/messages", prefix, reads)
    return {name: data.decode() for name, data in rules.stands(Ticket("token", "127.1.2.3"), [stand]).items()}


def test_the_api_is_answered_for_one_run_at_its_own_paths() -> None:
    text = _stands("https://gateway.example:8443/claude", {"x-api-key": "k"})["api-token.conf"]
    assert "listen unix:/run/realm/api/token;" in text
    assert 'location ~ "^(?<asked>/v1/messages)$" {' in text
    assert 'proxy_set_header x-api-key "k";' in text
    assert 'proxy_set_header authorization "";' in text
    assert 'proxy_set_header Host "gateway.example:8443";' in text
    assert "proxy_pass https://api_token_0/claude$asked$is_args$args;" in text
    assert "receive-pack" not in text
    assert _stands("https://gateway.example:8443/claude")["api-token.to"] == "0 gateway.example:8443\n"
    assert _stands("http://[::1]/")["api-token.to"] == "0 [::1]:80\n"
    assert _stands()["api-token.to"] == "0 api.example:443\n"


def test_a_git_host_is_for_fetching() -> None:
    text = _stands("https://git.example", {}, "/git/git.example", reads=True)["api-token.conf"]
    assert 'location ~ "^/git/git\\.example(?<asked>/v1/messages)$" {' in text
    assert 'if ($args !~ "^(service=git-upload-pack)?$") { return 403 ' in text
    assert "keepalive" not in text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x", "https://", "https://a b", "https://x;y", "https://me:pw@x", "https://x/?a=b",
        "https://x/a b", "https://x/$host", 'https://x/"', "https://x/{a}", "https://x/../..;",
    ],
)  # fmt: skip
def test_an_address_is_no_configuration(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        _stands(url)


def test_quotes_in_a_header_stay_in_it() -> None:
    text = _stands(headers={"x-team": '"a" \\; #'})["api-token.conf"]
    assert r"""proxy_set_header x-team "\"a\" \\; #";""" in text


@pytest.mark.parametrize("value", ["a$host", "a\nb", "a\0b", "\N{SNOWMAN}"])
def test_a_key_is_no_configuration(value: str) -> None:
    with pytest.raises(ValueError, match="the header x-api-key has characters that no key has"):
        _stands(headers={"x-api-key": value})
    with pytest.raises(ValueError, match="that no key has"):
        _stands(headers={"x y": "k"})
