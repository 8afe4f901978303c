"""The voice that the use-cases speak with: standard error, and a question where somebody can answer."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.cli import output
from realm.cli.spinner import Spinner
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator


class TerminalUI:
    """realm's voice on standard error; ``interactive`` when a person can see and answer it."""

    def __init__(self, *, no_input: bool = False) -> None:
        self.interactive = not no_input and output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)
        self._spinners: list[Spinner] = []

    def warn(self, text: str) -> None:
        """Say what the user should know though the work goes on."""
        self._clear()
        output.warning(text)

    def info(self, text: str) -> None:
        """Say what was done."""
        self._clear()
        output.say(clean(text, multiline=True))

    @contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Show that something is going on until the context ends; terminals only, and not at once."""
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
        sys.stderr.write(f"{clean(question)} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            output.say("")
        return answer.strip().lower() in ("y", "yes")

    def _clear(self) -> None:
        for spinner in self._spinners:
            spinner.clear()
