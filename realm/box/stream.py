"""The stream of an attached container: what its program writes comes out, keys go in."""

from __future__ import annotations

import contextlib
import os
import socket


class BoxStream:
    """One attachment.  Without a terminal (``tty`` false) the output is in the engine's frames.

    The descriptor does not block; ``recv`` and ``send`` raise BlockingIOError
    when there is nothing to do.
    """

    def __init__(self, sock: socket.socket, begun: bytes, *, tty: bool) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._begun = begun
        self._tty = tty

    @property
    def tty(self) -> bool:
        """Whether the box has a terminal."""
        return self._tty

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def pending(self) -> int:
        """Return how many bytes were read ahead."""
        return len(self._begun)

    def recv(self, size: int) -> bytes:
        """Return some output; ``b""`` when there will be no more."""
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        return os.read(self._socket.fileno(), size)

    def send(self, data: bytes) -> int:
        """Take what goes of ``data`` at once; return how many bytes."""
        return self._socket.send(data)

    def close_write(self) -> None:
        """End the program's input; its output goes on."""
        # The engine may have closed already: then there is no input to end.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave; the box goes on."""
        self._socket.close()
