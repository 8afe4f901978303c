"""The stream of an attached container: what its program writes comes out, keys go in."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from realm.sandbox.frames import STDOUT, Demux

if TYPE_CHECKING:
    from collections.abc import Callable


class Attachment:
    """One attachment.  Without a terminal (``tty`` false) the output is in the engine's frames.

    The descriptor does not block; ``recv`` and ``send`` raise BlockingIOError
    when there is nothing to do.
    """

    def __init__(self, sock: socket.socket, begun: bytes, *, tty: bool) -> None:
        """``begun`` was read already."""
        sock.setblocking(False)
        self._socket = sock
        self.send: Callable[[bytes], int] = sock.send
        """Takes what goes of some bytes at once and returns how many; not a step of ours for each key."""
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
        """Return some output; ``b""`` when there will be no more."""
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        return os.read(self._socket.fileno(), size)

    def parts(self, data: bytes) -> list[tuple[int, bytes]]:
        """Tell apart what of received ``data`` is standard output (1) and standard error (2).

        Raises :class:`EngineError` when the output of a container without a terminal is not framed.
        """
        return [(STDOUT, data)] if self.tty else self._demux.feed(data)

    def ahead(self) -> bytes:
        """Return what was read and not given to anybody: another holder goes on with it."""
        return self._demux.unread() + self._begun

    def close_write(self) -> None:
        """End the program's input; its output goes on."""
        # The engine may have closed already: then there is no input to end.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave; the container goes on."""
        self._socket.close()
