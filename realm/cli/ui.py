"""The use-cases' messages to the user: standard error, yes/no questions on a terminal, a spinner.

The spinner appears late and leaves no trace; without a terminal, a line says what takes long.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.cli import output
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


DELAY = 0.3
"""Seconds before a spinner appears, so that quick steps show none."""
LONG = 5.0
"""Seconds before a step is mentioned where there is no terminal."""
_PERIOD = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES = "|/-\\"


class Spinner:
    """Shows ``text`` with an animation, from :data:`DELAY` until the context ends."""

    def __init__(self, text: str) -> None:
        self._text = clean(text)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._shown = False
        self.paused = False
        """Whether another spinner has the line."""
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        turn = self._turn if output.obeys(sys.stderr) else self._tell
        self._thread = threading.Thread(target=turn, daemon=True)
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.clear()

    def clear(self) -> None:
        """Remove the spinner's line, so that something else can be written."""
        with self._lock:
            if self._shown:
                output.aside("\r\x1b[K")
                self._shown = False

    def _tell(self) -> None:
        if not self._ended.wait(LONG) and not self.paused:
            output.say(self._text)

    def _turn(self) -> None:
        encoding = (sys.stderr.encoding or "ascii").lower().replace("-", "")
        frames, step, wait = _FRAMES if encoding == "utf8" else _PLAIN_FRAMES, 0, DELAY
        while not self._ended.wait(wait):
            self._draw(frames[step % len(frames)])
            step, wait = step + 1, _PERIOD

    def _draw(self, frame: str) -> None:
        room = output.columns() - 3
        text = self._text if output.width(self._text) <= room else self._text[: max(room - 1, 0)] + "…"
        with self._lock:
            if not (self._ended.is_set() or self.paused):
                output.aside(f"\r{output.paint(frame, 'cyan', sys.stderr)} {text}\x1b[K")
                self._shown = True


class TerminalUI:
    """realm's messages on standard error; ``interactive`` if a person can see and answer them.

    With ``quiet``, :meth:`info` writes nothing.
    """

    def __init__(self, *, no_input: bool = False, quiet: bool = False) -> None:
        self._quiet = quiet
        self.interactive = not no_input and output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)
        self._spinners: list[Spinner] = []

    def warn(self, text: str) -> None:
        """Write a warning."""
        self._clear()
        output.warning(text)

    def info(self, text: str) -> None:
        """Report what was done."""
        self._clear()
        if not self._quiet:
            output.say(clean(text, multiline=True))

    @contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Show ``text`` as going on until the context ends, if that takes long."""
        outer = self._spinners[-1:]
        self._pause(outer, paused=True)
        spinner = Spinner(text)
        self._spinners.append(spinner)
        try:
            with spinner:
                yield
        finally:
            self._spinners.remove(spinner)
            self._pause(outer, paused=False)

    def _pause(self, spinners: list[Spinner], *, paused: bool) -> None:
        for spinner in spinners:
            spinner.paused = paused
        self._clear()

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question; anything but yes is no, and so is silence."""
        if not self.interactive:
            return False
        self._clear()
        output.aside(f"{clean(question)} [y/N] ")
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            output.say("")
        return answer.strip().lower() in ("y", "yes")

    def _clear(self) -> None:
        for spinner in self._spinners:
            spinner.clear()
