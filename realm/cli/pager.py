"""Shows long output in git's pager."""

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
"""The variables that git sets for its pager unless the user has (git-config(1), ``core.pager``)."""


@contextlib.contextmanager
def paged(project: Project) -> Iterator[None]:
    """Show what is written to standard output until the context ends in a pager, if it is a terminal.

    The pager is git's: ``GIT_PAGER``, ``core.pager``, ``PAGER``, else ``less``.  git is told the project's
    repository, so that no other repository can choose the program.
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
    """Buffers output in place of a terminal."""

    def isatty(self) -> bool:
        """Return true: the output will be shown on a terminal."""
        return True


def _show(text: str, command: str) -> None:
    """Write ``text`` to the shell command ``command``, as git does."""
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
"""A shell's exit code when the program does not exist."""
