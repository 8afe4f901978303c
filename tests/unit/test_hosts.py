"""Hosts as users write them."""

from __future__ import annotations

import socket

import pytest

from realm.hosts import Host, from_outside, is_here, parse


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", Host("example.com")),
        ("Example.COM.", Host("example.com")),
        (".example.com", Host(".example.com")),
        ("*.example.com", Host(".example.com")),
        ("example.com:8443", Host("example.com", 8443)),
        ("localhost:3000", Host("localhost", 3000)),
        ("bücher.example", Host("xn--bcher-kva.example")),
        ("10.1.2.3", Host("10.1.2.3")),
        ("10.1.2.3:8080", Host("10.1.2.3", 8080)),
        ("10.1.0.0/16", Host("10.1.0.0/16")),
        ("fd00::1", Host("fd00::1")),
        ("[fd00::1]:8080", Host("fd00::1", 8080)),
    ],
)
def test_what_is_a_host(text: str, host: Host) -> None:
    assert parse(text) == host
    assert parse(str(host)) == host


@pytest.mark.parametrize(
    "text",
    ["", ".", "*", "*.com", "https://example.com", "example.com/path", "a b", "-x.com", "a..b", "x" * 300,
     "example.com:", "example.com:0", "example.com:65536", "example.com:http", "0x7f.1", "127.1", "1.2.3.4.5",
     "[::1", "[::1]8", "a\nb", "a;b", "10.1.2.3/16"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_a_server_of_this_machine_is_asked_at_the_address_that_others_have() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:  # noqa: S104
        open_, closed = (server.getsockname()[1] for server in (everywhere, here))
        found = from_outside(f"http://localhost:{open_}/v1?a=b")
        assert not is_here(found)
        assert found.endswith(f":{open_}/v1?a=b")
        for kept in (
            f"http://127.0.0.1:{closed}",
            f"https://localhost:{open_}",
            f"http://me:mine@localhost:{open_}",
            f"http://example.com:{open_}",
            "http://localhost:999999",
        ):
            assert from_outside(kept) == kept
