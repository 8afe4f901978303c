"""How much may come out of a box in one go."""

from __future__ import annotations

from typing import NamedTuple

MIB = 1024 * 1024
GIB = 1024 * MIB


class Limits(NamedTuple):
    """Limits of one intake; sizes are bytes, times seconds.

    A file above ``file`` is left out, commits above ``commits`` are not kept
    one by one, a path deeper than ``depth`` or longer than ``path`` is left
    out.  Everything else is refused as a whole, and stays in the box.
    """

    pack: int = 8 * GIB
    total: int = 64 * GIB
    objects: int = 5_000_000
    entries: int = 10_000_000
    file: int = GIB
    tree: int = 64 * MIB
    commit: int = 4 * MIB
    commits: int = 10_000
    depth: int = 200
    path: int = 4000
    memory: int = 4 * GIB
    cpu: int = 900
    wall: float = 1800.0
