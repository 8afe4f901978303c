"""Where the user's attention is while a terminal shows the agent, and what calls it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.ansi.modes import SYNCHRONIZED
from realm.terminal.relay.overheard import Overheard
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from realm.session.holder import Holder
    from realm.terminal.relay.protocols import Stream

_FOCUS = 1004


class Attention:
    """The user of an attached run: :attr:`stream` is what the relay is to be given.

    A terminal that tells nothing of its focus is taken for one that is looked at.
    """

    def __init__(self, holder: Holder) -> None:
        self._modes = holder.view.modes
        self._holder = holder
        self._over = False
        self._tty = holder.plan.tty
        self._caller = holder.caller
        if self._tty:
            self._caller.meet(self._here, self._say)
        self.listen()

    def listen(self) -> Stream:
        """Listen to the stream that is held now, and return it as it is to be relayed."""
        self._overheard = Overheard(self._holder.stream, self._holder.hear, self._settled)
        self.stream: Stream = self._overheard if self._tty else self._holder.stream
        return self.stream

    def _settled(self) -> bool:
        """Whether the terminal draws what it gets at once: a synchronized update is not to be disturbed."""
        return not self._modes.is_on(SYNCHRONIZED)

    def _here(self) -> bool:
        """Whether the user looks: the program may have stopped asking for reports, and does when it ends."""
        return not (self._overheard.focus.lost and (self._over or self._modes.is_on(_FOCUS)))

    def _say(self, word: bytes) -> None:
        if self._over:
            Terminal().show(word)
        else:
            self._overheard.say(word)

    def ended(self) -> None:
        """Call the user when the agent has ended behind their back."""
        self._over = True
        if self._tty:
            self._caller.ended()
