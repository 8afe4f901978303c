"""A box's stream that is listened to on its way, and that realm can put a word into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.relay.ears import ESC, Ears, Focus

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.relay.ears import Sound
    from realm.terminal.relay.protocols import Stream


class Overheard:
    """``stream``, one with a terminal, as the relay takes it: marks taken out, sounds told, focus noted.

    ``heard`` is called with each sound.  What is given to :meth:`say` is read
    next, but only where the program's output stands between two sequences and
    ``settled()`` holds.
    """

    tty = True

    def __init__(
        self, stream: Stream, heard: Callable[[Sound], object], settled: Callable[[], bool] = lambda: True
    ) -> None:
        self._stream = stream
        self._settled = settled
        self._ears = Ears(heard)
        self._word = b""
        self.focus = Focus()
        self.fileno, self.parts, self.close_write = stream.fileno, stream.parts, stream.close_write

    def say(self, word: bytes) -> None:
        """Let the user's terminal have ``word``, complete sequences, as soon as it disturbs nothing."""
        self._word = word

    def pending(self) -> int:
        """Return how many bytes there are that the descriptor does not announce."""
        return self._stream.pending() or (len(self._word) if self._word and self._may_speak() else 0)

    def _may_speak(self) -> bool:
        return self._ears.between and self._settled()

    def recv(self, size: int) -> bytes:
        """Return some output, ``b""`` when there will be no more; BlockingIOError when there is none."""
        if self._word and self._may_speak():
            word, self._word = self._word, b""
            return word
        data = self._stream.recv(size)
        if not data:
            return self._ears.rest()
        data = self._ears.hear(data)
        if not data:
            raise BlockingIOError  # a mark alone: no bytes would mean the end
        return data

    def send(self, data: bytes) -> int:
        """Take what goes of some keys, and note what the terminal reports among them."""
        taken = self._stream.send(data)
        if ESC in data or self.focus.tail:
            self.focus.feed(data[:taken])
        return taken
