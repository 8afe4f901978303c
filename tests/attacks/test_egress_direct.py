"""Ways out that do not go through the proxy: sockets of every kind, names, other containers' files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.web import Web

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

SCRIPT = r"""
ls /sys/class/net | tr '\n' ' '
tail -n +2 /proc/net/route | wc -l
for way in tcp udp; do
  for to in "$1" 1.1.1.1 8.8.8.8; do
    (exec 3<>/dev/$way/$to/$2 && echo x >&3) 2>/dev/null && echo "$way $to OPEN"
  done
done
getent hosts pypi.org && echo RESOLVED
curl -sS -m 5 --noproxy '*' "http://$1:$2/" 2>/dev/null && echo FETCHED
perl -e 'use Socket; socket(S, PF_INET, SOCK_RAW, 1) and print "RAW\n"'
perl -e 'use Socket; socket(S, 17, 3, 768) and print "PACKET\n"'
ls /egress/run 2>/dev/null && echo LISTED
touch /egress/x 2>/dev/null && echo WROTE
touch "$REALM_EGRESS/x" 2>/dev/null && echo WROTE
rm -f "$REALM_EGRESS/proxy" 2>/dev/null; [ -S "$REALM_EGRESS/proxy" ] || echo REMOVED
mv /egress/bin/socat /egress/bin/y 2>/dev/null && echo MOVED
unshare -rn true 2>/dev/null && echo UNSHARED
find / -xdev -type s 2>/dev/null; find /egress /run /var/run /tmp -type s 2>/dev/null
true
"""


def test_nothing_leads_out_but_the_proxy(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    with Web() as web:
        _, _, port = web.host.partition(":")
        done = user.realm("new", "x", "--agent", "bash", "--", "-c", SCRIPT, "bash", engines.gateway(), port)
        assert not web.asked
    assert done.out.split() == ["lo", "0"], done.out
