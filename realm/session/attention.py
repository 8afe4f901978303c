"""Where the user's attention is while a terminal shows the agent, and what calls it back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from realm.session.notices import plain
from realm.terminal.ansi.modes import SYNCHRONIZED
from realm.terminal.relay.rewrite import Closing, Rewriter
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from realm.session.notices import Caller
    from realm.session.run import Plan
    from realm.session.view import View
    from realm.terminal.ansi.modes import Modes
    from realm.terminal.relay.events import Observed
    from realm.terminal.relay.protocols import Stream

_FOCUS = 1004


class Attention:
    """The user of an attached run: :attr:`stream` is what the relay is to be given.

    A terminal that tells nothing of its focus is taken for one that is looked at.
    """

    def __init__(self, plan: Plan, view: View, caller: Caller, observed: Observed) -> None:
        self._plan, self._view, self._caller = plan, view, caller
        self._over = False
        if plan.tty:
            caller.meet(self._here, self._say)
        self.listen(observed)

    def listen(self, observed: Observed) -> Stream:
        """Listen to the stream that is held now, and return it as it is to be relayed."""
        self._observed = observed
        observed.settled = self._settled
        self.stream = observed if self._plan.tty else observed.stream
        return self.stream

    def idle(self) -> bool:
        """Do what can wait; return whether there is more."""
        self._view.flush()
        return self._plan.tty and self._observed.idle()

    def _settled(self) -> bool:
        """Whether the terminal draws what it gets at once: a synchronized update is not to be disturbed."""
        return not self._view.modes.is_on(SYNCHRONIZED)

    def _here(self) -> bool:
        """Whether the user looks: the program may have stopped asking for reports, and does when it ends."""
        return not (self._observed.focus.lost and (self._over or self._view.modes.is_on(_FOCUS)))

    def _say(self, word: bytes) -> None:
        if self._over:
            Terminal().show(word)
        else:
            self._observed.say(word)

    def ended(self) -> None:
        """Call the user when the agent has ended behind their back."""
        self._over = True
        if self._plan.tty:
            self._caller.ended()


def rewriter(plan: Plan, modes: Modes) -> Rewriter:
    """Return what changes the agent's output on its way: the window's title, and a command that it leaves."""
    name = plain(plan.session.name)
    pattern = plan.agent.closing
    closing = None
    if pattern is not None:
        closing = Closing(pattern, f"realm resume {name}".encode(), lambda: not modes.talking)
    return Rewriter(name, closing, drops_apc=bool(os.environ.get("TMUX")))
