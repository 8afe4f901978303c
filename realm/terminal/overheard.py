"""A box's stream that is listened to on its way, and that realm can put a word into."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from realm.terminal.ears import ESC, Ears, Focus

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.ears import Sound
    from realm.terminal.sides import Stream


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
        self._stream, self._send = stream, stream.send
        self._receive: Callable[[int], bytes] = getattr(stream, "recv", None) or partial(
            os.read, stream.fileno()
        )
        self._inner: Callable[[], int] = getattr(stream, "pending", None) or int
        self._settled = settled
        self._ears = Ears(heard)
        self._word = b""
        self.focus = Focus()

    def say(self, word: bytes) -> None:
        """Let the user's terminal have ``word``, complete sequences, as soon as it disturbs nothing."""
        self._word = word

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._stream.fileno()

    def pending(self) -> int:
        """Return how many bytes there are that the descriptor does not announce."""
        return self._inner() or (len(self._word) if self._word and self._may_speak() else 0)

    def _may_speak(self) -> bool:
        return self._ears.between and self._settled()

    def recv(self, size: int) -> bytes:
        """Return some output, ``b""`` when there will be no more; BlockingIOError when there is none."""
        if self._word and self._may_speak():
            word, self._word = self._word, b""
            return word
        data = self._receive(size)
        if not data:
            return self._ears.rest()
        data = self._ears.hear(data)
        if not data:
            raise BlockingIOError  # a mark alone: no bytes would mean the end
        return data

    def send(self, data: bytes) -> int:
        """Take what goes of ``data`` at once; return how many bytes."""
        taken = self._send(data)
        if ESC in data or self.focus.tail:
            self.focus.feed(data[:taken])
        return taken

    def close_write(self) -> None:
        """End the program's input; its output goes on."""
        self._stream.close_write()
