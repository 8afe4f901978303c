"""Hosts as users write them."""

from __future__ import annotations

import pytest

from realm.hosts import Host, is_here, parse


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


def test_what_leads_back_to_the_machine_that_asks() -> None:
    for here in ("localhost:3000", "127.0.0.1", "127.1.2.3:80", "127.0.0.0/8", "[::1]:80", "LOCALHOST."):
        assert parse(here).is_here
    for away in ("localhost.example.com", "127.example.com", "128.0.0.1", "fd00::1", "example.com"):
        assert not parse(away).is_here
    for url in ("http://localhost", "https://127.0.0.1:8080/v1", "http://[::1]/", "HTTP://me@LocalHost/x"):
        assert is_here(url)
    for url in ("http://localhost.example.com", "http://localhost@example.com", "http://[::1", "localhost"):
        assert not is_here(url)
