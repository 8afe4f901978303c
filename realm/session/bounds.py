"""The limits for what a container hands over, by the user's settings ``realm.limit.*``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.config import (
    LIMIT_COMMITS,
    LIMIT_ENTRIES,
    LIMIT_FILE,
    LIMIT_MEMORY,
    LIMIT_OBJECTS,
    LIMIT_RESULTS,
    LIMIT_SECONDS,
    LIMIT_TOTAL,
    LIMIT_TRANSCRIPT,
)
from realm.store.quarantine import Limits

if TYPE_CHECKING:
    from realm.config import Config


def limits(config: Config) -> Limits:
    """Return the limits of an intake."""
    seconds = config.value(LIMIT_SECONDS)
    return Limits(
        total=config.value(LIMIT_TOTAL),
        pack=config.value(LIMIT_RESULTS),
        objects=config.value(LIMIT_OBJECTS),
        entries=config.value(LIMIT_ENTRIES),
        file=config.value(LIMIT_FILE),
        commits=config.value(LIMIT_COMMITS),
        memory=config.value(LIMIT_MEMORY),
        cpu=seconds,
        wall=float(seconds),
    )


def results(config: Config) -> int:
    """Return how many bytes a sandbox may hand over at a time."""
    return config.value(LIMIT_RESULTS)


def transcript(config: Config) -> int:
    """Return how many bytes of a conversation are kept in the record."""
    return config.value(LIMIT_TRANSCRIPT)
