"""Addresses in the place of names, in every spelling: the cloud's metadata, the sidecar, the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.egress import passed, said

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

SPELLINGS = (
    "169.254.169.254", "169.254.169.254.", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.16689662",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "metadata.google.internal",
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0", "0.0.0", "[::1]", "[::]", "localhost",
    "localhost.", "LOCALHOST", "127.0.0.1.nip.io", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
    "host.docker.internal", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "1.1.1.1",
    "[2606:4700:4700::1111]",
)  # fmt: skip


def test_no_spelling_of_an_address_passes(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    hosts = [*SPELLINGS, engines.gateway()]
    requests = [f"CONNECT {host}:443 HTTP/1.1\r\nHost: pypi.org\r\n\r\n" for host in hosts]
    requests += [
        f"GET http://{host}/latest/meta-data/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        for host in hosts
    ]
    ports = (22, 53, 2375, 3128, 3129, 8080)
    requests += [f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n" for port in ports]
    requests += [f"CONNECT pypi.org:{port} HTTP/1.1\r\n\r\n" for port in ports]
    answers = said(user, requests)
    assert len(answers) == len(requests)
    let_through = [
        (request, answer)
        for request, answer in zip(requests, answers, strict=True)
        if passed(answer) or not answer.startswith("HTTP/1.1 4")
    ]
    assert not let_through
