"""Continues an agent that stopped itself, as one does on Ctrl-Z, since there is no shell to do so."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError

if TYPE_CHECKING:
    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox

_RARELY = 5.0
"""Seconds between two checks of an agent that does not answer."""
_CONTINUE = ("sh", "-c", """
look() { read -r line <"$1" && set -- ${line##*) } && state=$1 group=$3 session=$4 front=$6; }
look /proc/1/stat
own=$session
for process in /proc/[0-9]*/stat; do
  look "$process" && [ "$state$session" = "T$own" ] && { [ "$front" = "$group" ] || [ "$front" = -1 ]; } &&
    kill -CONT "-$group"
done 2>/dev/null
:
""")  # fmt: skip
"""Continues stopped processes of the agent's session, in the foreground if it has a terminal."""


class Waker:
    """Continues the agent in a sandbox."""

    def __init__(self, engine: Engine, sandbox: Sandbox) -> None:
        self._engine, self._sandbox = engine, sandbox
        self._looked = 0.0

    def stalled(self) -> None:
        """Check now and then on an agent that does not answer a key: it may have stopped itself."""
        if time.monotonic() - self._looked > _RARELY:
            self._looked = time.monotonic()
            self.wake()

    def wake(self, after: float = 0) -> None:
        """Continue an agent that stopped itself, ``after`` some seconds, without waiting for that."""

        def work() -> None:
            time.sleep(after)
            with suppress(EngineError):
                self._engine.exec(self._sandbox.id, _CONTINUE, lambda _: None, patience=10)

        threading.Thread(target=work, daemon=True).start()
