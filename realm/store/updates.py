"""Values of the ref store."""

from __future__ import annotations

from typing import NamedTuple


class RefUpdate(NamedTuple):
    """A wish to move ``ref`` from ``old`` (``None``: it must not exist) to ``new`` (``None``: delete it)."""

    ref: str
    old: str | None
    new: str | None


class Tips(NamedTuple):
    """Where a session's refs point; ``None`` where there is no ref."""

    code: str | None
    meta: str | None
