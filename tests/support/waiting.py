"""Waiting for what another process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STEP = 0.05
"""Seconds between two looks."""


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until ``condition`` holds; AssertionError when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to be within {seconds:g} seconds"
        time.sleep(_STEP)
