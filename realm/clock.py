"""Time for what is deleted by its age: a clock that is wrong for a moment must not make anything old.

``clock`` in realm's directory has two times, in seconds since the epoch: one that has passed for certain,
and the newest that a command has seen.  The second becomes the first when another command sees the clock a
day later; if the clock is earlier by then, it had been wrong.
"""

from __future__ import annotations

import time
from contextlib import suppress

from realm.paths import make_private, realm_home, replace

_DAY = 86400


def passed() -> float:
    """Return a time that has passed for certain, a day ago or earlier; 0 if none is known yet."""
    path, now = realm_home() / "clock", int(time.time())
    try:
        certain, seen = (int(word) for word in path.read_bytes()[:100].split())
    except (OSError, ValueError):
        certain, seen = 0, now + 1
    if seen <= now < seen + _DAY:
        return certain
    certain = max(certain, seen) if seen < now else certain
    with suppress(OSError):
        make_private(path.parent)
        replace(path, b"%d %d\n" % (certain, now))
    return certain


def before(days: int) -> float:
    """Return the time before which everything is older than ``days`` for certain."""
    return min(time.time(), passed()) - days * _DAY
