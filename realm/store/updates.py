"""Values of the ref store."""

from __future__ import annotations

from realm.frozen import Frozen


class RefUpdate(Frozen):
    """A wish to move ``ref`` from ``old`` (``None``: it must not exist) to ``new`` (``None``: delete it)."""

    ref: str
    old: str | None
    new: str | None


class Tips(Frozen):
    """Where a session's refs point; ``None`` where there is no ref."""

    code: str | None
    meta: str | None
