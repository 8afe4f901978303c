"""From the user to a box: keys, the keys that detach, and the end of the input."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from realm.terminal.sides import GONE, Ended, Listening, Reason

if TYPE_CHECKING:
    from realm.terminal.detach import Matcher
    from realm.terminal.sides import Seat, Stream

CHUNK, KEYS = 65536, 4096
"""Bytes read at a time, and of a terminal in raw mode, which gives no more."""
TYPED = 65536
"""Bytes kept while the box takes none; beyond that the user's side waits."""


class Input:
    """What is typed at ``terminal``, on its way to ``box``.

    :attr:`fd` is where more comes from, ``None`` when no more does;
    :attr:`ended` says how the relay ends when the user has left.
    """

    def __init__(self, box: Stream, terminal: Seat, matcher: Matcher) -> None:
        self._box, self._send = box, box.send
        self._sent = box.sent if isinstance(box, Listening) else None
        self._matcher = matcher
        self._is_raw = terminal.is_raw
        self._size = KEYS if terminal.is_raw else CHUNK
        self._rest = b""
        self._open = True
        self.fd = terminal.stdin
        self.ended: Ended | None = None
        if self.fd is None:
            self._close()

    @property
    def waiting(self) -> bool:
        """Whether something waits for the box to take it."""
        return bool(self._rest)

    @property
    def wanted(self) -> bool:
        """Whether more may be typed."""
        return self.fd is not None and len(self._rest) < TYPED

    def take(self) -> bool:
        """Pass on what was typed; return whether that was all there is to do.

        Only while :attr:`fd` is one.  What :meth:`realm.terminal.output.Output.echo`
        says of calls holds here.
        """
        try:
            data = os.read(self.fd, self._size)  # type: ignore[arg-type]
        except OSError as error:
            return self._failed(error)
        if not data:
            return self._user_ended()
        matcher = self._matcher
        if self._rest or not self._open or matcher.begun or not matcher.starts.isdisjoint(data):
            self._take(data)
            return False
        try:
            taken = self._send(data)
        except OSError:
            taken = 0  # met again, and dealt with, in a moment
        if self._sent is not None:
            self._sent(data[:taken])
        if taken < len(data):
            self._add(data[taken:])
        return not self._rest and self._open

    def _take(self, data: bytes) -> None:
        data, detached = self._matcher.feed(data)
        self._add(data)
        if detached:
            self.ended = Ended(Reason.DETACHED)

    def _failed(self, error: OSError) -> bool:
        if isinstance(error, BlockingIOError):
            return True
        if error.errno not in GONE:
            raise error
        return self._user_ended()

    def _add(self, data: bytes) -> None:
        if self._open and data:
            self._rest += data
            self.flush()

    def flush(self) -> None:
        """Let the box take what goes of what waits."""
        try:
            while self._rest:
                taken = self._send(self._rest)
                sent, self._rest = self._rest[:taken], self._rest[taken:]
                if self._sent is not None:
                    self._sent(sent)
        except BlockingIOError:
            return
        except OSError:
            # The program closed its input; what it still says is wanted.
            self._rest, self._open = b"", False
            self.fd = self.fd if self._is_raw else None
            return
        if self.fd is None:
            self._close()

    def _user_ended(self) -> bool:
        self.fd = None
        if self._is_raw:
            # In raw mode no key ends the input: the terminal itself is gone.
            self.ended = Ended(Reason.HANGUP)
        elif not self._rest:
            self._close()
        return False

    def _close(self) -> None:
        if self._open:
            self._open = False
            with contextlib.suppress(OSError):
                self._box.close_write()
