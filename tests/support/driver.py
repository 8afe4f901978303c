"""Plays a person at a terminal: a program runs in a real terminal (tmux), its screen is read, keys are typed.

tmux is a complete terminal: it answers programs' queries, and keeps the alternate screen and the modes
separately.  Its server is started just for this, so no tmux of the user's is touched.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.waiting import comes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SETTINGS = """\
set -g remain-on-exit on
set -g history-limit 20000
set -g default-terminal tmux-256color
set -g status off
set -s escape-time 0
"""


def _short(text: str) -> str:
    """Return the end of a screen for a message, without its empty lines."""
    return "\n".join(line for line in text.splitlines() if line.strip())[-4000:]


class TerminalError(AssertionError):
    """The program did not do what was expected; the message holds its last screen."""


class Terminal:
    """A program running in a terminal; a context manager that ends it.

    ``command`` is an argument list, run in ``cwd`` with exactly the environment
    ``env`` (``TERM`` is the terminal's own).  Sizes are in character cells.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, columns: int = 120, rows: int = 40
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="tty")
        self._socket = Path(self._directory.name) / "s"
        config = Path(self._directory.name) / "conf"
        config.write_text(_SETTINGS)
        size = ["-x", str(columns), "-y", str(rows)]
        start = ["-f", str(config), "new-session", "-d", "-s", "t", *size, "-c", str(cwd)]
        self._status = Path(self._directory.name) / "status"
        # A shell waits for the program, as a user's does, and writes its status to a file, because tmux may
        # close the terminal before it has it.  The traps are the shell's, not the program's.
        inner = f"unset TMUX TMUX_PANE; trap : INT QUIT; {shlex.join(command)}; echo $? >{self._status}"
        clean = {name: value for name, value in env.items() if name not in ("TMUX", "TMUX_PANE")}
        self._tmux(*start, inner, env=clean | {"SHELL": "/bin/sh"}, cwd=cwd)

    def _tmux(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = ""
    ) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        done = subprocess.run(
            command, env=env, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode != 0:
            raise TerminalError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the window, as its close button does: the program gets a hang-up."""
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False)
        self._directory.cleanup()

    def screen(self) -> str:
        """Return the lines that are on the screen, without trailing blanks."""
        return self._tmux("capture-pane", "-p", "-t", "t").rstrip()

    def history(self) -> str:
        """Return everything that scrolled by, wrapped lines joined, and the screen."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "t").rstrip()

    def flag(self, name: str) -> str:
        """Return one of tmux's values about the terminal, such as ``alternate_on`` or ``pane_pid``."""
        return self._tmux("display-message", "-p", "-t", "t", f"#{{{name}}}").strip()

    def keep(self, path: Path) -> None:
        """Copy all further output to ``path``."""
        self._tmux("pipe-pane", "-O", "-t", "t", f"exec cat >{shlex.quote(str(path))}")

    def send(self, text: str) -> None:
        """Type ``text`` as it is."""
        self._tmux("send-keys", "-t", "t", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: ``Enter``, ``Escape``, ``C-c``, ``Up``."""
        self._tmux("send-keys", "-t", "t", *keys)

    def paste(self, text: str) -> None:
        """Paste ``text``, bracketed where the program asked for that."""
        self._tmux("load-buffer", "-", stdin=text)
        self._tmux("paste-buffer", "-p", "-t", "t")

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self._tmux("resize-window", "-t", "t", "-x", str(columns), "-y", str(rows))

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
        """Wait up to ``timeout`` seconds for ``condition``; :class:`TerminalError` shows the screen."""
        if not comes(condition, timeout):
            raise TerminalError(f"waited {timeout} s for {what}; the screen:\n{_short(self.history())}")

    def wait_for(self, pattern: str, timeout: float = 60) -> None:
        """Wait until the regular expression ``pattern`` is found on the screen."""
        self.wait_until(lambda: self._shows(pattern), f"/{pattern}/", timeout)

    def _ended(self) -> bool:
        return self._said() or self.flag("pane_dead") == "1"

    def _said(self) -> bool:
        said = self._status.exists() and self._status.read_text().endswith("\n")
        if said:
            self._drain()
        return said

    def _drain(self) -> None:
        """Let tmux read the program's last output, which comes before the terminal's end.

        A program that lives on in the background may keep the terminal open.
        """
        deadline = time.monotonic() + 1
        while self.flag("pane_dead") != "1" and time.monotonic() < deadline:
            time.sleep(0.02)

    def _shows(self, pattern: str) -> bool:
        # One call of tmux, not two: this runs many times a second.
        ended, text = self._said(), ""
        if not ended:
            asked = ("display-message", "-p", "-t", "t", "#{pane_dead}", ";", "capture-pane", "-p", "-t", "t")
            dead, _, text = self._tmux(*asked).partition("\n")
            ended = dead == "1"
        text = self.history() if ended else text.rstrip()
        found = re.search(pattern, text, re.MULTILINE) is not None
        if ended and not found:
            raise TerminalError(f"the program ended before /{pattern}/; the screen:\n{_short(text)}")
        return found

    def wait(self, timeout: float = 60) -> int:
        """Wait for the program to end and return its exit status (128 + number for a signal)."""
        self.wait_until(self._ended, "the program's end", timeout)
        return int(self._status.read_text())
