"""The stream of an attached container or command: carries its output out and keys in.

It is a bare socket, an upgraded connection of realm's own, since the SDK loses data that arrives together
with the answer's head.

Without a terminal, standard output and error come in the engine's frames, each an 8-byte header and data.
Byte 0 is the stream (0 and 1 output, 2 error, 3 the engine's own error), bytes 1 to 3 are zero, bytes 4 to 7
are the length, big-endian ("Stream format" of the engine's attach call).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Self

from realm.errors import EngineError
from realm.sandbox.endpoint import dial
from realm.sandbox.trouble import message, refusal, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.sandbox.endpoint import Endpoint

STDOUT = 1
STDERR = 2

_UPGRADED = (101, 200)
_CHUNK = 256 * 1024
_HEADER = 8
_TARGET = {0: STDOUT, 1: STDOUT, 2: STDERR, 3: STDERR}


def hijack(
    endpoint: Endpoint, api: tuple[int, int], target: str, body: object = None
) -> tuple[socket.socket, bytes]:
    """Turn a new connection into a stream; return its socket, and data that came with the answer's head."""
    try:
        sock = dial(endpoint)
    except OSError as error:
        raise unreachable(endpoint, error) from error
    try:
        return sock, _upgrade(sock.dup(), "/v{}.{}".format(*api) + target, body)
    except (http.client.HTTPException, OSError) as error:
        sock.close()
        raise unreachable(endpoint, error) from error
    except BaseException:
        sock.close()
        raise


def _upgrade(sock: socket.socket, target: str, body: object) -> bytes:
    headers = {"Upgrade": "tcp", "Connection": "Upgrade", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection("docker")) as connection:
        connection.sock = sock
        connection.request("POST", target, data, headers)
        with contextlib.closing(connection.getresponse()) as answer:
            if answer.status not in _UPGRADED:
                raise refusal(answer.status, message(answer.read()))
            # Data that arrived together with the head is in the reader's buffer.
            sock.setblocking(False)
            return answer.fp.peek()


def write_input(sock: socket.socket, data: bytes, patience: float) -> None:
    """Write ``data`` to a command's standard input; ``EngineError`` after ``patience`` seconds."""
    sock.settimeout(patience)
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError as error:
        raise _broken(error) from error


def read_output(
    sock: socket.socket, begun: bytes, write: Callable[[bytes], object], patience: float, limit: int
) -> None:
    """Pass a command's standard output, in the engine's frames on ``sock``, to ``write``.

    Raises ``EngineError`` after ``patience`` seconds or ``limit`` bytes.
    """
    deadline, demux, more = time.monotonic() + patience, Demux(), begun
    while True:
        for target, piece in demux.feed(more):
            limit -= len(piece)
            if limit < 0:
                raise EngineError("a command in the container wrote more than allowed")
            if target == STDOUT:
                write(piece)
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            more = sock.recv(_CHUNK)
        except OSError as error:
            raise _broken(error) from error
        if not more:
            return


def _broken(error: OSError) -> EngineError:
    if isinstance(error, TimeoutError) and error.errno is None:  # the socket's timeout, not TCP's
        return EngineError("a command in the container takes too long")
    return EngineError("the engine closed the connection", kind="unreachable")


class Demux:
    """Parses frames from chunks of any size; buffers at most 7 bytes."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._target = STDOUT

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Return ``(STDOUT or STDERR, data)`` in the order of arrival.

        Raises :class:`EngineError` when the bytes are not frames.
        """
        parts: list[tuple[int, bytes]] = []
        offset = 0
        while offset < len(chunk):
            if self._left:
                data = chunk[offset : offset + self._left]
                self._left -= len(data)
                offset += len(data)
                parts.append((self._target, data))
            else:
                offset += self._read_header(chunk, offset)
        return parts

    def unread(self) -> bytes:
        """Return the bytes to feed to another instance so that it continues from here."""
        if not self._left:
            return self._header
        return bytes([self._target, 0, 0, 0]) + self._left.to_bytes(4, "big")

    def _read_header(self, chunk: bytes, offset: int) -> int:
        piece = chunk[offset : offset + _HEADER - len(self._header)]
        header = self._header + piece
        if len(header) < _HEADER:
            self._header = header
            return len(piece)
        self._header = b""
        if header[0] not in _TARGET or header[1:4] != b"\0\0\0":
            raise EngineError("the engine sent output that is not framed as announced")
        self._target = _TARGET[header[0]]
        self._left = int.from_bytes(header[4:], "big")
        return len(piece)


class Lines:
    """The lines that a command in a container writes, as they come; a context manager that disconnects."""

    def __init__(self, sock: socket.socket, begun: bytes, longest: int) -> None:
        """``begun`` was read already; lines are cut to ``longest`` bytes."""
        self._longest = longest
        sock.setblocking(True)
        self._socket, self._begun = sock, begun
        self._demux = Demux()
        self._line = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self, seconds: float | None = None) -> list[bytes] | None:
        """Return the next lines, empty if none come within ``seconds``, ``None`` at the end of the output.

        Raises :class:`EngineError` when the connection breaks.
        """
        data, self._begun = self._begun, b""
        if not data:
            if not select.select([self._socket], (), (), seconds)[0]:
                return []
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise _broken(error) from error
            if not data:
                return None
        whole = b"".join(piece for target, piece in self._demux.feed(data) if target == STDOUT)
        *lines, rest = (self._line + whole).split(b"\n")
        self._line = rest[: self._longest]
        return [line[: self._longest] for line in lines]


class Attachment:
    """One attachment.  Without a terminal (``tty`` false) the output is in the engine's frames.

    The descriptor is non-blocking; ``recv`` and ``send`` raise BlockingIOError when they would block.
    """

    def __init__(self, sock: socket.socket, begun: bytes, *, tty: bool) -> None:
        """``begun`` was read already."""
        sock.setblocking(False)
        self._socket = sock
        self.send: Callable[[bytes], int] = sock.send
        """Sends as many bytes as possible now and returns their number; unwrapped, to be fast."""
        self._begun = begun
        self.tty = tty
        """Whether the container has a terminal."""
        self._demux = Demux()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def pending(self) -> int:
        """Return how many bytes were read ahead."""
        return len(self._begun)

    def recv(self, size: int) -> bytes:
        """Return some output; ``b""`` at its end."""
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        return os.read(self._socket.fileno(), size)

    def parts(self, data: bytes) -> list[tuple[int, bytes]]:
        """Split received ``data`` into standard output (1) and standard error (2).

        Raises :class:`EngineError` when the output of a container without a terminal is not framed.
        """
        return [(STDOUT, data)] if self.tty else self._demux.feed(data)

    def ahead(self) -> bytes:
        """Return data that was read but not delivered, for another holder to continue from."""
        return self._demux.unread() + self._begun

    def replace(self, sock: socket.socket) -> None:
        """Continue with another connection, from which nothing was read, under the same descriptor."""
        sock.setblocking(False)
        os.dup2(sock.fileno(), self._socket.fileno(), inheritable=False)
        sock.close()

    def close_write(self) -> None:
        """End the program's input; its output continues."""
        # The engine may have closed the connection already.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Disconnect; the container continues."""
        self._socket.close()
