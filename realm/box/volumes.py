"""The volumes of a box: its state, and its workspace."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from realm.box.policy import BoxSpec, Volumes

if TYPE_CHECKING:
    from realm.box.engine import Engine


def box_name(spec: BoxSpec) -> str:
    """Return a name for a container that says whose it is and is not taken."""
    session = spec.labels.get("realm.session", "")
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in session)
    run = spec.labels.get("realm.run", "0")
    return f"realm-{kept[:40]}-{run}-{secrets.token_hex(4)}"


def make(engine: Engine, spec: BoxSpec, name: str) -> Volumes:  # noqa: ARG001
    """Return the volumes for box ``name``; plain ones are made by the engine with the container."""
    return Volumes(f"{name}-state", f"{name}-work")


def remove(engine: Engine, names: tuple[str, ...]) -> None:
    """Remove volumes; those that are gone are fine."""
    from realm.box.engine import ApiError

    for name in names:
        try:
            engine.call("DELETE", f"/volumes/{name}", {"force": True})
        except ApiError as error:
            if error.status != 404:  # noqa: PLR2004
                raise
