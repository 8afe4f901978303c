"""Ctrl-C while a sandbox still saves the work of its ended agent: it ends the wait.

Key or signal also go to the sandbox as long as that runs, where saving ignores them.  So each Ctrl-C makes
realm check whether the agent has ended; then the work is safe in the sandbox, and the next command takes it
in. The key after which the agent turns out to have ended may be the one that ended it, so only a later one
ends the wait, even while a slow engine has not answered yet.
"""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from realm.errors import EngineError
from realm.sandbox.layout import ENTRY

if TYPE_CHECKING:
    from realm.sandbox.sandbox import Sandbox

_PATIENCE = 10.0
_HURRY = 0.5
"""Seconds within which a repeated key is still for the agent: some end at the second one."""
_IGNORED = 0x4007
"""HUP, INT, QUIT and TERM, as proc(5) has them in ``SigIgn``: container/end ignores them when it saves."""
_LOOK = f"""
for process in /proc/[0-9]*; do
  case $(tr '\\0' ' ' <"$process/cmdline") in *'{ENTRY} run '*) ;; *) continue ;; esac
  while read -r key value; do
    [ "$key" != SigIgn: ] || [ "$((0x$value & {_IGNORED}))" != {_IGNORED} ] || exit 0
  done <"$process/status"
done 2>/dev/null
exit 1
"""


class Impatience:
    """Watches the Ctrl-C keys of an attached user; a context manager.

    Its ``fileno`` is readable when the wait is to end: :meth:`end` then ends it.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = threading.Lock()
        """Guards the following attributes, so that nothing is written to a closed descriptor."""
        self._write = -1
        self._looking = False
        self._pressed = -math.inf
        self._found = math.inf
        """When the key was pressed after which the agent had ended."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            os.close(self._read)
            os.close(self._write)
            self._write = -1

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._read

    def pressed(self) -> None:
        """End the wait if the agent is known to have ended.

        Otherwise check in the background whether it has.
        """
        with self._lock:
            self._pressed = time.monotonic()
            if self._pressed - self._found > _HURRY:
                self._tell()
            elif not self._looking:
                self._looking = True
                threading.Thread(target=self._look, daemon=True).start()

    def end(self) -> bool:
        """End the wait."""
        raise KeyboardInterrupt

    def _tell(self) -> None:
        if self._write >= 0:
            os.write(self._write, b"1")

    def _look(self) -> None:
        """Check whether the agent has ended, again after each key that came meanwhile."""
        while True:
            looked_for, over = self._pressed, False
            with suppress(EngineError, OSError):
                engine, words = self._sandbox.engine, ("sh", "-c", _LOOK)
                over = engine.exec(self._sandbox.id, words, lambda _: None, patience=_PATIENCE) == 0
            with self._lock:
                if over:
                    self._found = min(self._found, looked_for)
                    if self._pressed - self._found > _HURRY:
                        self._tell()
                if over or self._pressed == looked_for:
                    self._looking = False
                    return
