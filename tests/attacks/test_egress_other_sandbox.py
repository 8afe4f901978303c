"""A sandbox that wants to be taken for another of its project, or to reach it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import eventually
from tests.support.web import Web

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

TRY = r"""
for guess in "" . .. ../run "*" "?????????*" other; do
  /egress/bin/ld.so --library-path /egress/bin /egress/bin/socat -u /dev/null \
    "UNIX-CONNECT:/egress/run/$guess/proxy" 2>/dev/null && echo "IN $guess"
done
for path in /egress/run/*/proxy /proc/*/root/egress/run/*; do
  [ -e "$path" ] && [ "$path" != "$REALM_EGRESS/proxy" ] && echo "SEEN $path"
done
grep -l "$1" /proc/*/environ 2>/dev/null
(exec 3<>/dev/tcp/127.0.0.1/4000) 2>/dev/null && echo "REACHED the other's port"
curl -s -o /dev/null https://no.example/
true
"""


def test_neither_its_sockets_nor_its_ports_nor_its_account(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    with Web() as web:
        user.realm("allow", web.host)
        user.realm(
            "new", "--detach", "--agent", "bash", "first", "--", "-c",
            "echo token ${REALM_EGRESS##*/}; perl -MIO::Socket::INET -e 'IO::Socket::INET->new(LocalAddr => "
            "\"127.0.0.1\", LocalPort => 4000, Listen => 9); print \"up\\n\"; sleep 60'",
        )  # fmt: skip
        eventually(lambda: "token" in user.realm("logs", "first", code=None).out)
        token = user.realm("logs", "first").out.split("token ")[1].split()[0]
        assert len(token) == 32
        second = user.realm("new", "second", "--agent", "bash", "--", "-c", TRY, "bash", token)
        assert not second.out
    user.realm("stop", "first")
    assert json.loads(user.realm("net", "first", "--json").out)["refused"] == []
    assert [one["host"] for one in json.loads(user.realm("net", "second", "--json").out)["refused"]] == [
        "no.example"
    ]
