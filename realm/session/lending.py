"""Lending the user's ssh agent to a run: what it may ask, and whoever holds the run carrying it.

The socket in the sandbox is the sidecar's, and leads to the holder (``container/egress/lend``).  A
program gets the list of keys, and signatures for nothing but a login at a host that the user named.
That is what session-bind@openssh.com is for: ssh (8.9 and later) tells an agent the host's key and its
signature of the connection's id, which a login's signature is over.  An ssh-agent without keys, made
for that, looks whether the signature is the host's: not every agent that users have does.

See draft-ietf-sshm-ssh-agent, RFC 4252 section 7, and OpenSSH's PROTOCOL and PROTOCOL.agent.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import EngineError, RealmError
from realm.paths import replace
from realm.sandbox.egress import sidecar
from realm.sandbox.egress.ticket import ticket
from realm.sandbox.stream import STDOUT
from realm.session.lock import run_directory
from realm.text import clean, plural
from realm.together import Beside

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner
    from realm.sandbox.stream import Attachment
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
_LONGEST = 256 * 1024
"""Bytes of a message: OpenSSH takes no longer ones."""
_MOST = 1000
"""Connections whose hosts are remembered."""
_PATIENCE, _WAIT = 120.0, 20.0
"""Seconds that an agent may take to sign, which may ask its user first, and to list its keys."""
_PERIOD = 0.5
_AGAIN, _LATEST = 0.2, 10.0
"""Seconds until the next try to reach the sidecar; twice as long each time, up to the latter."""
_BREATH, _AFTER_REFUSAL = 0.01, 0.1
"""Seconds between answers: enough for anybody, and a flood costs this machine little."""
_CHECKER = ("ssh-agent", "sh", "-c", 'echo "$SSH_AUTH_SOCK"; cat; kill "$SSH_AGENT_PID"')
"""An agent that is there until its standard input ends, as it does when whoever asks it is killed."""
_FILE = "lent.json"


class _Message:
    """The fields of a message, from its beginning on; ``ValueError`` where it has no more."""

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
    """Return what the agent at a socket answers to the last of some requests; raises ``OSError``."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(patience)
        agent.connect(path)
        for request in requests:
            agent.sendall(_framed(request))
            answer = _read(agent, int.from_bytes(_read(agent, _LENGTH), "big"))
    return answer


def _read(agent: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size <= _LONGEST and (piece := agent.recv(size - len(found))):
        found += piece
    if len(found) != size:
        raise ConnectionError("the agent gives no answer")
    return found


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(_LENGTH, "big") + message


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

    ``told`` is called with the name of the host for each login, and with nothing for a signature that
    was refused.
    """

    def __init__(self, ssh: Ssh, told: Callable[[str], object]) -> None:
        self._ssh, self._told = ssh, told
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
            self._told("")
        return answer

    def _asked(self, kind: bytes, *requests: bytes) -> bytes:
        answer = ask(self._ssh.agent, *requests)
        return answer if answer[:1] == kind else FAILURE

    def _binds(self, request: bytes) -> bool:
        message = _Message(request[1:])
        name, host_key, connection, _signature = (message.string() for _ in range(4))
        is_known = any(place.takes(host_key) for place in self._ssh.places)
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
        place = next((one for one in self._ssh.places if one.takes(host_key, login.key)), None)
        if place is None or login.host_key not in (None, host_key):
            return FAILURE
        # Bound, too, where the agent knows of that: it may have keys that are for some hosts alone.
        answer = self._asked(_SIGN_ANSWER, bind, request)
        if answer != FAILURE:
            self._told(place.name)
        return answer


# -- the way there ---------------------------------------------------------------


@contextmanager
def lent(engine: Engine, ssh: Ssh | None, owner: Owner) -> Iterator[None]:
    """Let a run's sandbox ask the user's agent, where it may, until the context ends."""
    if ssh is None:
        yield
        return
    carrier = _Carrier(engine, owner, Warden(ssh, lambda host: _note(owner, host)))
    beside = Beside(carrier.carry)
    try:
        yield
    finally:
        carrier.leave()
        beside.end(2)


class _Carrier:
    """Carries a run's requests from the sidecar, and the answers back."""

    def __init__(self, engine: Engine, owner: Owner, warden: Warden) -> None:
        self._engine, self._owner, self._warden = engine, owner, warden
        self._stream: Attachment | None = None

    def carry(self, stop: threading.Event) -> None:
        """Do so until told to stop, however often the sidecar goes away."""
        pause = _AGAIN
        while not stop.wait(pause):
            pause = min(2 * pause, _LATEST)
            with (
                suppress(EngineError, OSError),
                closing(sidecar.lend(self._engine, self._owner.egress, ticket(self._owner))) as stream,
            ):
                self._stream = stream
                if serve(self._warden, stream, stop):
                    pause = _AGAIN

    def leave(self) -> None:
        """Let :meth:`carry` hear at once that it is to stop."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close_write()


def serve(warden: Warden, stream: Attachment, stop: threading.Event) -> bool:
    """Answer what comes until there is no more, or told to stop; return whether anything came."""
    unread, served = b"", False
    while not stop.is_set():
        if not stream.pending() and not select.select([stream.fileno()], (), (), _PERIOD)[0]:
            continue
        data = stream.recv(_LONGEST)
        if not data:
            break
        unread += b"".join(part for target, part in stream.parts(data) if target == STDOUT)
        while (request := _first(unread)) is not None:
            answer, unread, served = warden.answer(request), unread[_LENGTH + len(request) :], True
            _send(stream, _framed(answer))
            stop.wait(_AFTER_REFUSAL if answer == FAILURE else _BREATH)
    return served


def _first(unread: bytes) -> bytes | None:
    """Return the first message of what was read, ``None`` where it is not all there."""
    if len(unread) < _LENGTH:
        return None
    size = int.from_bytes(unread[:_LENGTH], "big")
    if size > _LONGEST:
        raise ConnectionError("the message is too long")
    return unread[_LENGTH : _LENGTH + size] if len(unread) >= _LENGTH + size else None


def _send(stream: Attachment, data: bytes) -> None:
    while data and select.select((), [stream.fileno()], (), _PATIENCE)[1]:
        data = data[stream.send(data) :]


# -- what was signed ---------------------------------------------------------------


def _note(owner: Owner, host: str) -> None:
    """Count a login at a host, or a signature that was refused."""
    counts = _counts(owner.id, owner.run)
    counts[host] = counts.get(host, 0) + 1
    with suppress(OSError):
        replace(run_directory(owner.id) / _FILE, json.dumps([owner.run, counts]).encode())


def _counts(session_id: str, run: int) -> dict[str, int]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        number, counts = json.loads((run_directory(session_id) / _FILE).read_bytes())
        if number == run:
            return {str(host): int(times) for host, times in counts.items()}
    return {}


def notes(session_id: str, run: int) -> list[str]:
    """Return in words what a run's sandbox did with the user's agent; nothing where that is nothing."""
    counts = _counts(session_id, run)
    refused = counts.pop("", 0)
    found = [f"logged in at {host} with your ssh agent: {plural(n, 'time')}" for host, n in counts.items()]
    if refused:
        found.append(
            f"your ssh agent did not sign {plural(refused, 'time')}: it was no login at a host of "
            "realm.sshAgent, or an ssh before 8.9 asked"
        )
    return found
