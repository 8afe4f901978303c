"""Forwards a local port to a server in a running agent's container: each connection is a command in there.

So it needs none of the container's network, which may not even exist.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING, Self

from realm.errors import EngineError, RealmError
from realm.session import claim
from realm.session.exec import running
from realm.session.lock import holder
from realm.terminal.relay.protocols import STDOUT

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.stream import Attachment
    from realm.session.requests import UI

_MOST = 64
"""The most connections at a time."""
_PIECE = 65536
_PERIOD = 1.0
"""Seconds between two checks whether the agent still runs."""
_LINGER = 30
"""The least seconds for a server's last words after the client has closed or ended its input."""
RELAY = ("sh", "-c", """
if command -v socat >/dev/null; then exec socat -t "$2" -T 3600 - "TCP:localhost:$1"; fi
if command -v bash >/dev/null; then exec bash -c '
  { exec 3<>"/dev/tcp/127.0.0.1/$1" || exec 3<>"/dev/tcp/::1/$1"; } 2>/dev/null || exit 1
  exec 4<&0; cat <&4 >&3 & writer=$!; cat <&3 & reader=$!
  { while kill -0 "$writer"; do sleep "$2"; done; sleep "$2"; kill "$reader"; } >/dev/null 3>&- 4<&- &
  wait "$reader"; kill "$writer" "$!"; exit 0' bash "$1" "$2" 2>/dev/null
fi
exec nc 127.0.0.1 "$1"
""", "sh")  # fmt: skip
"""Connects standard input and output to a port, with whatever tool the image has.

Its arguments are the port and the seconds for last words.
"""


class Door:
    """Listens on 127.0.0.1 for a running session's port while entered; ``local`` is the port there.

    Raises :class:`RealmError` when the session has no running container, or the local port is taken.
    """

    def __init__(self, name: str, directory: Path | None, port: int, local: int, ui: UI) -> None:
        _, self._session = claim.checked(name, directory)
        self._engine, self._sandbox = running(self._session)
        self._port, self._ui = port, ui
        self._free = threading.Semaphore(_MOST)
        self._asking = threading.Lock()
        self._warned = False
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(("127.0.0.1", local))
            self._listener.listen(_MOST)
        except OSError as error:
            self._listener.close()
            raise RealmError(
                f"port {local} of this machine cannot be used: {error.strerror}",
                f"realm port {name} {port} --at 0 takes a free one",
            ) from None
        self.local = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._engine.close()

    def serve(self) -> None:
        """Forward connections until the agent has ended."""
        while holder(self._session.id) is not None or self._sandbox.state() == "running":
            if not select.select([self._listener], [], [], _PERIOD)[0]:
                continue
            connection, _ = self._listener.accept()
            if not self._free.acquire(timeout=_PERIOD):
                connection.close()
                continue
            threading.Thread(target=self._carry, args=(connection,), daemon=True).start()

    def _carry(self, connection: socket.socket) -> None:
        with contextlib.closing(connection), contextlib.suppress(OSError):
            try:
                with self._asking:
                    process, stream = self._sandbox.run([*RELAY, str(self._port), str(_LINGER)], tty=False)
                with contextlib.closing(stream):
                    threading.Thread(target=_up, args=(connection, stream), daemon=True).start()
                    carried = _down(stream, connection)
                if not carried and self._engine.exec_code(process):
                    self._warn(f"nothing answers on port {self._port} of {self._session.name} yet")
            except EngineError as error:
                self._warn(error.message + (f" ({error.hint})" if error.hint else ""))
            finally:
                self._free.release()
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _warn(self, text: str) -> None:
        """Warn that a connection failed, once for each reason."""
        if not self._warned:
            self._warned = True
            self._ui.warn(text)


def _up(connection: socket.socket, stream: Attachment) -> None:
    """Forward the client's bytes, and the end of its input."""
    with contextlib.suppress(OSError, ValueError):
        while data := connection.recv(_PIECE):
            while data:
                select.select([], [stream.fileno()], [])
                with contextlib.suppress(BlockingIOError):
                    data = data[stream.send(data) :]
        stream.close_write()


def _down(stream: Attachment, connection: socket.socket) -> int:
    """Forward the server's bytes until their end; return how many there were."""
    carried = 0
    while True:
        if not stream.pending():
            select.select([stream.fileno()], [], [])
        try:
            data = stream.recv(_PIECE)
        except BlockingIOError:
            continue
        if not data:
            return carried
        for target, part in stream.parts(data):
            if target == STDOUT:
                connection.sendall(part)
                carried += len(part)
