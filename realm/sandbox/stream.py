"""The stream of an attached container: what its program writes comes out, keys go in."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.sandbox import parcel
from realm.sandbox.frames import STDOUT, Demux

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 60.0
"""Seconds that a box is given to take its files."""
_LOOK = 1.0
"""Seconds of silence after which it is looked whether the box is still there."""
_CHUNK = 65536


class BoxStream:
    """One attachment.  Without a terminal (``tty`` false) the output is in the engine's frames.

    The descriptor does not block; ``recv`` and ``send`` raise BlockingIOError
    when there is nothing to do.
    """

    def __init__(self, sock: socket.socket, begun: bytes, *, tty: bool, token: str = "") -> None:
        """``begun`` was read already; ``token`` is the run's (:mod:`realm.sandbox.parcel`)."""
        sock.setblocking(False)
        self._socket = sock
        self.send: Callable[[bytes], int] = sock.send
        """Takes what goes of some bytes at once and returns how many; not a step of ours for each key."""
        self._begun = begun
        self._tty = tty
        self._token = token
        self._sieve = parcel.Sieve(token) if token and tty else None
        self._demux = Demux()

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
        else:
            data = os.read(self._socket.fileno(), size)
        if self._sieve is None:
            return data
        if not data:
            return self._sieve.rest()
        data = self._sieve.feed(data)
        if self._sieve.results() is not None:
            self._end_output()
        if not data:
            raise BlockingIOError  # no bytes would mean the end
        return data

    def parts(self, data: bytes) -> list[tuple[int, bytes]]:
        """Tell apart what of received ``data`` is standard output (1) and standard error (2).

        Raises :class:`EngineError` when the output of a container without a terminal is not framed.
        """
        return [(STDOUT, data)] if self._tty else self._demux.feed(data)

    def _end_output(self) -> None:
        """Let whoever reads the output see its end: the engine closes some 50 ms after the last byte."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def ahead(self) -> bytes:
        """Return what was read of the box and not given to anybody: another holder goes on with it."""
        return (self._sieve.unread() if self._sieve else b"") + self._demux.unread() + self._begun

    def results(self) -> bytes | None:
        """Return the archive of results that came behind the output; ``None`` without one."""
        return self._sieve.results() if self._sieve else None

    def deliver(self, data: bytes, alive: Callable[[], bool]) -> None:
        """Send a started box the files that it waits for.

        A box that ended before, or is not ``alive`` any more, is not waited for:
        an engine may leave the stream of one open that was killed as it began.
        Raises :class:`EngineError` when it does not take them within a minute.
        """
        deadline = time.monotonic() + _PATIENCE
        try:
            if self._tty:
                self._await(parcel.ready(self._token), deadline, alive)
            while data:
                self._wait(deadline, alive, writing=True)
                data = data[self._socket.send(data) :]
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._end_output()

    def _await(self, mark: bytes, deadline: float, alive: Callable[[], bool]) -> None:
        """Take the box's word ``mark`` out of its output; EOFError when that ends before."""
        while mark not in self._begun:
            self._wait(deadline, alive, writing=False)
            more = os.read(self._socket.fileno(), _CHUNK)
            if not more:
                raise EOFError
            self._begun += more
        self._begun = self._begun.replace(mark, b"", 1)

    def _wait(self, deadline: float, alive: Callable[[], bool], *, writing: bool) -> None:
        own = [self._socket]
        while not any(select.select(() if writing else own, own if writing else (), (), _LOOK)):
            if not alive():
                raise EOFError
            if time.monotonic() > deadline:
                raise EngineError("the box does not take its files", "realm doctor")

    def close_write(self) -> None:
        """End the program's input; its output goes on."""
        # The engine may have closed already: then there is no input to end.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave; the box goes on."""
        self._socket.close()
