"""Even with an engine of its own a sandbox reaches nothing on the machine, and no network but the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.web import Web

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

SYSTEM_CALLS = r"""
import ctypes, platform, socket
known = {"x86_64": (321, 298, 248, 238), "aarch64": (280, 241, 217, 237)}[platform.machine()]
for name, number in zip(("bpf", "perf_event_open", "add_key", "set_mempolicy"), known):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1:
        print(name, "PASSES")
for family in (38, 40):
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print("FAMILY", family)
    except PermissionError:
        pass
"""

# What root can do in a container of the agent's that has all of the sandbox's files.
ROOT = r"""
echo "root of $(busybox cat /proc/self/uid_map | busybox awk '{printf "%s/%s ", $1, $2}')"
mount() { busybox mount "$@"; }
for file in /h/etc/x /h/usr/x /h/realm/entry /h/egress/x /h/history/x; do
  (echo x > $file) 2>/dev/null && echo "WROTE $file"
done
mount -o remount,rw /h 2>/dev/null && echo REMOUNTED
busybox cat /h/etc/shadow 2>/dev/null && echo SHADOW
for file in /proc/sys/kernel/core_pattern /h/proc/sys/kernel/core_pattern /proc/sysrq-trigger /h/proc/sysrq-trigger; do
  (echo h > $file) 2>/dev/null && echo "SET $file"
done
busybox mknod /disk b 254 0 2>/dev/null && echo MADE
ls /h/dev/*da /h/var/run/docker.sock /h/run/docker.sock 2>/dev/null
busybox wget -q -T 3 -O - "http://$1/" 2>/dev/null && echo FETCHED
busybox nslookup example.com > /dev/null 2>&1 && echo RESOLVED
http_proxy=http://172.17.0.1:3128 busybox wget -q -T 3 -O - "http://$1/" 2>/dev/null && echo PROXIED
busybox nc -w 1 172.17.0.1 3129 < /dev/null 2>/dev/null && echo API
true
"""  # noqa: E501

SCRIPT = r"""
grep -E '^(Cap|NoNewPrivs)' /proc/self/status | sort -u -k2 | awk '{print $2}' | tr '\n' ' '
python3 -c "$1"
for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches; do
  (echo 1 > $file) 2>/dev/null && echo "SET $file"
done
head -c 1 /proc/kcore 2>/dev/null
unshare --user sleep 5 & sleep 0.3
(echo '0 0 1' > /proc/$!/uid_map) 2>/dev/null && echo "MAPPED ROOT"
(echo '0 0 1' > /proc/$(pgrep dockerd)/uid_map) 2>/dev/null && echo "MAPPED ROOT"
mkdir image && cp -r /bin/busybox image/ && ln -s busybox image/sh
tar -C image --transform 's,^\.,bin,' -c . | docker import - base > /dev/null
for network in host bridge; do
  docker run --rm --network $network --cap-add ALL --security-opt seccomp=unconfined -v /:/h \
    base sh -c "$2" sh "$3"
done
rm -rf image
true
"""


def test_it_is_as_sealed_as_any_other(user: User) -> None:
    user.repo.git("config", "realm.docker", "rootless")
    user.repo.git("config", "realm.packages", "busybox-static")
    with Web() as web:
        words = ("bash", "--", "-c", SCRIPT, "bash", SYSTEM_CALLS, ROOT, web.host)
        done = user.realm("new", "x", "--agent", *words)
        assert not web.asked
    first, *rest = done.out.split("\n", 1)
    assert first.split()[:2] == ["0000000000000000", "1"], done.out
    mapped = "root of 0/1000 1/1879048192"
    assert (first + "\n" + rest[0]).count(mapped) == 2
    assert [line for line in done.out.splitlines() if mapped not in line] == [], done.out
    owned = f"realm.project={user.repo.path}"
    assert not engines.labelled("container", owned)
