"""The volumes of a box: its state, and its workspace.

A workspace is a plain volume, which the box fills with a checkout, or an
overlay: the *base volume* of the project (a checked-out tree with a warm index,
made once) below, an empty volume for this box's changes above.  That starts
at once at any size.  Overlays are not to be had on every engine: one that says
so once is remembered in ``engines.json`` and plain volumes are used there.

An overlay is a volume of the local driver with ``type=overlay``; its upper and
work directories are the ``Mountpoint`` of two plain volumes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.errors import EngineError
from realm.paths import make_private, realm_home, replace
from realm.sandbox import layout, proof, transfer
from realm.sandbox import spec as specs
from realm.sandbox.flags import DockerArgs
from realm.sandbox.spec import SandboxSpec, Volumes
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from realm.sandbox.docker import Engine, Volume
    from realm.sandbox.layout import Owner

OVERLAY_FROM_FILES = 200
"""With that many files an overlay starts sooner than a checkout of one's own."""
BASE_LIFETIME = 7 * 24 * 3600
"""Seconds after which a base volume of another commit is made anew."""
WORK_SUFFIX = "-work"


class Base(NamedTuple):
    """A base volume: its name, where the engine keeps it, and the commit checked out in it."""

    name: str
    mountpoint: str
    tip: str


def labels(owner: Owner, name: str, owned: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the labels of container ``name``, under the empty name, and of its volumes."""
    common = owner.labels(proof.home())
    made = {"": {**common, **proof.prove("container", name)}}
    for volume in owned:
        made[volume] = {**common, layout.SANDBOX: name, **proof.prove("volume", volume)}
    return made


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return a sandbox's volumes in an order in which they can be removed: its work or its base first."""
    last = ("-state", "-upper", "-scratch")
    return tuple(sorted(names, key=lambda name: name.endswith(last)))


def of(names: tuple[str, ...]) -> Volumes:
    """Return the volumes of a sandbox whose container is gone; one that is missing is made anew."""
    prefix = names[0].rpartition("-")[0]
    made = plain(prefix)
    return made._replace(others=tuple(name for name in names if name not in made.all))


def make(engine: Engine, spec: SandboxSpec, name: str) -> Volumes:
    """Return the volumes for box ``name``.

    Plain ones are made by the engine together with the container.
    ``EngineError`` when an overlay was demanded and is not to be had.
    """
    if not wants_overlay(engine, spec):
        return plain(name)
    made: Volumes | None = None
    try:
        base = find_base(engine, spec) or make_base(engine, spec)
        made = plain(name)._replace(others=(f"{name}-upper", f"{name}-scratch"), base=base.name, open=True)
        _overlay(engine, made, base, labels(spec.owner, name, made.all))
    except EngineError as error:
        remove(engine, made.all if made else ())
        if spec.volumes == "overlay":
            raise
        note_failure(engine, error)
        return plain(name)
    return made


def plain(name: str) -> Volumes:
    """Return the names of plain volumes for box ``name``."""
    return Volumes(f"{name}-state", f"{name}{WORK_SUFFIX}")


def wants_overlay(engine: Engine, spec: SandboxSpec) -> bool:
    """Return whether an overlay is worth it, and as far as known possible."""
    if spec.volumes == "overlay":
        return True
    return spec.volumes == "auto" and spec.files >= OVERLAY_FROM_FILES and not has_failed(engine)


def _overlay(engine: Engine, made: Volumes, base: Base, labels: Mapping[str, Mapping[str, str]]) -> None:
    upper, scratch = (engine.create_volume(name, labels[name], {}) for name in made.others)
    options = f"lowerdir={base.mountpoint},upperdir={upper},workdir={scratch}"
    if any(char in path for path in (base.mountpoint, upper, scratch) for char in ":,\\"):
        raise EngineError("the engine keeps its volumes where no overlay can be mounted of them")
    engine.create_volume(made.work, labels[made.work], {"type": "overlay", "device": "overlay", "o": options})


def remove(engine: Engine, names: tuple[str, ...]) -> None:
    """Remove volumes; those that are gone are fine.

    The first has the workspace, often the most to delete: the others, which an
    overlay in it may still use, go after it.
    """
    if names:
        engine.remove_volume(names[0])
        together(*(partial(engine.remove_volume, name) for name in names[1:]))


# -- base volumes --------------------------------------------------------------


def base_key(spec: SandboxSpec) -> str:
    """Return what base volumes of the same use have in common."""
    text = "\0".join((proof.home(), spec.owner.project, spec.workspace, "{}:{}".format(*spec.user)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _bases(engine: Engine, key: str) -> list[Volume]:
    found = engine.volumes(f"{layout.ROLE}=base", f"{layout.BASE_KEY}={key}")
    return [volume for volume in found if proof.holds("volume", volume.name, volume.labels)]


def _marker(name: str) -> Path:
    """Return the file that says that base volume ``name`` was filled to the end."""
    return realm_home() / "bases" / name


def is_filled(name: str) -> bool:
    """Return whether base volume ``name`` was filled to the end."""
    return _marker(name).exists()


def find_base(engine: Engine, spec: SandboxSpec) -> Base | None:
    """Return the newest base volume of the project; ``None`` when there is none or it is out of date."""
    ready = (volume for volume in _bases(engine, base_key(spec)) if is_filled(volume.name))
    found = max(ready, key=lambda volume: layout.owner(volume.labels).started, default=None)
    if found is None:
        return None
    owner = layout.owner(found.labels)
    fresh = owner.tip == spec.owner.tip or owner.started > time.time() - BASE_LIFETIME
    return Base(found.name, found.mountpoint, owner.tip) if fresh else None


def make_base(engine: Engine, spec: SandboxSpec) -> Base:
    """Check the project out into a new base volume, and remove older ones that no box uses."""
    key, name = base_key(spec), f"realm-base-{os.urandom(6).hex()}"
    owned = Volumes(f"{name}-state", name)
    owner = spec.owner._replace(role="base", started=int(time.time()))
    known = labels(owner, f"{name}-fill", owned.all)
    for made in known.values():
        # It is not the session's own, and outlives it.
        made[layout.MAKER] = made.pop(layout.ID)
        made[layout.BASE_KEY] = key
    try:
        mountpoint = engine.create_volume(name, known[name], {})
        _fill(engine, spec, owned, f"{name}-fill", known)
        make_private(_marker(name).parent)
        _marker(name).touch()
    except BaseException:
        remove(engine, (name,))
        raise
    collect_bases(engine, key, keep=name)
    return Base(name, mountpoint, spec.owner.tip)


def _fill(
    engine: Engine, spec: SandboxSpec, owned: Volumes, name: str, known: Mapping[str, Mapping[str, str]]
) -> None:
    """Run the entry script's ``base`` on the work volume."""
    uid, gid = spec.user
    spec = spec._replace(
        command=("base",), tty=False, stdin=False, network="none", args=DockerArgs(), uid=uid, gid=gid
    )
    container = name
    try:
        container = engine.create(specs.create_options(spec, owned, known), name)
        state = transfer.entries(layout.STATE, [transfer.entry_script()], layout.DIRECTORIES, spec.user)
        transfer.put(engine, container, layout.STATE, state)
        transfer.put(
            engine, container, layout.WORK, transfer.entries(layout.WORK, [], [spec.workspace], spec.user)
        )
        engine.start(container)
        code = engine.wait(container)
    finally:
        engine.remove(container)
        remove(engine, (owned.state,))
    if code != 0:
        raise EngineError(f"the project could not be checked out into a base volume (exit code {code})")


def collect_bases(engine: Engine, key: str, keep: str) -> None:
    """Remove the base volumes of ``key`` but ``keep``; the engine refuses those that a box still has."""
    for volume in _bases(engine, key):
        if volume.name != keep:
            try:
                engine.remove_volume(volume.name)
                _marker(volume.name).unlink(missing_ok=True)
            except EngineError as error:
                if error.kind != "conflict":
                    raise


# -- what is remembered of engines ----------------------------------------------


def _memory() -> Path:
    return realm_home() / "engines.json"


def _remembered() -> dict[str, Any]:
    try:
        value = json.loads(_memory().read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def has_failed(engine: Engine) -> bool:
    """Return whether overlay volumes once failed on this engine."""
    known = _remembered().get(engine.endpoint.url)
    return isinstance(known, dict) and known.get("overlay") is False


def note_failure(engine: Engine, error: EngineError) -> None:
    """Remember that this engine cannot do overlay volumes, and why, if that is what the error says."""
    if error.kind != "unsupported":
        return
    make_private(realm_home())
    known = _remembered()
    known[engine.endpoint.url] = {"overlay": False, "reason": error.message, "since": int(time.time())}
    replace(_memory(), json.dumps(known, indent=2).encode() + b"\n")
