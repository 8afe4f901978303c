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
from realm.sandbox import archive, files, policy
from realm.sandbox.policy import STATE, WORK, BoxSpec, Volumes
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from realm.sandbox.docker import Engine, Volume

OVERLAY_FROM_FILES = 200
"""With that many files an overlay starts sooner than a checkout of one's own."""
BASE_LIFETIME = 7 * 24 * 3600
"""Seconds after which a base volume of another commit is made anew."""
KEY_LABEL = "realm.base-key"
MAKER_LABEL = "realm.maker"
"""On a base volume the session that it was made for; it is not the session's own."""
VOLUMES_LABEL = "realm.volumes"


class Base(NamedTuple):
    """A base volume: its name, where the engine keeps it, and the commit checked out in it."""

    name: str
    mountpoint: str
    tip: str


def box_name(spec: BoxSpec) -> str:
    """Return a name for a container that says whose it is and is not taken."""
    session = spec.labels.get("realm.session", "")
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in session)
    run = spec.labels.get("realm.run", "0")
    return f"realm-{kept[:40]}-{run}-{os.urandom(4).hex()}"


def labels(spec: BoxSpec, owned: Volumes) -> dict[str, str]:
    """Return the labels of a box and its volumes: those of its description, and what goes with it."""
    return {**spec.labels, VOLUMES_LABEL: json.dumps(owned.all)}


def make(engine: Engine, spec: BoxSpec, name: str) -> Volumes:
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
        _overlay(engine, made, base, labels(spec, made))
    except EngineError as error:
        remove(engine, made.all if made else ())
        if spec.volumes == "overlay":
            raise
        note_failure(engine, error)
        return plain(name)
    return made


def plain(name: str) -> Volumes:
    """Return the names of plain volumes for box ``name``."""
    return Volumes(f"{name}-state", f"{name}-work")


def wants_overlay(engine: Engine, spec: BoxSpec) -> bool:
    """Return whether an overlay is worth it, and as far as known possible."""
    if spec.volumes == "overlay":
        return True
    return spec.volumes == "auto" and spec.files >= OVERLAY_FROM_FILES and not has_failed(engine)


def _overlay(engine: Engine, made: Volumes, base: Base, owner: Mapping[str, str]) -> None:
    upper, scratch = (engine.create_volume(name, owner, {}) for name in made.others)
    options = f"lowerdir={base.mountpoint},upperdir={upper},workdir={scratch}"
    if any(char in path for path in (base.mountpoint, upper, scratch) for char in ":,\\"):
        raise EngineError("the engine keeps its volumes where no overlay can be mounted of them")
    engine.create_volume(made.work, owner, {"type": "overlay", "device": "overlay", "o": options})


def remove(engine: Engine, names: tuple[str, ...]) -> None:
    """Remove volumes; those that are gone are fine.

    The first has the workspace, often the most to delete: the others, which an
    overlay in it may still use, go after it.
    """
    if names:
        engine.remove_volume(names[0])
        together(*(partial(engine.remove_volume, name) for name in names[1:]))


# -- base volumes --------------------------------------------------------------


def base_key(spec: BoxSpec) -> str:
    """Return what base volumes of the same use have in common."""
    parts = (spec.labels.get("realm.home", ""), spec.labels.get("realm.project", ""), spec.workspace)
    text = "\0".join((*parts, f"{spec.uid}:{spec.gid}"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _bases(engine: Engine, key: str) -> list[Volume]:
    return engine.volumes("realm.role=base", f"{KEY_LABEL}={key}")


def _marker(name: str) -> Path:
    """Return the file that says that base volume ``name`` was filled to the end."""
    return realm_home() / "bases" / name


def is_filled(name: str) -> bool:
    """Return whether base volume ``name`` was filled to the end."""
    return _marker(name).exists()


def _started(volume: Volume) -> int:
    text = volume.labels.get("realm.started", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def find_base(engine: Engine, spec: BoxSpec) -> Base | None:
    """Return the newest base volume of the project; ``None`` when there is none or it is out of date."""
    ready = (volume for volume in _bases(engine, base_key(spec)) if is_filled(volume.name))
    found = max(ready, key=_started, default=None)
    if found is None:
        return None
    base = Base(found.name, found.mountpoint, found.labels.get("realm.tip", ""))
    fresh = base.tip == spec.tip or _started(found) > time.time() - BASE_LIFETIME
    return base if fresh else None


def make_base(engine: Engine, spec: BoxSpec) -> Base:
    """Check the project out into a new base volume, and remove older ones that no box uses."""
    key, name = base_key(spec), f"realm-base-{os.urandom(6).hex()}"
    owned = Volumes(f"{name}-state", name)
    spec = spec._replace(labels=labels(spec._replace(labels=_base_labels(spec, key)), owned))
    try:
        mountpoint = engine.create_volume(name, spec.labels, {})
        _fill(engine, spec, owned)
        make_private(_marker(name).parent)
        _marker(name).touch()
    except BaseException:
        remove(engine, (name,))
        raise
    collect_bases(engine, key, keep=name)
    return Base(name, mountpoint, spec.tip)


def _base_labels(spec: BoxSpec, key: str) -> dict[str, str]:
    kept = {name: spec.labels[name] for name in ("realm.home", "realm.project") if name in spec.labels}
    return {
        **kept,
        KEY_LABEL: key,
        MAKER_LABEL: spec.labels.get("realm.id", ""),
        "realm.role": "base",
        "realm.tip": spec.tip,
        "realm.started": str(int(time.time())),
    }


def _fill(engine: Engine, spec: BoxSpec, owned: Volumes) -> None:
    """Run the entry script's ``base`` on the work volume."""
    spec = spec._replace(command=("base",), tty=False, stdin=False, network="none")
    container = ""
    try:
        container = engine.create(policy.create_options(spec, owned))
        state = archive.entries(STATE, [files.entry_script()], policy.DIRECTORIES, spec.uid, spec.gid)
        files.put(engine, container, STATE, state)
        files.put(engine, container, WORK, archive.entries(WORK, [], [spec.workspace], spec.uid, spec.gid))
        engine.start(container)
        code = engine.wait(container)
    finally:
        if container:
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
