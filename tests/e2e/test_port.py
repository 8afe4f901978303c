"""A server in a container, on this machine; another name for a session."""

from __future__ import annotations

import socket
import subprocess
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import eventually, first_line

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

SERVER = r"""
exec perl -MIO::Socket::INET -e '
  $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 3000, Listen => 9, ReuseAddr => 1) or die;
  $| = 1; print "up\n"; $SIG{CHLD} = "IGNORE"; $SIG{INT} = sub { exit 0 };
  while (1) {
    $c = $s->accept or next;
    if (fork) { close $c; next }
    while (<$c>) { last if /^\r?$/; $size = $1 if m{^GET /(\d+)}; }
    print $c "HTTP/1.0 200 OK\r\n\r\n", "x" x ($size || 5);
    exit;
  }'
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - an address of this test
        return bytes(answer.read())


def test_a_server_without_a_network_is_reached_here_and_nowhere_else(user: User) -> None:
    user.repo.git("config", "realm.network", "none")
    user.realm("new", "--detach", "--agent", "sh", "web", "-c", SERVER)
    eventually(lambda: "up" in user.realm("logs", "web", code=None).out)
    local = free_port()
    door = user.start("port", "web", "3000", "--at", str(local))
    try:
        address = first_line(door).strip()
        assert address == f"http://127.0.0.1:{local}"
        assert fetch(address) == b"xxxxx"
        large: list[int] = []
        many = [
            threading.Thread(target=lambda: large.append(len(fetch(f"{address}/3000000")))) for _ in range(4)
        ]
        for thread in many:
            thread.start()
        for thread in many:
            thread.join(60)
        assert large == [3_000_000] * 4
        taken = user.realm("port", "web", "3000", "--at", str(local), code=1)
        assert f"port {local} of this machine cannot be used" in taken.err
        assert "--at 0" in taken.err
        user.realm("stop", "web")
        assert door.wait(30) == 0
    finally:
        door.kill()
        door.communicate()
    assert "session web is not running" in user.realm("port", "web", "3000", code=1).err


def test_a_port_where_nothing_answers_is_said(user: User) -> None:
    user.realm("new", "--detach", "--agent", "sh", "web", "-c", "sleep 60")
    door = user.start("port", "web", "3000", "--at", "0")
    assert door.stderr is not None
    try:
        address = first_line(door).strip()
        done = subprocess.run(["curl", "-sS", address], capture_output=True, check=False, timeout=30)
        assert done.returncode != 0
        assert door.stderr.readline().startswith("port 3000 of web")
        assert "nothing answers on port 3000 of web" in door.stderr.readline()
    finally:
        door.kill()
        door.communicate()
    user.realm("stop", "web")


def test_another_name_keeps_all_but_the_name(user: User) -> None:
    user.scripted("old", "echo one >a; git branch beside $(git commit-tree -m Beside HEAD^{tree})")
    beside = user.repo.refs("refs/realm-branches/old/")
    assert len(beside) == 1
    tip = user.tip("old")
    assert "renamed old to new" in user.realm("rename", "old", "new").err
    assert [row["name"] for row in user.listed()] == ["new"]
    assert user.tip("new") == tip
    assert list(user.repo.refs("refs/realm-branches/").values()) == list(beside.values())
    assert all(ref.startswith("refs/realm-branches/new/") for ref in user.repo.refs("refs/realm-branches/"))
    assert user.repo.refs("refs/realm-meta/").keys() == {"refs/realm-meta/new"}
    user.scripted("new", "echo two >b", verb="resume")
    assert user.repo.files("refs/realm/new") == ["README.md", "a", "b"]
    assert "Realm-Session: new" in user.repo.git("log", "-1", "--format=%B", "refs/realm/new")
    user.scripted("other", "true")
    assert "exists already" in user.realm("rename", "new", "other", code=1).err
    assert "holds a '/'" in user.realm("rename", "new", "a/b", code=2).err
    user.realm("new", "--detach", "--agent", "sh", "busy", "-c", "sleep 60")
    assert "session busy is still running" in user.realm("rename", "busy", "calm", code=1).err
    user.realm("stop", "busy")
    user.realm("rename", "busy", "calm")
    user.realm("remove", "--yes", "calm")
    user.realm("restore", "calm")
