"""The pager that git would use, for what is longer than a screen."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from realm.cli import output
from realm.git import git

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.model import Project

_DEFAULTS = {"LESS": "FRX", "LV": "-c"}
"""What git gives its pager where the user has not set it (git-config(1), ``core.pager``)."""


@contextlib.contextmanager
def paged(project: Project) -> Iterator[None]:
    """Show what is written to standard output until the context ends in a pager, on a terminal.

    It is git's: ``GIT_PAGER``, ``core.pager``, ``PAGER``, else ``less``.  The project's
    repository is named to git: no other that lies about may choose the program.
    """
    if not output.is_terminal(sys.stdout):
        yield
        return
    stdout, held = sys.stdout, _Held()
    sys.stdout = held
    try:
        yield
    finally:
        sys.stdout = stdout
    _show(held.getvalue(), git("var", "GIT_PAGER", project=project, check=False).text.strip())


class _Held(io.StringIO):
    """Takes what is written for a terminal, and stands for it."""

    def isatty(self) -> bool:
        """Tell that it will be seen on a terminal."""
        return True


def _show(text: str, command: str) -> None:
    """Write ``text`` through the line of shell ``command``, as git does."""
    if text and command not in ("", "cat"):
        encoded = text.encode(sys.stdout.encoding or "utf-8", "replace")
        before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the pager's
        try:
            done = subprocess.run(
                ["sh", "-c", command], input=encoded, env={**_DEFAULTS, **os.environ}, check=False
            )
        finally:
            signal.signal(signal.SIGINT, before)
        if done.returncode != _NOT_FOUND:
            return
    sys.stdout.write(text)


_NOT_FOUND = 127
"""What a shell exits with that does not find the program."""
