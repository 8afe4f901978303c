"""Limits what a run may ask of the user's ssh agent.

A program gets the list of keys, and signatures only for logins at hosts that the user named.  This uses
session-bind@openssh.com: ssh (8.9 and later) gives an agent the host's key and its signature of the
connection's id, which the login's signature covers.  A separate ssh-agent without keys verifies the host's
signature, since not every agent does.

See draft-ietf-sshm-ssh-agent, RFC 4252 section 7, and OpenSSH's PROTOCOL and PROTOCOL.agent.
"""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.session.ssh import Ssh

IDENTITIES, IDENTITIES_ANSWER = b"\x0b", b"\x0c"
FAILURE, SUCCESS = b"\x05", b"\x06"
_SIGN, _SIGN_ANSWER, _EXTENSION = b"\x0d", b"\x0e", b"\x1b"
_BIND = b"session-bind@openssh.com"
_NOT_FORWARDED = b"\0"
_LOGIN, _SERVICE = b"\x32", b"ssh-connection"
_LENGTH, _FLAGS = 4, 4
"""Bytes of the length before each message and string, and of what follows in a request to sign."""
_BY_KEY, _BY_KEY_AT_HOST = b"publickey", b"publickey-hostbound-v00@openssh.com"
_LONGEST = 64 * 1024 - _LENGTH
"""Bytes of a message: ``container/egress/lend`` carries 64 KiB with its length."""
_MOST = 1000
"""The most connections whose hosts are remembered."""
_PATIENCE, _WAIT = 120.0, 20.0
"""Seconds that an agent may take to sign, which may ask its user first, and to list its keys."""
_CHECKER = ("ssh-agent", "sh", "-c", 'echo "$SSH_AUTH_SOCK"; cat; kill "$SSH_AGENT_PID"')
"""An agent that runs until its standard input ends, as it does when the asking process is killed."""


class _Message:
    """Reads a message's fields in order; ``ValueError`` at its end."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def byte(self) -> bytes:
        found, self.rest = self.rest[:1], self.rest[1:]
        return found

    def string(self) -> bytes:
        end = _LENGTH + int.from_bytes(self.rest[:_LENGTH], "big")
        if len(self.rest) < end:
            raise ValueError("the message is cut off")
        found, self.rest = self.rest[_LENGTH:end], self.rest[end:]
        return found


def ask(path: str, *requests: bytes, patience: float = _PATIENCE) -> bytes:
    """Return the agent's answer to the last of some requests; raises ``OSError``."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(patience)
        agent.connect(path)
        for request in requests:
            agent.sendall(framed(request))
            answer = _read(agent, int.from_bytes(_read(agent, _LENGTH), "big"))
    return answer


def _read(agent: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size <= _LONGEST and (piece := agent.recv(size - len(found))):
        found += piece
    if len(found) != size:
        raise ConnectionError("the agent does not answer")
    return found


def framed(message: bytes) -> bytes:
    """Return a message with its length, as it is sent."""
    return len(message).to_bytes(_LENGTH, "big") + message


def first(unread: bytes) -> tuple[bytes, bytes] | None:
    """Return the first message of the bytes read, and the rest; ``None`` if it is incomplete.

    Raises :class:`ConnectionError` if it is too long.
    """
    size = int.from_bytes(unread[:_LENGTH], "big")
    if size > _LONGEST:
        raise ConnectionError("the message is too long")
    end = _LENGTH + size
    return (unread[_LENGTH:end], unread[end:]) if len(unread) >= end else None


def check(agent: str) -> None:
    """Raise :class:`RealmError` where an agent does not answer, or has no keys."""
    try:
        answer = ask(agent, IDENTITIES, patience=_WAIT)
    except OSError as error:
        raise RealmError(
            f"the ssh agent at {clean(agent, limit=200)} does not answer (realm.sshAgent): "
            f"{error.strerror or error}",
            'eval "$(ssh-agent)"; ssh-add',
        ) from None
    if answer[:1] != IDENTITIES_ANSWER or not any(answer[1:5]):
        raise RealmError("your ssh agent has no keys to lend (realm.sshAgent)", "ssh-add")


def is_signed(bind: bytes) -> bool:
    """Tell whether a connection's id is signed by the key of the host that the request to bind it names."""
    with subprocess.Popen(
        _CHECKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as agent:
        path = agent.stdout.readline() if agent.stdout else b""
        return ask(os.fsdecode(path.rstrip(b"\n")), bind) == SUCCESS


class _Login(NamedTuple):
    """A login to be signed: with ``key``, by a connection; ``host_key`` where the host wants that said."""

    key: bytes
    connection: bytes
    host_key: bytes | None


def _login(request: bytes) -> _Login:
    """Return the login that a request to sign is for; raises :class:`ValueError` where it is for no other."""
    message = _Message(request[1:])
    key, data = message.string(), _Message(message.string())
    connection, kind, _user = data.string(), data.byte(), data.string()
    service, method, has_key = data.string(), data.string(), data.byte()
    _algorithm, named = data.string(), data.string()
    host_key = data.string() if method == _BY_KEY_AT_HOST else None
    fits = (kind, service, has_key, named) == (_LOGIN, _SERVICE, b"\1", key)
    if not fits or method not in (_BY_KEY, _BY_KEY_AT_HOST) or data.rest or len(message.rest) != _FLAGS:
        raise ValueError("it is not a login")
    return _Login(key, connection, host_key)


class Warden:
    """Decides what a sandbox may ask of the user's agent, and refuses the rest.

    ``report`` is called with the name of the host for each login, and with nothing for a signature that
    was refused.
    """

    def __init__(self, ssh: Ssh, report: Callable[[str], object]) -> None:
        self._ssh, self._report = ssh, report
        self._bound: dict[bytes, tuple[bytes, bytes]] = {}
        """Keys of hosts by the connections that these signed, each with the request that said so."""

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request, both without the length before them."""
        kind, answer = request[:1], FAILURE
        with suppress(OSError, ValueError):
            if request == IDENTITIES:
                answer = self._asked(IDENTITIES_ANSWER, request)
            elif kind == _EXTENSION:
                answer = SUCCESS if self._binds(request) else FAILURE
            elif kind == _SIGN:
                answer = self._signed(request)
        if kind == _SIGN and answer == FAILURE:
            self._report("")
        return answer

    def _asked(self, kind: bytes, *requests: bytes) -> bytes:
        answer = ask(self._ssh.agent, *requests)
        return answer if answer[:1] == kind else FAILURE

    def _binds(self, request: bytes) -> bool:
        message = _Message(request[1:])
        name, host_key, connection, _signature = (message.string() for _ in range(4))
        is_known = any(host.takes(host_key) for host in self._ssh.hosts)
        if name != _BIND or message.rest != _NOT_FORWARDED or not is_known:
            return False
        if self._bound.get(connection) != (host_key, request):
            if not is_signed(request):
                return False
            self._bound[connection] = host_key, request
            if len(self._bound) > _MOST:
                del self._bound[next(iter(self._bound))]
        return True

    def _signed(self, request: bytes) -> bytes:
        login = _login(request)
        host_key, bind = self._bound.get(login.connection, (b"", b""))
        host = next((one for one in self._ssh.hosts if one.takes(host_key, login.key)), None)
        if host is None or login.host_key not in (None, host_key):
            return FAILURE
        # Bound, too, where the agent knows of that: it may have keys that are for some hosts alone.
        answer = self._asked(_SIGN_ANSWER, bind, request)
        if answer != FAILURE:
            self._report(host.name)
        return answer
