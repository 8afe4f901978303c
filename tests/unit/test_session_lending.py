"""What a sandbox may ask of the user's ssh agent, and what it finds there of the user's ssh."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm import parsers
from realm.config import Config
from realm.errors import UsageError
from realm.hosts import Host
from realm.paths import make_private
from realm.sandbox.layout import Owner
from realm.session import lending, ssh, warden
from realm.session import plan as planning
from realm.session.lock import run_directory
from realm.session.requests import ResumeRequest
from realm.session.run import Network
from realm.session.ssh import LoginHost, Ssh
from realm.session.warden import FAILURE, IDENTITIES, SUCCESS, Warden
from tests.support.ssh import bind, login, sign, string
from tests.support.store import project_of, session

if TYPE_CHECKING:
    from tests.support.repos import Repo

KEY, HOST_KEY, CONNECTION = (string(b"ssh-ed25519") + string(word * 32) for word in (b"k", b"h", b"c"))
HOST = LoginHost(
    "work", Host("git.example", 2222), "ada", (f"ssh-ed25519 {base64.b64encode(HOST_KEY).decode()}",)
)
SSH = Ssh("/nowhere", (HOST,))
REFUSED = (
    "your ssh agent did not sign 1 time: it was not a login at a host of realm.sshAgent, or an ssh "
    "before 8.9 "
    "asked"
)
BIND = bind(HOST_KEY, CONNECTION, b"signature")
LOGIN = sign(KEY, login(KEY, CONNECTION))

NAME, ALGORITHM = LOGIN.index(b"ada"), LOGIN.index(b"ssh-ed25519", LOGIN.index(b"publickey"))
FREE = [*range(NAME, NAME + 3), *range(ALGORITHM, ALGORITHM + 11)]
FIXED = sorted(set(range(len(LOGIN) - 4)) - {*FREE})
"""Where a byte of a login is not the user's name there, the algorithm or a flag, which may be any."""


def pass_on(patch: pytest.MonkeyPatch, asked: list[bytes]) -> None:
    """Let the user's agent have an answer to all that it is asked, and every host sign."""

    def ask(_: str, *requests: bytes) -> bytes:
        asked.extend(requests)
        return bytes([requests[-1][0] + 1])

    patch.setattr(warden, "ask", ask)
    patch.setattr(warden, "is_signed", lambda _: True)


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    asked: list[bytes] = []
    pass_on(monkeypatch, asked)
    return asked


class TestWarden:
    def test_a_login_goes_with_its_connection(self, passed_on: list[bytes]) -> None:
        told: list[str] = []
        warden = Warden(SSH, told.append)
        assert warden.answer(LOGIN) == FAILURE
        assert warden.answer(BIND) == SUCCESS
        assert warden.answer(LOGIN)[:1] == b"\x0e"
        assert (passed_on, told) == ([BIND, LOGIN], ["", "work"])

    def test_old_connections_are_forgotten(self, passed_on: list[bytes]) -> None:
        warden = Warden(SSH, lambda _: None)
        for number in range(1100):
            warden.answer(bind(HOST_KEY, b"%d" % number, b""))
        assert warden.answer(sign(KEY, login(KEY, b"5"))) == FAILURE
        assert warden.answer(sign(KEY, login(KEY, b"1005"))) != FAILURE
        assert len(passed_on) == 2

    @given(st.one_of(
        st.binary(max_size=300),
        st.builds(lambda kind, rest: bytes([kind]) + rest, st.integers(0, 255), st.binary(max_size=300)),
        st.builds(lambda at, byte: LOGIN[:at] + bytes([byte]) + LOGIN[at + 1 :],
                  st.sampled_from(FIXED), st.integers(0, 255)),
        st.builds(lambda at: LOGIN[:at], st.integers(0, len(LOGIN) - 1)),
        st.builds(lambda at: BIND[:at], st.integers(0, len(BIND) - 1)),
    ).filter(lambda request: request not in (LOGIN, IDENTITIES)))  # fmt: skip
    def test_whatever_else_comes_is_refused(self, request: bytes) -> None:
        asked: list[bytes] = []
        with pytest.MonkeyPatch.context() as patch:
            pass_on(patch, asked)
            warden = Warden(SSH, lambda _: None)
            warden.answer(BIND)
            assert warden.answer(request) == FAILURE
        assert not asked


def test_frames_are_found_however_they_come() -> None:
    assert warden.first(b"\0\0\0") is None
    assert warden.first(string(b"ab")[:-1]) is None
    assert warden.first(string(b"ab") + b"x") == (b"ab", b"x")
    with pytest.raises(ConnectionError):
        warden.first(b"\x7f\0\0\0")


def test_the_sandbox_knows_these_hosts_alone() -> None:
    identity = "ssh-ed25519 AAAA ada@here"
    config, known, public = SSH._replace(hosts=(HOST._replace(identities=(identity,)),)).files()
    text = config.data.decode() if isinstance(config.data, bytes) else ""
    for line in (
        "Host work", "  HostName git.example", "  Port 2222", "  User ada", "  IdentitiesOnly yes",
        "  IdentityFile /realm/home/.ssh/work-0.pub", "  StrictHostKeyChecking yes",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert known.data == f"work {HOST.host_keys[0]}\n".encode()
    assert (public.path, public.data) == ("/realm/home/.ssh/work-0.pub", f"{identity}\n".encode())


@pytest.mark.parametrize("network", [Network("open"), Network("none"), Network("open", "flag -p needs it")])
def test_it_needs_the_sidecar(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_SSH_AGENT", "git.example")
    plan: Any = SimpleNamespace(config=Config(), network=network)
    with pytest.raises(UsageError, match=r"realm\.sshAgent needs realm\.network allow"):
        planning.with_ssh(plan)


def test_a_run_that_goes_on_says_that_it_does_without(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_SSH_AGENT", "git.example")
    monkeypatch.setenv("REALM_NETWORK", "open")
    plan = planning.following(project_of(repo), session(), None, ResumeRequest("fix"))
    said: list[str] = []
    ui: Any = SimpleNamespace(warn=said.append)
    assert planning.still_with_ssh(plan, ui).ssh is None
    assert said == [
        "the run continues without your ssh agent: realm.sshAgent needs realm.network allow: it is open"
    ]


@pytest.mark.parametrize("text", [".example.com", "10.0.0.0/8", "https://x", "-oProxyCommand=x", "a b", ""])
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|https"):
        parsers.ssh_host(text)


def test_what_was_signed_is_counted_for_the_record() -> None:
    owner = Owner("id", "fix", 2, "/p", "0", 1)
    assert lending.notes("id", 2) == []
    make_private(run_directory("id"))
    for host in ("work", "work", "", "else"):
        lending._note(owner, host)
    assert lending.notes("id", 3) == []
    assert lending.notes("id", 2) == [
        "logged in at work with your ssh agent: 2 times",
        "logged in at else with your ssh agent: 1 time",
        REFUSED,
    ]
    assert [lending.is_login(note) for note in lending.notes("id", 2)] == [True, True, False]


def test_a_key_of_nobodys_is_no_key() -> None:
    assert ssh._identity("~nobody-at-all/.ssh/id_ed25519") == ""
