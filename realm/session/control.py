"""The control socket of whoever holds a run: a unix socket in the run's directory.

One request and one answer per connection, each a line of JSON; descriptors
travel beside the answer (``SCM_RIGHTS``)::

    {"op": "attach", "take": false, "size": [40, 120]}
                                     →  {"ok": true, "drawing": "<base64>", "size": [40, 120], …} with
                                        two descriptors: the sandbox's stream and the lock.  The size is
                                        the drawing's: the holder's own where the asker's cannot be.
                                        {"ok": true} from the asker takes the run over; the holder says
                                        {"ok": true} to that unless its patience had an end before
    {"op": "send", "text": "…"}      →  {"ok": true, "turns": 1} when it was typed behind so many prompts,
                                        {"ok": true, "queued": 2} when it waits with one other
    {"op": "answer", "picks": [[2], [1, 3]], "told": "…"}
                                     →  {"ok": true} when the next key of these answers was typed, or one
                                        was a moment ago: to be asked again until the account has
                                        another ``told``
    {"op": "stop"}                   →  {"ok": true}; the holder stops the agent and saves its work
    either                           →  {"ok": false, "why": "…"}

The directory is the user's alone, and so is whoever can connect.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from realm.errors import RealmError, RunningError
from realm.paths import make_private
from realm.session.lock import holder, run_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from realm.model import Session

SOCKET = "line"
"""The socket's name, the same as in earlier versions."""
PATIENCE = 5.0
"""Seconds that either side waits for the other."""
_LIMIT = 8 * 1024 * 1024
_FDS = 2
_LARGEST = 1000
"""The most rows or columns of a terminal."""
_YES = b'{"ok": true}\n'


class Call:
    """One request to the holder, with a way to answer it."""

    def __init__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        self._connection = connection
        self.request = request

    def size(self) -> tuple[int, int] | None:
        """Return the requested rows and columns; ``None`` if no terminal has such a size."""
        size = self.request.get("size")
        if not isinstance(size, list) or len(size) != len(("rows", "columns")):
            return None
        rows, columns = size
        if not all(isinstance(each, int) and 0 < each <= _LARGEST for each in (rows, columns)):
            return None
        return rows, columns

    def answer(self, answer: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send the answer; it does not matter if the asker is gone."""
        data = json.dumps(answer).encode() + b"\n"
        with contextlib.suppress(OSError):
            if fds:
                socket.send_fds(self._connection, [data[:1]], list(fds))
                data = data[1:]
            self._connection.sendall(data)

    def is_confirmed(self) -> bool:
        """Wait for the asker's confirmation; once it has been told that it may take over, it has the run."""
        try:
            if not _receive(self._connection)[0].get("ok"):
                return False
            self._connection.sendall(_YES)
        except (OSError, ValueError):
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Control:
    """The holder's end: listens while entered."""

    def __init__(self, session_id: str) -> None:
        self._directory = run_directory(session_id)
        self._socket = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        # A path below the current directory, as a socket's path has at most 107 bytes.
        with contextlib.chdir(make_private(self._directory)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(SOCKET)  # noqa: PTH108 - beside bind, which takes a plain name
            self._socket.bind(SOCKET)
        self._socket.listen(8)
        self._socket.setblocking(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is a call."""
        return self._socket.fileno()

    def call(self) -> Call | None:
        """Return the next call; ``None`` when there is none or it is malformed."""
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return None
        connection.settimeout(PATIENCE)
        try:
            request, _ = _receive(connection)
        except (OSError, ValueError):
            connection.close()
            return None
        return Call(connection, request)


class HandedOverError(Exception):
    """Another process asks for the run."""

    def __init__(self, call: Call) -> None:
        super().__init__("handed over")
        self.call = call


class StoppedError(Exception):
    """Another process asks to stop the run."""


def answering(
    control: Control, *, attached: bool, prompt: Callable[[dict[str, Any]], dict[str, Any]]
) -> Callable[[], bool]:
    """Return a function that answers a call, and raises what the holder has to do.

    ``prompt`` handles prompts.
    """

    def answer() -> bool:
        call = control.call()
        if call is None:
            return True
        operation = call.request.get("op")
        if operation == "attach" and (call.request.get("take") or not attached):
            raise HandedOverError(call)
        if operation == "stop":
            call.answer({"ok": True})
            call.close()
            raise StoppedError
        if operation in ("send", "answer"):
            threading.Thread(target=_answer_prompt, args=(call, prompt), daemon=True).start()
            return True
        call.answer({"ok": False, "why": "attached" if operation == "attach" else "unknown"})
        call.close()
        return True

    return answer


def _answer_prompt(call: Call, prompt: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    answer: dict[str, Any] = {"ok": False, "why": "its holder could not look at its screen"}
    with contextlib.suppress(OSError, RealmError):
        answer = prompt(call.request)
    call.answer(answer)
    call.close()


class Asked:
    """The asker's end of one call: the answer, and the descriptors that came with it."""

    def __init__(self, connection: socket.socket, answer: dict[str, Any], fds: list[int]) -> None:
        self._connection = connection
        self.answer = answer
        self.fds = fds

    def confirm(self) -> bool:
        """Confirm that this process takes over; return whether the holder gave the run away.

        A holder that waited too long has kept it.
        """
        try:
            self._connection.sendall(_YES)
            # An earlier version sends nothing more.
            return not self.answer.get("confirms") or bool(_receive(self._connection)[0].get("ok"))
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def ask(session: Session, request: dict[str, Any]) -> Asked | None:
    """Send a request to the holder of a session's run; ``None`` when nobody listens.

    Raises :class:`RunningError` when it listens but does not answer, as a stopped process does.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    try:
        with contextlib.chdir(run_directory(session.id)):
            connection.connect(SOCKET)
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer, fds = _receive(connection, fds=_FDS)
    except (TimeoutError, BlockingIOError) as error:
        connection.close()
        other = holder(session.id)
        if other is None:
            return None
        raise RunningError(
            f"process {other.pid}, which has {session.name} in hand, does not answer",
            f"kill -CONT {other.pid} continues one that was stopped; after kill -KILL {other.pid}, "
            f"realm attach {session.name} goes back to the agent, realm stop {session.name} saves its work",
        ) from error
    except (OSError, ValueError):
        connection.close()
        return None
    return Asked(connection, answer, fds)


def _receive(connection: socket.socket, fds: int = 0) -> tuple[dict[str, Any], list[int]]:
    """Receive one line of JSON; ``ValueError`` when it is none."""
    data = b""
    found: list[int] = []
    while not data.endswith(b"\n"):
        if fds and not data:
            piece, found, _, _ = socket.recv_fds(connection, 65536, fds)
            for descriptor in found:
                os.set_inheritable(descriptor, False)
        else:
            piece = connection.recv(65536)
        data += piece
        if not piece or len(data) > _LIMIT:
            raise ValueError("the other side hung up")
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of error for whoever asks
    return value, found
