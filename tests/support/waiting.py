"""Waits for what another process does."""

from __future__ import annotations

import select
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

_STEP = 0.05
"""Seconds between two looks, at least."""


def comes(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until ``condition`` holds; tell whether it did within ``seconds``.

    A look that starts a program takes processor time from what is waited for: the pause after
    it is three times as long as the look.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if condition():
            return True
        now = time.monotonic()
        if now > deadline:
            return False
        time.sleep(max(_STEP, 3 * (now - began)))


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until ``condition`` holds; AssertionError when it does not within ``seconds``."""
    assert comes(condition, seconds), f"it did not come to be within {seconds:g} seconds"


def first_line(process: subprocess.Popen[str], seconds: float = 120) -> str:
    """Return the first line that a started realm writes; when none comes in time, fail with where it is."""
    assert process.stdout is not None
    if not select.select([process.stdout], (), (), seconds)[0]:
        process.send_signal(signal.SIGABRT)
        raise AssertionError("nothing was written:\n" + "\n".join(process.communicate(timeout=30)))
    line = process.stdout.readline()
    assert line, process.communicate(timeout=30)
    return line
