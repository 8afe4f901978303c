"""Hosts as users write them."""

from __future__ import annotations

import pytest

from realm.hosts import Host, parse


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
