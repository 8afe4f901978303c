"""The boxes that are on the engine, found by their labels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from realm.sandbox import volumes
from realm.sandbox.box import Box

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.docker import Engine


def find(engine: Engine, *, session_id: str | None = None, role: str = "box") -> list[Box]:
    """Return the boxes that are on the engine, also those of which only the volumes are left."""
    wanted = [f"realm.role={role}"] + ([f"realm.id={session_id}"] if session_id else [])
    return [box for box, _ in _listed(engine, wanted)]


def unready(engine: Engine, home: str) -> list[Box]:
    """Return what is being made, or was not made to the end, for the realm directory labelled ``home``.

    That is boxes that have not been started, and base volumes that are not
    filled, with the containers that fill them.
    """
    return [box for box, status in _listed(engine, [f"realm.home={home}"]) if is_unready(box, status)]


def is_unready(box: Box, status: str = "") -> bool:
    """Return whether ``box``, whose container's ``status`` may be known, is one of those."""
    role = box.labels.get("realm.role")
    if role == "base":
        return bool(box.volumes) and not volumes.is_filled(box.volumes[0])
    return role == "box" and (status or box.state()) == "created"


def maker(box: Box) -> str:
    """Return the id of the session that ``box`` is, or was, made for."""
    return box.labels.get("realm.id") or box.labels.get(volumes.MAKER_LABEL, "")


def _listed(engine: Engine, wanted: list[str]) -> list[tuple[Box, str]]:
    """Return the boxes with all labels ``wanted`` and their containers' status, empty without a container."""
    boxes = [(_of(engine, found.id, found.labels), found.status) for found in engine.containers(*wanted)]
    seen = {name for box, _ in boxes for name in box.volumes}
    for volume in engine.volumes(*wanted):
        if volume.name not in seen:
            box = _of(engine, "", volume.labels)
            seen.update(box.volumes)
            boxes.append((box, ""))
    return boxes


def _of(engine: Engine, container: str, labels: Mapping[str, str]) -> Box:
    try:
        owned = tuple(str(name) for name in json.loads(labels.get(volumes.VOLUMES_LABEL, "[]")))
    except ValueError:
        owned = ()
    return Box(engine, container, dict(labels), owned)


def clear(engine: Engine, session_id: str) -> None:
    """Remove containers that did some work for a session and were killed over it.

    One that salvaged goes alone: the volumes that it had are the dead box's.
    """
    for box in find(engine, session_id=session_id, role="tool"):
        box.remove()
    for box in find(engine, session_id=session_id, role="salvage"):
        Box(engine, box.id, box.labels, ()).remove()
