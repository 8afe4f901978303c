"""A project's cache as its user sees it: how large it is, and clearing it."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.sandbox import caches, docker, layout, lookup, workspace
from realm.sandbox.image import recipe
from realm.store import history
from realm.store.repo import discover
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import UI


class CacheRow(NamedTuple):
    """One tool's size in the cache, in bytes on the engine's disk; the name comes from a container."""

    name: str
    size: int


def sizes(directory: Path, ui: UI) -> list[CacheRow]:
    """Return what is in the cache of the project at ``directory``, the largest first."""
    project = discover(directory)
    found: dict[str, int] = {}
    owner = layout.Owner("", "", 0, str(project.root), "", int(time.time()))
    with closing(docker.connect()) as engine, ui.progress("measuring the cache"):
        for cache in caches.known(engine, history.key(project)):
            for name, size in caches.sizes(engine, recipe.REFERENCE, cache, owner).items():
                found[name] = found.get(name, 0) + size
    rows = [CacheRow(clean(name, limit=80), size) for name, size in found.items()]
    return sorted(rows, key=lambda row: (-row.size, row.name))


def clear(directory: Path, ui: UI) -> bool:
    """Remove the cache of the project at ``directory``; return whether there was one.

    Raises :class:`RealmError` while a container has it.
    """
    project = discover(directory)
    with closing(docker.connect()) as engine, ui.progress("removing the cache"):
        found = caches.known(engine, history.key(project))
        for tool in lookup.find(engine, role="tool"):
            # A container that measures sizes does not count as use, and may be left from a killed command.
            if not tool.owner.id and tool.owner.project == str(project.root):
                tool.remove()
        used = [cache for cache in found if not caches.remove(engine, cache)]
        for place in {cache.place for cache in found}:
            workspace.forget(place)  # realm.setup has used the cache
    if used:
        raise RealmError(
            "the cache is in use by a container of this project",
            "realm stop --all ends its agents and saves their work; then clear the cache again",
        )
    return bool(found)
