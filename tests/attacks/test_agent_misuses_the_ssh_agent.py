"""A sandbox that was lent the user's ssh agent wants more of it than logins at the hosts that were named."""

from __future__ import annotations

import base64
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from realm.hosts import Host
from realm.session.ssh import LoginHost, Ssh
from realm.session.warden import FAILURE, IDENTITIES, IDENTITIES_ANSWER, SUCCESS
from tests.support.ssh import Lent, UserAgent, bind, login, make_key, public, sign, signature, string
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTION, OTHER = b"c" * 32, b"o" * 32
SIGNED = b"\x0e"


class Lending(NamedTuple):
    """The user's lent agent, the user's key, and the keys of two hosts with their signers."""

    agent: UserAgent
    lent: Lent
    key: bytes
    named: bytes
    other: bytes
    hosts: UserAgent

    def bound(self, connection: bytes = CONNECTION) -> bytes:
        """Return the honest request to bind a connection to the host that was named."""
        return bind(self.named, connection, signature(self.hosts.socket, self.named, connection))


@pytest.fixture
def lending(tmp_path: Path) -> Iterator[Lending]:
    key, named, other = (public(make_key(tmp_path / name)) for name in ("user", "named", "other"))
    line = f"ssh-ed25519 {base64.b64encode(named).decode()}"
    with (
        UserAgent(tmp_path / "user") as agent,
        UserAgent(tmp_path / "named", tmp_path / "other") as hosts,
        Lent(Ssh(agent.socket, (LoginHost("git.example", Host("git.example", 22), "git", (line,)),))) as lent,
    ):
        yield Lending(agent, lent, key, named, other, hosts)


def test_logins_at_the_named_host_are_signed(lending: Lending) -> None:
    """Otherwise the refusals below would prove nothing."""
    assert lending.lent.ask(IDENTITIES)[:1] == IDENTITIES_ANSWER
    assert lending.lent.ask(lending.bound()) == SUCCESS
    for data in (
        login(lending.key, CONNECTION),
        login(lending.key, CONNECTION, method=b"publickey-hostbound-v00@openssh.com",
              end=string(lending.named)),
    ):  # fmt: skip
        assert lending.lent.ask(sign(lending.key, data))[:1] == SIGNED
    assert lending.lent.told == ["git.example"] * 2


def test_the_agent_stays_as_it_is(lending: Lending) -> None:
    before = lending.agent.keys()
    password = string(b"hunter22")
    constrained = string(b"ssh-ed25519") + string(lending.other[-32:]) + string(bytes(64)) + string(b"x")
    for request in (
        b"\x13",  # remove all
        b"\x12" + string(lending.key),  # remove one
        b"\x09",  # remove all of the first protocol's
        b"\x16" + password,  # lock
        b"\x17" + password,
        b"\x11" + constrained,  # add
        b"\x19" + constrained + b"\x01\0\0\0\x01",
        b"\x14" + string(b"/tmp/evil.so") + string(b""),  # load a provider's library
        b"\x1a" + string(b"/tmp/evil.so") + string(b""),
        b"\x1b" + string(b"query"),
        b"\x1b" + string(b"associated-certs-v00@openssh.com") + bytes(9),
        b"",
        b"\x0b\x0b",
        b"\x0d",
        b"\x1b\xff\xff\xff\xff",
    ):
        assert lending.lent.ask(request) == FAILURE, request
    assert lending.agent.keys() == before


def test_forged_connections_are_refused(lending: Lending) -> None:
    ask = lending.lent.ask
    signed_by_other = signature(lending.hosts.socket, lending.other, CONNECTION)
    honest = signature(lending.hosts.socket, lending.named, CONNECTION)
    for request in (
        bind(lending.named, CONNECTION, signed_by_other),  # the named host did not sign that
        bind(lending.named, OTHER, honest),
        bind(lending.other, CONNECTION, signed_by_other),  # nobody named this one
        bind(lending.named, CONNECTION, honest, forwarded=True),  # to go on from there
        bind(lending.named, CONNECTION, honest)[:-1],
    ):
        assert ask(request) == FAILURE
        assert ask(request, sign(lending.key, login(lending.key, CONNECTION))) == FAILURE
        assert ask(request, sign(lending.key, login(lending.key, OTHER))) == FAILURE


def test_nothing_but_a_login_is_signed(lending: Lending) -> None:
    ask = lending.lent.ask
    assert ask(lending.bound()) == SUCCESS
    commit = b"SSHSIG" + string(b"git") + string(b"") + string(b"sha512") + string(bytes(64))
    at_host = b"publickey-hostbound-v00@openssh.com"
    for data in (
        commit,
        CONNECTION,
        string(CONNECTION),
        b"",
        login(lending.key, OTHER),
        login(lending.key, CONNECTION, service=b"ssh-userauth"),
        login(lending.key, CONNECTION, method=b"hostbased"),
        login(lending.key, CONNECTION, named=lending.other),
        login(lending.key, CONNECTION, end=b"x"),
        login(lending.key, CONNECTION, method=at_host),
        login(lending.key, CONNECTION, method=at_host, end=string(lending.other)),
        login(lending.key, CONNECTION)[1:],
    ):
        assert ask(sign(lending.key, data)) == FAILURE, data
    assert ask(sign(lending.key, login(lending.key, CONNECTION), bytes(5))) == FAILURE
    assert not [told for told in lending.lent.told if told]


def answers(lent: Lent) -> bool:
    try:
        return lent.ask(IDENTITIES)[:1] == IDENTITIES_ANSWER
    except OSError:  # too many wait
        return False


def test_a_flood_keeps_nobody_from_the_agent_for_long(lending: Lending) -> None:
    opened = []
    try:
        for piece in (b"", b"\0", b"\xff\xff\xff\xff", b"\0\0\0\x05\x0b", b"\0\1\0\0" + bytes(50_000)):
            for _ in range(30):
                one = socket.socket(socket.AF_UNIX)
                opened.append(one)
                one.settimeout(5)
                one.connect(lending.lent.socket)
                one.sendall(piece)
    except OSError:
        pass  # it has had enough
    finally:
        for one in opened:
            one.close()
    began = time.monotonic()
    eventually(lambda: answers(lending.lent))
    many = socket.socket(socket.AF_UNIX)
    with many:
        many.connect(lending.lent.socket)
        many.sendall(string(b"\x13") * 50)  # and never reads
        for _ in range(3):
            assert lending.lent.ask(IDENTITIES)[:1] == IDENTITIES_ANSWER
    assert time.monotonic() - began < 10
