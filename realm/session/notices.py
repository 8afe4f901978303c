"""Notifying a user who is away: no terminal shows the agent, or the one that does is not focused.

There are five events: ``turn`` (the agent ended a turn), ``waiting`` (it asks something, or
rings its terminal's bell, as Claude Code does some time after it began to wait), ``refused``
(its sandbox was refused a host, for the first time), ``paused`` (the engine's disk is nearly
full) and ``ended`` (it is over, its work
taken in).  For each the user's own command (``realm.notify``) is run by ``sh``, with
``REALM_EVENT``, ``REALM_SESSION`` and ``REALM_PROJECT`` in its environment, and a
terminal that is there rings and shows a notification (``realm.bell``).  The command
comes from the user's own configuration only, never from a repository's.

Nothing that a sandbox wrote gets into a call but the name of a host, and a sandbox that
cries wolf is heard less and less: between two calls lie at first 5 seconds, then twice
as many each time, up to a minute, until the user looks.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from realm import config as settings
from realm.terminal.ansi.modes import SYNCHRONIZED
from realm.terminal.relay.events import Event
from realm.terminal.relay.notice import BELL, notification
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.config import Config
    from realm.model import Session
    from realm.session.recordings import TerminalState
    from realm.session.run import Plan
    from realm.terminal.relay.events import Observed
    from realm.terminal.relay.protocols import Stream

TURN, WAITING, REFUSED, PAUSED, ENDED = "turn", "waiting", "refused", "paused", "ended"
_WORDS = {
    TURN: "finished a turn", WAITING: "is waiting for you", ENDED: "has ended",
    PAUSED: "is paused: the disk is nearly full",
}  # fmt: skip
_HOSTS = 5
"""The most hosts of a run whose refusal triggers a notification."""

ALWAYS, OFF = "always", "off"
_FOCUS = 1004
"""The mode in which a terminal reports its focus."""

SHORTEST, LONGEST = 5.0, 60.0
"""Seconds between two calls, at first and at most."""
SAME_WAIT = 90.0
"""Seconds after a turn's end during which a bell is about that end: Claude Code rings after 60."""
_COMMANDS = 4
"""The most commands of the user's that run at a time."""


class Caller:
    """Turns the events of a run into a limited number of notifications.

    No terminal is known until :meth:`meet`.  ``clock`` returns seconds.  Raises :class:`UsageError` when
    ``realm.bell`` is wrong.
    """

    def __init__(
        self, config: Config, session: Session, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._session, self._clock = config, session, clock
        self._setting = config.value(settings.BELL)
        self._last = self._told = -math.inf
        self._gap = 0.0
        self._refused = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self.leave()

    def meet(self, here: Callable[[], bool], say: Callable[[bytes], object]) -> None:
        """Notify through a terminal too: ``here`` says whether the user looks, ``say`` writes to it."""
        self._here, self._say, self._bell = here, say, self._setting

    def leave(self) -> None:
        """Notify without a terminal: none shows the agent any more."""
        self._here, self._say, self._bell = lambda: False, lambda _: None, OFF

    def hear(self, event: Event) -> None:
        """Handle an event of the agent's output; notify a user who looks away if it is news."""
        if event is Event.BEGUN:
            self._told = -math.inf  # what it waits for next is something else
            return
        if event is Event.BELL and self._clock() - self._told < SAME_WAIT:
            return
        done = self._notify(TURN, BELL) if event is Event.ENDED else self._notify(WAITING)
        if event is Event.ENDED and done is not None:
            self._told = self._clock()  # the user is called, or sees it

    def asks(self) -> None:
        """Notify the user of a question; a bell that the agent rings for it a little later is ignored."""
        if self._notify(WAITING, BELL):
            self._told = self._clock()

    def _notify(self, event: str, ring: bytes = b"") -> bool | None:
        """Notify a user who looks away; return whether that was done, ``None`` when it is too soon."""
        now, here = self._clock(), self._here()
        if here:
            self._gap = 0.0
        wanted = not here or self._bell == ALWAYS
        if wanted and now - self._last < (SHORTEST if here else self._gap):
            return None
        if wanted:
            self._last, self._gap = now, min(max(self._gap * 2, SHORTEST), LONGEST)
            self._call(event, ring, here=here)
        return wanted

    def refused(self, host: str) -> None:
        """Notify that the sandbox was refused ``host``, a valid name; only for the first few."""
        self._refused += 1
        if self._refused > _HOSTS:
            return
        if self._bell != OFF:
            text = f"{plain(self._session.name)} was refused {host}: realm allow {host}"
            self._say(notification(text, os.environ))
        if not self._here():
            self._run(REFUSED)

    def paused(self) -> None:
        """Notify that the run is paused, even a user who looks at it."""
        self._call(PAUSED, BELL, here=False)

    def ended(self) -> None:
        """Notify that the agent has ended and its work has been taken in."""
        here = self._here()
        if not here or self._bell == ALWAYS:
            self._call(ENDED, BELL, here=here)

    def _call(self, event: str, ring: bytes, *, here: bool) -> None:
        """Notify the user; ``ring`` is empty if the agent's own bell has already reached the terminal."""
        if self._bell != OFF:
            self._say(ring + notification(f"{plain(self._session.name)} {_WORDS[event]}", os.environ))
        if not here:
            self._run(event)

    def _run(self, event: str) -> None:
        """Run the user's command, if there is one, and do not wait for it."""
        command = self._config.value(settings.NOTIFY)
        self._running = [process for process in self._running if process.poll() is None]
        if command and len(self._running) < _COMMANDS:
            with contextlib.suppress(OSError):
                self._running.append(_start(command, self._session, event))


def _start(command: str, session: Session, event: str) -> subprocess.Popen[bytes]:
    """Start the user's command, away from the project's files and from the terminal."""
    own = {"REALM_EVENT": event, "REALM_SESSION": session.name, "REALM_PROJECT": session.project}
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    return subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if os.isatty(sys.stderr.fileno()) else None,
        cwd=home if Path(home).is_dir() else "/",
        env={**os.environ, **own},
        start_new_session=True,
    )


class Attention:
    """Tracks the attention of an attached run's user; the relay gets :attr:`stream`.

    A terminal that does not report its focus counts as looked at.
    """

    def __init__(self, plan: Plan, state: TerminalState, caller: Caller, observed: Observed) -> None:
        self._plan, self._state, self._caller = plan, state, caller
        self._over = False
        if plan.tty:
            caller.meet(self._here, self._say)
        self.listen(observed)

    def listen(self, observed: Observed) -> Stream:
        """Listen to the current stream, and return it for the relay."""
        self._observed = observed
        observed.settled = self._settled
        self.stream = observed if self._plan.tty else observed.stream
        return self.stream

    def idle(self) -> bool:
        """Do deferred work; return whether there is more."""
        self._state.flush()
        return self._plan.tty and self._observed.idle()

    def _settled(self) -> bool:
        """Whether the terminal draws what it gets at once: a synchronized update is not to be disturbed."""
        return not self._state.modes.is_on(SYNCHRONIZED)

    def _here(self) -> bool:
        """Whether the user looks: the program may have switched the reports off, and does when it ends."""
        return not (self._observed.focus.lost and (self._over or self._state.modes.is_on(_FOCUS)))

    def _say(self, word: bytes) -> None:
        if self._over:
            Terminal().show(word)
        else:
            self._observed.say(word)

    def ended(self) -> None:
        """Notify a user who looks away that the agent has ended."""
        self._over = True
        if self._plan.tty:
            self._caller.ended()


def plain(name: str) -> str:
    """Return a session's name, made safe for a terminal: a ref made by hand may hold anything."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
