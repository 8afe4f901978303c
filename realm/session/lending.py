"""Lends the user's ssh agent to a run: the holder carries the requests, and notes what was signed.

The socket in the sandbox is the sidecar's, and leads to the holder (``container/egress/lend``), whose
:class:`Warden` answers.
"""

from __future__ import annotations

import json
import select
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.paths import replace
from realm.sandbox.egress import sidecar
from realm.sandbox.egress.ticket import ticket
from realm.sandbox.stream import STDOUT
from realm.session.lock import run_directory
from realm.session.warden import FAILURE, Warden, first, framed
from realm.text import plural
from realm.together import Beside

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner
    from realm.sandbox.stream import Attachment
    from realm.session.ssh import Ssh

_AT_ONCE = 64 * 1024
_PERIOD, _PATIENCE = 0.5, 120.0
"""Seconds between checks whether to stop, and the longest the sidecar may take to accept an answer."""
_AGAIN, _LATEST = 0.2, 10.0
"""Seconds until the next try to reach the sidecar, doubled each time, up to the second value."""
_BREATH, _AFTER_REFUSAL = 0.01, 0.1
"""Seconds between answers, so that a flood of requests costs this machine little."""
_FILE = "lent.json"
_LOGGED_IN = "logged in at "


@contextmanager
def lent(engine: Engine, ssh: Ssh | None, owner: Owner) -> Iterator[None]:
    """Let a run's sandbox use the user's agent, where allowed, until the context ends."""
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
        """Carry until told to stop, however often the sidecar goes away."""
        pause = _AGAIN
        while not stop.wait(pause):
            pause = min(2 * pause, _LATEST)
            with (
                suppress(EngineError, OSError),
                closing(sidecar.hold(self._engine, self._owner.egress, ticket(self._owner))) as stream,
            ):
                self._stream = stream
                if serve(self._warden, stream, stop):
                    pause = _AGAIN

    def leave(self) -> None:
        """Wake :meth:`carry`, so that it stops at once."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close_write()


def serve(warden: Warden, stream: Attachment, stop: threading.Event) -> bool:
    """Answer requests until there are no more, or told to stop; return whether any came."""
    unread, served = b"", False
    while not stop.is_set():
        if not stream.pending() and not select.select([stream.fileno()], (), (), _PERIOD)[0]:
            continue
        data = stream.recv(_AT_ONCE)
        if not data:
            break
        unread += b"".join(part for target, part in stream.parts(data) if target == STDOUT)
        while found := first(unread):
            request, unread = found
            answer, served = warden.answer(request), True
            _send(stream, framed(answer))
            stop.wait(_AFTER_REFUSAL if answer == FAILURE else _BREATH)
    return served


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
    """Return in words what a run's sandbox did with the user's agent; empty if nothing."""
    counts = _counts(session_id, run)
    refused = counts.pop("", 0)
    found = [f"{_LOGGED_IN}{host} with your ssh agent: {plural(n, 'time')}" for host, n in counts.items()]
    if refused:
        found.append(
            f"your ssh agent did not sign {plural(refused, 'time')}: it was not a login at a host of "
            "realm.sshAgent, or an ssh before 8.9 asked"
        )
    return found


def is_login(note: str) -> bool:
    """Tell whether a note only reports the intended use of the agent, which needs no warning."""
    return note.startswith(_LOGGED_IN)
