"""A spinner on a terminal's standard error: appears late, goes without a trace.

Elsewhere, in a log, what takes long is said in a line.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from realm.cli import output
from realm.text import clean

if TYPE_CHECKING:
    from types import TracebackType

DELAY = 0.3
"""Seconds before a spinner appears: what is quick shows none."""
LONG = 5.0
"""Seconds before something is said where there is no terminal."""
_PERIOD = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES = "|/-\\"


def _frames() -> str:
    encoding = (sys.stderr.encoding or "ascii").lower().replace("-", "")
    return _FRAMES if encoding == "utf8" else _PLAIN_FRAMES


class Spinner:
    """Show ``text`` beside something that moves, from :data:`DELAY` until the context ends."""

    def __init__(self, text: str) -> None:
        self._text = clean(text)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._shown = False
        self.paused = False
        """Another one has the line."""
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        turns = output.is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
        self._thread = threading.Thread(target=self._turn if turns else self._tell, daemon=True)
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.clear()

    def clear(self) -> None:
        """Take the spinner's line away so that something else can be written there."""
        with self._lock:
            if self._shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
                self._shown = False

    def _tell(self) -> None:
        if not self._ended.wait(LONG) and not self.paused:
            output.say(self._text)

    def _turn(self) -> None:
        frames, step, wait = _frames(), 0, DELAY
        while not self._ended.wait(wait):
            self._draw(frames[step % len(frames)])
            step, wait = step + 1, _PERIOD

    def _draw(self, frame: str) -> None:
        import shutil

        room = shutil.get_terminal_size().columns - 3
        text = self._text if output.width(self._text) <= room else self._text[: max(room - 1, 0)] + "…"
        with self._lock:
            if not (self._ended.is_set() or self.paused):
                sys.stderr.write(f"\r{output.paint(frame, 'cyan', sys.stderr)} {text}\x1b[K")
                sys.stderr.flush()
                self._shown = True
