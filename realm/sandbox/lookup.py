"""Finding the engine's sandboxes by their labels, which are trusted only with realm's proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realm.sandbox import layout, proof, workspace
from realm.sandbox.sandbox import Sandbox
from realm.text import clean

if TYPE_CHECKING:
    from realm.sandbox.answers import Volume
    from realm.sandbox.docker import Engine


TRY = "try"
"""The role of a sandbox for ``realm try``, which never has work to save."""


class Stranger(NamedTuple):
    """A container that claims to be a sandbox but lacks this realm's proof: never touched, only reported.

    An earlier version made it, or realm with another REALM_HOME, or its image has such labels.  If only
    ``volumes`` are left of it, ``id`` is empty.
    """

    id: str
    owner: layout.Owner
    running: bool = False
    volumes: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Its container or volume on the engine, as a phrase."""
        return f"container {self.id[:12]}" if self.id else f"volume {self.volumes[0]}"

    @property
    def removal(self) -> str:
        """The command that removes it."""
        container = [f"docker rm -f {self.id[:12]}"] if self.id else []
        volumes = [f"docker volume rm {' '.join(self.volumes)}"] if self.volumes else []
        return clean(" && ".join([*container, *volumes]))


def find(engine: Engine, *, session_id: str | None = None, role: str = "box") -> list[Sandbox]:
    """Return this realm's sandboxes on the engine, including those of which only the volumes are left."""
    wanted = [f"{layout.ROLE}={role}"] + ([f"{layout.ID}={session_id}"] if session_id else [])
    return [sandbox for sandbox, _ in _listed(engine, wanted)]


def running(engine: Engine, session_id: str) -> Sandbox | None:
    """Return the running sandbox of a session, ``None`` if there is none."""
    found = find(engine, session_id=session_id)
    return next((sandbox for sandbox in found if sandbox.state() == "running"), None)


def strangers(engine: Engine, *, session_id: str | None = None) -> list[Stranger]:
    """Return containers, and work volumes without a container, that lack this realm's proof.

    They claim to belong to the session, or to this REALM_HOME.
    """
    whose = f"{layout.ID}={session_id}" if session_id else f"{layout.REALM_HOME}={proof.home()}"
    wanted = [f"{layout.ROLE}=box", whose]
    containers = engine.containers(*wanted)
    found = [
        Stranger(one.id, layout.owner(one.labels), one.status in {"running", "paused", "restarting"})
        for one in containers
        if not proof.holds("container", one.name, one.labels)
    ]
    there = {container.name for container in containers}
    left: dict[str, list[Volume]] = {}
    for volume in engine.volumes(*wanted):
        # Earlier versions did not label a volume with its container, but named it after that.
        maker = volume.labels.get(layout.SANDBOX) or volume.name.rpartition("-")[0]
        if maker not in there and not proof.holds("volume", volume.name, volume.labels):
            left.setdefault(maker, []).append(volume)
    for volumes in left.values():
        names = workspace.in_order(volume.name for volume in volumes)
        if names[0].endswith(workspace.WORK_SUFFIX):
            found.append(Stranger("", layout.owner(volumes[0].labels), volumes=names))
    return found


def unready(engine: Engine) -> list[Sandbox]:
    """Return this REALM_HOME's sandboxes that are being created, or whose creation was cut off.

    These are sandboxes that were not started, base volumes that are not filled, the containers that fill base
    and history volumes, and all sandboxes of ``realm try``.
    """
    listed = _listed(engine, [f"{layout.REALM_HOME}={proof.home()}"])
    return [sandbox for sandbox, status in listed if is_unready(sandbox, status)]


def is_unready(sandbox: Sandbox, status: str = "") -> bool:
    """Return whether :func:`unready` has ``sandbox``, whose container's ``status`` may be known."""
    if sandbox.owner.role == "base":
        return bool(sandbox.volumes) and not workspace.is_filled(sandbox.volumes[0])
    if sandbox.owner.role in ("upload", TRY):
        return True
    return sandbox.owner.role == "box" and (status or sandbox.state()) == "created"


def _listed(engine: Engine, wanted: list[str]) -> list[tuple[Sandbox, str]]:
    """Return the sandboxes with all labels ``wanted``, and their containers' status, empty without container.

    A volume belongs to a container if it was made for that and both have this realm's proof.
    """
    parts: dict[str, list[str]] = {}
    owners: dict[str, layout.Owner] = {}
    for volume in engine.volumes(*wanted):
        maker = volume.labels.get(layout.SANDBOX, "")
        if maker and proof.holds("volume", volume.name, volume.labels):
            parts.setdefault(maker, []).append(volume.name)
            owners[maker] = layout.owner(volume.labels)
    found = []
    for container in engine.containers(*wanted):
        if proof.holds("container", container.name, container.labels):
            owned = workspace.in_order(parts.pop(container.name, []))
            owner = layout.owner(container.labels)
            found.append((Sandbox(engine, container.id, owner, owned), container.status))
    found += [
        (Sandbox(engine, "", owners[name], workspace.in_order(left)), "") for name, left in parts.items()
    ]
    return found


def clear(engine: Engine, session_id: str) -> None:
    """Remove helper containers of a session whose realm process was killed.

    One that took a snapshot leaves the volumes, which are the dead sandbox's.
    """
    for role in ("tool", "salvage"):
        for sandbox in find(engine, session_id=session_id, role=role):
            sandbox.remove()
