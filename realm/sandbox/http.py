"""The little of HTTP/1.1 that Docker's Engine API needs, over one socket.

``http.client`` would cost 40 ms at every start and the Docker SDK 200, half of
what a whole ``docker run`` takes; and an attached container needs the bare
socket anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping

_INTERIM = frozenset({100, 102, 103})

CHUNK = 64 * 1024
MAX_HEAD = 64 * 1024
"""Bytes of a status line with its headers, or of one line, that are believed."""


class ProtocolError(OSError):
    """The other side does not speak HTTP, or stopped in the middle of an answer."""


class ClosedError(ProtocolError):
    """The other side closed before it answered at all."""


class Head(NamedTuple):
    """Status and headers (names in lower case) of an answer."""

    status: int
    headers: Mapping[str, str]


class Connection:
    """One connection: a request, then all of its answer, then the next request."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.used = False
        self._buffer = bytearray()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def leftover(self) -> bytes:
        """Return (once) what came behind an answer's head: the start of a hijacked stream."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] = b""
    ) -> None:
        """Send a request; a body that is not bytes goes out in chunks as it comes."""
        lines = [f"{method} {target} HTTP/1.1", "Host: docker"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}")
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            return
        lines.append("Transfer-Encoding: chunked")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        for piece in body:
            if piece:
                self.socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.socket.sendall(b"0\r\n\r\n")

    def head(self) -> Head:
        """Return the answer's head, skipping interim ones (``100 Continue``)."""
        while True:
            status, *fields = self._head_lines()
            protocol, _, code = status.partition(" ")
            if not protocol.startswith("HTTP/1.") or not code[:3].isdigit():
                raise ProtocolError("the answer is not HTTP")
            pairs = (field.partition(":") for field in fields)
            head = Head(int(code[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs})
            if head.status not in _INTERIM:
                self.used = True
                return head

    def body(self, head: Head) -> Iterator[bytes]:
        """Yield the answer's body in pieces; the connection is free once it is exhausted."""
        if head.status in {204, 304}:
            return iter(())
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return self._chunks()
        length = head.headers.get("content-length")
        return self._until_close() if length is None else self._exactly(int(length))

    def _head_lines(self) -> list[str]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ProtocolError("the answer's head is too long")
            self._fill(ClosedError if not self._buffer else ProtocolError)
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return raw.decode("latin-1").split("\r\n")

    def _fill(self, error: type[ProtocolError] = ProtocolError) -> None:
        try:
            data = self.socket.recv(CHUNK)
        except (ConnectionResetError, BrokenPipeError) as reason:
            raise error("the engine closed the connection") from reason
        if not data:
            raise error("the engine closed the connection")
        self._buffer += data

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length > 0:
            if not self._buffer:
                self._fill()
            piece = bytes(self._buffer[:length])
            del self._buffer[: len(piece)]
            length -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ProtocolError("a line of the answer is too long")
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                size = int(self._line().partition(b";")[0], 16)
            except ValueError as reason:
                raise ProtocolError("the answer's chunks are broken") from reason
            if size == 0:
                while self._line():
                    pass
                return
            yield from self._exactly(size)
            self._line()

    def _until_close(self) -> Iterator[bytes]:
        while True:
            if self._buffer:
                yield self.leftover()
            data = self.socket.recv(CHUNK)
            if not data:
                return
            yield data
