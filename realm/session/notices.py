"""Calling the user while no terminal shows an agent.

An agent that wants something rings its terminal's bell (Claude Code does, told
to in its configuration).  A terminal passes that on; without one the user's own
command (``realm.notify``) is run by ``sh``, with ``REALM_EVENT`` (``waiting`` or
``ended``), ``REALM_SESSION`` and ``REALM_PROJECT`` in its environment.  The command
comes from the user's own configuration only, never from a repository's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realm.config import Config
    from realm.model import Session

WAITING, ENDED = "waiting", "ended"

QUIET = 5.0
"""Seconds in which further rings are the same one."""

_BELL = b"\x07"
_STRINGS = re.compile(rb"\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\|\Z)")
_TAIL = 4096


class Bell:
    """Hears a program ring, in output that comes in pieces; a title's end is no ring."""

    def __init__(self) -> None:
        self._open = b""
        self._last = -QUIET

    def rang(self, data: bytes) -> bool:
        """Tell whether the program rang in ``data``, for the first time in a while."""
        if _BELL not in data and b"\x1b" not in data and not self._open:
            return False
        data = self._open + data
        self._open = b""
        for found in _STRINGS.finditer(data):
            if found.end() == len(data) and not data.endswith((_BELL, b"\x1b\\")):
                self._open = found.group()[:_TAIL]
        if _BELL not in _STRINGS.sub(b"", data) or time.monotonic() - self._last < QUIET:
            return False
        self._last = time.monotonic()
        return True


def tell(config: Config, session: Session, event: str) -> None:
    """Run the user's command, if there is one, and do not wait for it."""
    command = config.get("notify")
    if not command:
        return
    own = {"REALM_EVENT": event, "REALM_SESSION": session.name, "REALM_PROJECT": session.project}
    try:
        subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **own},
            start_new_session=True,
        )
    except OSError as problem:
        print(f"realm.notify: {problem}", file=sys.stderr)  # noqa: T201 - the keeper's log
