"""What is done at most for a container, by the user's settings: ``realm.limit.*``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.config import (
    LIMIT_COMMITS,
    LIMIT_FILE,
    LIMIT_MEMORY,
    LIMIT_OBJECTS,
    LIMIT_SECONDS,
    LIMIT_TOTAL,
)
from realm.store.quarantine import Limits

if TYPE_CHECKING:
    from realm.config import Config


def limits(config: Config) -> Limits:
    """Return the limits of an intake."""
    seconds = config.value(LIMIT_SECONDS)
    return Limits(
        total=config.value(LIMIT_TOTAL),
        objects=config.value(LIMIT_OBJECTS),
        file=config.value(LIMIT_FILE),
        commits=config.value(LIMIT_COMMITS),
        memory=config.value(LIMIT_MEMORY),
        cpu=seconds,
        wall=float(seconds),
    )
