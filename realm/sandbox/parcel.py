"""A box's files and its results over the stream that is attached anyway.

The engine's archive calls cost some 50 ms each.  An image that brings the entry
script (``container/entry``, see :data:`ENTRY`) can do without them: it takes its
files, if there are any, from its standard input before it does anything, and
writes small results behind the last output of its agent, when every other
process of the box has ended.  Both are known by a token of the run's.  Base64
passes a terminal that still makes line ends of the keys that come early.  On
the stream::

    box:   SYN APC realm-TOKEN;ready ST        (with a terminal: it takes more than a line now)
    realm: SIZE LF, and as many bytes of base64 of a tar archive of /realm
    …
    box:   SYN APC realm-TOKEN; base64 of a tar archive of /realm/out ST

What a box writes is checked like any archive that the engine gives.  A box that
was killed, has large results or no terminal writes none: its files are fetched.
"""

from __future__ import annotations

import binascii
import time
from typing import TYPE_CHECKING

from realm.sandbox import archive
from realm.sandbox.policy import STATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.sandbox.archive import BoxFile

ENTRY = "/usr/local/lib/realm/entry"
"""Where an image has the entry script."""
LIMIT = 1024 * 1024
"""Bytes, in base64, of results that are taken; a box sends no more than 700,000."""
LARGEST = 4 * 1024 * 1024
"""Bytes of files that are sent this way."""

FIRST = b"\x16"
"""What every mark begins with."""
_START, _END = FIRST + b"\x1b_realm-%b;", b"\x1b\\"


def pack(files: Sequence[BoxFile], uid: int, gid: int) -> bytes | None:
    """Return what a waiting box reads, nothing when there are no ``files``.

    ``None`` when they are too large or not all below ``/realm``.
    """
    if not files:
        return b""
    if any(not file.path.startswith(f"{STATE}/") for file in files):
        return None
    entries = archive.entries(STATE, files, (), uid, gid)
    if sum(entry.size for entry in entries) > LARGEST:
        return None
    data = binascii.b2a_base64(b"".join(archive.write(entries, int(time.time()))), newline=False)
    return b"%d\n%b" % (len(data), data)


def ready(token: str) -> bytes:
    """Return what the box with ``token`` writes when it waits for its files."""
    return _START % token.encode() + b"ready" + _END


class Sieve:
    """Takes the results out of a box's output, however it is cut."""

    def __init__(self, token: str) -> None:
        self._mark = _START % token.encode()
        self._held = b""
        self._caught: bytearray | None = None

    def feed(self, data: bytes) -> bytes:
        """Return ``data`` without what belongs to the results; the beginning of a mark is held back."""
        if self._caught is not None:
            self._catch(data)
            return b""
        if not self._held and FIRST not in data:
            return data
        data = self._held + data
        place = data.find(self._mark)
        if place >= 0:
            self._held, self._caught = b"", bytearray()
            self._catch(data[place + len(self._mark) :])
            return data[:place]
        start = max(data.rfind(FIRST), len(data) - len(self._mark) + 1, 0)
        self._held = data[start:] if self._mark.startswith(data[start:]) else b""
        return data[: len(data) - len(self._held)]

    def _catch(self, data: bytes) -> None:
        if self._caught is not None and len(self._caught) <= LIMIT:
            self._caught += data

    def rest(self) -> bytes:
        """Return what was held back, when no more output comes."""
        held, self._held = self._held, b""
        return held

    def unread(self) -> bytes:
        """Return what another sieve has to be fed to go on where this one is."""
        return self._held if self._caught is None else self._mark + self._caught

    def results(self) -> bytes | None:
        """Return the archive of the results; ``None`` when none came, or not all of it."""
        if self._caught is None or not self._caught.endswith(_END):
            return None
        try:
            return binascii.a2b_base64(self._caught[: -len(_END)], strict_mode=True)
        except binascii.Error:
            return None
