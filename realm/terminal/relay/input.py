"""From the user to a box: keys, the keys that detach, and the end of the input."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from realm.terminal.relay.sides import GONE, Ended, Listening, Reason

if TYPE_CHECKING:
    from realm.terminal.relay.detach import Matcher
    from realm.terminal.relay.sides import Seat, Stream

CHUNK, KEYS = 65536, 512
"""Bytes read at a time, and when a person types: so little is at hand without a search for memory."""
TYPED = 65536
"""Bytes kept while the box takes none; beyond that the user's side waits."""


class Input:
    """What is typed at ``terminal``, on its way to ``box``.

    :attr:`fd` is where more comes from, ``None`` when no more does;
    :attr:`ended` says how the relay ends when the user has left.  Only bytes of
    :attr:`starts` may begin something that is not meant for the box.
    """

    def __init__(self, box: Stream, terminal: Seat, matcher: Matcher) -> None:
        self._box, self._send = box, box.send
        self._sent = box.sent if isinstance(box, Listening) else None
        self._matcher = matcher
        self._is_raw = terminal.is_raw
        self._rest = b""
        self._open = True
        self.starts = matcher.starts
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

    @property
    def direct(self) -> bool:
        """Whether the box is to be sent next what is typed next, if it has none of :attr:`starts` in it."""
        return self._open and not self._rest and not self._matcher.begun

    def take(self) -> None:
        """Take what was typed, if anything was, and pass it on."""
        if self.fd is None:
            return
        try:
            data = os.read(self.fd, CHUNK)
        except OSError as error:
            self.failed(error)
            return
        self.pass_on(data)

    def pass_on(self, data: bytes) -> bool:
        """Let the box have what was read, nothing at the end; return whether more can go :attr:`direct`."""
        if not data:
            return self._user_ended()
        data, detached = self._matcher.feed(data)
        if self._open and data:
            self._rest += data
            self.flush()
        if detached:
            self.ended = Ended(Reason.DETACHED)
        return self.direct and not detached

    def passed(self, data: bytes, taken: int) -> bool:
        """Take account of what was sent, and see to what was not taken; return as :meth:`pass_on`."""
        if self._sent is not None:
            self._sent(data[:taken])
        if taken < len(data):
            self._rest = data[taken:]
            self.flush()
        return self.direct

    def failed(self, error: OSError) -> bool:
        """Take account of a failure to read, which is raised if it is no end; return as :meth:`pass_on`."""
        if isinstance(error, BlockingIOError):
            return True
        if error.errno not in GONE:
            raise error
        return self._user_ended()

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
