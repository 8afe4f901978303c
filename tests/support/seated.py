"""Runs realm in a bare pseudo-terminal: the test sees every byte and sets the focus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support.terminal import Seat

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

FOCUS_IN, FOCUS_OUT = b"\x1b[I", b"\x1b[O"
_OTHERS = ("TMUX", "STY", "VTE_VERSION", "KONSOLE_VERSION", "PYTHONPATH")


def seat(user: User, *arguments: str) -> Seat:
    """Run realm in a terminal of 40 rows and 120 columns that claims to be xterm and answers nothing."""
    unset = [word for name in _OTHERS for word in ("-u", name)]
    variables = [f"{name}={value}" for name, value in user.env.items() if name != "TERM"]
    command = ["env", *unset, "-C", str(user.repo.path), *variables, str(user.installed.realm), *arguments]
    return Seat(command, rows=40, columns=120)


def settle(terminal: Seat, seconds: float) -> None:
    """Read for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        terminal.pump(0.1)


def tell(user: User, directory: Path) -> Path:
    """Make the user's command log each call and its reason to the returned file."""
    path = directory / "told"
    path.touch()
    user.extra["REALM_NOTIFY"] = f'echo "$(date +%s.%N) $REALM_EVENT $REALM_SESSION" >>{path}'
    return path


def events(told: Path) -> list[str]:
    """Return the reasons for which the user's command was called, in order."""
    return [line.partition(" ")[2] for line in told.read_text().splitlines()]
