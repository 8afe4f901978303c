"""The engine's frames: standard output and error of a container without a terminal.

Each frame is an 8-byte header and its data.  Byte 0 names the stream (0 and 1
output, 2 error, 3 the engine's own error), bytes 1 to 3 are zero, bytes 4 to 7
are the length, big-endian ("Stream format" of the engine's attach call).
"""

from __future__ import annotations

from realm.errors import EngineError

STDOUT = 1
STDERR = 2

_HEADER = 8
_TARGET = {0: STDOUT, 1: STDOUT, 2: STDERR, 3: STDERR}


class Demux:
    """Takes frames apart, however the stream was cut; keeps at most 7 bytes."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._target = STDOUT

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Return ``(STDOUT or STDERR, data)`` in the order of arrival.

        Raises :class:`EngineError` when the bytes are no frames.
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
        """Return what another one has to be fed to go on where this one is."""
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
