"""A sandbox that floods the sidecar: with refusals, with connections that say nothing, with long lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.web import Web

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

FLOOD = r"""
long=$(printf '%065000d' 0)
for n in $(seq 1500); do printf 'url=https://n%s.example/\noutput=/dev/null\n' "$n"; done > /tmp/many
curl -s -Z --parallel-max 50 -K /tmp/many 2>/dev/null
for n in $(seq 300); do exec {keep}<>/dev/tcp/127.0.0.1/3128; done 2>/dev/null
for n in 1 2 3; do
  exec 3<>/dev/tcp/127.0.0.1/3128
  printf 'GET http://%s.example/ HTTP/1.1\r\nX: %s\r\n\r\n' "$long" "$long" >&3
  exec 3>&-
done
curl -sS -m 30 -o /dev/null -w '%{http_code}' "$1"
"""


def test_it_goes_on_and_the_account_stays_small(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    with Web() as web:
        user.realm("allow", web.host)
        done = user.realm("new", "x", "--agent", "bash", "--", "-c", FLOOD, "bash", web.url)
        assert done.out.strip().endswith("200")
    refused = json.loads(user.realm("net", "x", "--json").out)["refused"]
    assert 500 < len(refused) <= 1000
    assert len(done.err) < 2000
    assert user.realm("list").code == 0
