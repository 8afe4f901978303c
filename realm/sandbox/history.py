"""The history volume: the history that sandboxes may see of a project, as packs that the host put there.

Every pack has its own directory in the volume.  A sandbox mounts the volume read-only, and its repositories
name the directories that the host knows to be complete (``objects/info/alternates``): nothing names one that
was being written when realm was killed.  Packs are only ever added.

Only sandboxes that may see all of a volume share it.  The usual one has the default branch, which all may
see. What else a sandbox may see, such as the session's own commits, goes into its own state volume while that
is small; if it is large, another volume is created that holds it too.

``REALM_HOME/history/<volume>.json`` describes a volume's content, which is never read from the volume.  One
process at a time changes a project's volumes.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from realm.errors import EngineError
from realm.paths import make_private, realm_home, replace, scratched
from realm.sandbox import layout, proof, transfer
from realm.sandbox.layout import HISTORY, OBJECTS
from realm.sandbox.transfer import SandboxFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner

ROLE = "history"
"""The label ``realm.role`` of such a volume; ``upload`` is that of a container that fills it."""

OWN_LIMIT = 4 * 1024**2
"""Bytes up to which history is put into each sandbox rather than into a volume."""
MOST_PACKS = 16
"""Packs that a volume may have before another replaces it."""
MOST_VOLUMES = 3
"""Volumes that a project may have before the oldest unused is removed."""
_RECENT = 3600.0
"""Seconds for which a used volume is not removed: a sandbox may be about to mount it."""


_PART = re.compile(r"[0-9a-f]{8}")


class Pack(Protocol):
    """A pack on the host."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The ``.pack``, then what belongs to it."""

    @property
    def size(self) -> int:
        """Bytes of all files."""


class Sight(Protocol):
    """What a sandbox may see, as :class:`realm.store.history.History` has it."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def place(self) -> str: ...  # noqa: D102
    @property
    def trunk(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def tips(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def own(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def annotated(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def limit(self) -> int: ...  # noqa: D102
    @property
    def shallow(self) -> tuple[str, ...]: ...  # noqa: D102
    def of_trunk(self) -> tuple[tuple[str, ...], tuple[str, ...]]: ...  # noqa: D102
    def contains(self, commits: Sequence[str]) -> bool: ...  # noqa: D102
    def stands_on(self, known: Sequence[str]) -> bool: ...  # noqa: D102
    def pack(  # noqa: D102
        self, wanted: Iterable[str], known: Iterable[str], directory: Path, *, whole: bool = False
    ) -> Pack | None: ...
    def complete(self, directory: Path) -> Pack | None: ...  # noqa: D102


class HistoryVolume(NamedTuple):
    """A volume's description: its project, and its content by commits and annotated tags.

    ``parts`` are the directories of its packs, ``size`` their bytes; ``limit`` and ``shallow`` are those of
    the history it was created for.
    """

    name: str
    engine: str
    key: str
    place: str
    tips: tuple[str, ...]
    tags: tuple[str, ...]
    parts: tuple[str, ...]
    size: int
    limit: int
    shallow: tuple[str, ...]


class Ready(NamedTuple):
    """The history of one sandbox: the volume to mount, and the files to put in besides.

    ``objects`` are the object directories inside, ``shallow`` the commits whose parents are not there.
    """

    volume: str
    objects: tuple[str, ...]
    shallow: tuple[str, ...]
    files: tuple[SandboxFile, ...]


class Workshop(NamedTuple):
    """The means to fill a volume: the engine, an existing image, the owner, and a progress display."""

    engine: Engine
    image: str
    owner: Owner
    progress: Callable[[str], AbstractContextManager[object]]


@contextmanager
def prepared(shop: Workshop, sight: Sight, *, prefer: str = "") -> Iterator[Ready]:
    """Yield the history that ``sight`` describes; its files exist until the context ends.

    ``prefer`` is the sandbox's earlier volume, used if it exists.  Raises ``EngineError``, or git's error
    when it cannot read the history.
    """
    with scratched("history") as spool:
        volume = _known(shop, sight, prefer) or _usable(shop, sight) or _made(shop, sight, spool)
        rest = _rest(sight, volume, spool / "rest")
        if rest is not None and rest.size > OWN_LIMIT:
            volume = _enlarged(shop, sight, volume, spool)
            rest = _rest(sight, volume, spool / "rest-again")
        with suppress(OSError):
            os.utime(_path(volume.name))
        files = [
            path
            for pack in (rest, sight.complete(spool / "complete"))
            if pack is not None
            for path in pack.files
        ]
        yield Ready(
            volume.name,
            (*(f"{HISTORY}/{part}" for part in volume.parts), *([OBJECTS] if files else [])),
            volume.shallow,
            tuple(SandboxFile(f"{OBJECTS}/pack/{path.name}", path, 0o444, owner="root") for path in files),
        )


def _rest(sight: Sight, volume: HistoryVolume, directory: Path) -> Pack | None:
    """Return a pack of what ``volume`` lacks."""
    held = {*volume.tips, *volume.tags}
    wanted = [oid for oid in (*sight.tips, *sight.own, *sight.annotated) if oid not in held]
    return sight.pack(wanted, volume.tips, directory) if wanted else None


# -- which volume --------------------------------------------------------------


def _path(name: str) -> Path:
    return realm_home() / "history" / f"{name}.json"


def read(name: str) -> HistoryVolume | None:
    """Return the description of the volume ``name``; ``None`` if it is missing or damaged."""
    try:
        value = json.loads(_path(name).read_bytes())
        texts = {field: tuple(map(str, value[field])) for field in ("tips", "tags", "parts", "shallow")}
        volume = HistoryVolume(**{**value, **texts})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    proper = all(map(is_id, (*volume.tips, *volume.tags, *volume.shallow)))
    return volume if proper and all(map(_PART.fullmatch, volume.parts)) else None


def is_id(text: str) -> bool:
    """Tell whether ``text``, from a file, may be passed to git as an object's id."""
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def _all(shop: Workshop, key: str) -> list[HistoryVolume]:
    """Return the volumes of a project on this engine."""
    try:
        names = [path.stem for path in (realm_home() / "history").glob("*.json")]
    except OSError:
        return []
    found = [volume for name in names if (volume := read(name)) is not None]
    return [volume for volume in found if (volume.key, volume.engine) == (key, shop.engine.endpoint.url)]


def _is_there(shop: Workshop, volume: HistoryVolume) -> bool:
    """Return whether the engine still has a volume; an empty one of its name does not count."""
    found = shop.engine.volume(volume.name)
    return found is not None and proof.holds("volume", found.name, found.labels)


def _known(shop: Workshop, sight: Sight, name: str) -> HistoryVolume | None:
    volume = read(name) if name else None
    if volume is None or volume.key != sight.key or not _is_there(shop, volume):
        return None
    return volume


def _usable(shop: Workshop, sight: Sight) -> HistoryVolume | None:
    """Return the fullest volume of those that hold only what ``sight`` may see."""
    for volume in sorted(_all(shop, sight.key), key=lambda volume: -volume.size):
        if _fits(volume, sight):
            if _is_there(shop, volume):
                return volume
            _path(volume.name).unlink(missing_ok=True)
    return None


def _fits(volume: HistoryVolume, sight: Sight) -> bool:
    if volume.limit != sight.limit or not set(volume.tags) <= set(sight.annotated):
        return False
    if not volume.limit and set(volume.shallow) != set(sight.shallow):
        return False
    return sight.contains(volume.tips) and (not volume.limit or sight.stands_on(volume.tips))


# -- making and enlarging ------------------------------------------------------


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock called ``name``, one process at a time; its file is removed afterwards."""
    path = make_private(realm_home() / "history") / f"{name}.lock"
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(
                handle
            ).st_nlink:  # otherwise its last holder has removed it, and another file is the lock
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(handle)


def _made(shop: Workshop, sight: Sight, spool: Path) -> HistoryVolume:
    """Create a volume with what all of the project's sandboxes may see, unless another process just has."""
    with shop.progress("packing the project's history, once"), locked(sight.key):
        if (volume := _usable(shop, sight)) is not None:
            return volume
        _tidy(shop, sight.key)
        shared = sight.of_trunk() if sight.trunk and not sight.limit else (sight.tips, sight.annotated)
        return _new(shop, sight, *shared, spool / "new")


def _enlarged(shop: Workshop, sight: Sight, volume: HistoryVolume, spool: Path) -> HistoryVolume:
    """Return a volume that leaves less to put into the sandbox: the same, enlarged, or another."""
    with shop.progress("packing what is new in the project's history"), locked(sight.key):
        volume = read(volume.name) or volume
        trunk, tags = sight.of_trunk()
        new = [oid for oid in (*trunk, *tags) if oid not in (*volume.tips, *volume.tags)]
        if new and not sight.limit and len(volume.parts) < MOST_PACKS:
            pack = sight.pack(new, volume.tips, spool / "more")
            if pack is not None:
                volume = _add(shop, volume, pack, trunk, tags)
        rest = _rest(sight, volume, spool / "left")
        if rest is None or rest.size <= OWN_LIMIT or not set(sight.tips) - set(volume.tips):
            return volume
        _tidy(shop, sight.key)
        return _new(shop, sight, sight.tips, sight.annotated, spool / "other")


def _new(
    shop: Workshop, sight: Sight, tips: tuple[str, ...], tags: tuple[str, ...], directory: Path
) -> HistoryVolume:
    name = f"realm-history-{os.urandom(6).hex()}"
    url = shop.engine.endpoint.url
    empty = HistoryVolume(name, url, sight.key, sight.place, (), (), (), 0, sight.limit, sight.shallow)
    pack = sight.pack((*tips, *tags), (), directory, whole=True)
    labels = _labels(shop, ROLE, sight.key)
    # It is not the session's own, and outlives it.
    labels[layout.MAKER] = labels.pop(layout.ID)
    shop.engine.create_volume(name, {**labels, **proof.prove("volume", name)}, {})
    try:
        return _add(shop, empty, pack, tips, tags) if pack is not None else empty
    except BaseException:
        with suppress(EngineError):
            shop.engine.remove_volume(name)
        raise


def _labels(shop: Workshop, role: str, key: str) -> dict[str, str]:
    owner = shop.owner._replace(role=role, started=int(time.time()))
    return {**owner.labels(proof.home()), layout.KEY: key}


def _add(
    shop: Workshop, volume: HistoryVolume, pack: Pack, tips: tuple[str, ...], tags: tuple[str, ...]
) -> HistoryVolume:
    """Put a pack into a volume; return its new description."""
    part = os.urandom(4).hex()
    _upload(shop, volume, part, pack)
    more = volume._replace(
        tips=tuple(dict.fromkeys((*volume.tips, *tips))),
        tags=tuple(dict.fromkeys((*volume.tags, *tags))),
        parts=(*volume.parts, part),
        size=volume.size + pack.size,
    )
    replace(_path(volume.name), json.dumps(more._asdict()).encode(), durable=True)
    return more


def _upload(shop: Workshop, volume: HistoryVolume, part: str, pack: Pack) -> None:
    """Put a pack's files into a directory of the volume, through a container that is never started."""
    mount = {"Type": "volume", "Source": volume.name, "Target": HISTORY, "VolumeOptions": {"NoCopy": True}}
    name = f"{volume.name}-{part}"
    container = shop.engine.create(
        {
            "Image": shop.image,
            "Entrypoint": ["/bin/false"],
            "Labels": {**_labels(shop, "upload", volume.key), **proof.prove("container", name)},
            "HostConfig": {"Mounts": [mount], "NetworkMode": "none", "ReadonlyRootfs": True},
        },
        name,
    )
    try:
        files = [
            SandboxFile(f"{HISTORY}/{part}/pack/{path.name}", path, 0o444, owner="root")
            for path in pack.files
        ]
        transfer.put(shop.engine, container, HISTORY, transfer.entries(HISTORY, files, [], (0, 0)))
    finally:
        shop.engine.remove(container)


# -- what is no longer used ----------------------------------------------------


def _tidy(shop: Workshop, key: str) -> None:
    """Remove, under the lock, what killed processes left, and the oldest volumes of a project with many."""
    wanted = (f"{layout.REALM_HOME}={proof.home()}", f"{layout.KEY}={key}")
    for left in shop.engine.containers(*wanted, f"{layout.ROLE}=upload"):
        if proof.holds("container", left.name, left.labels):
            shop.engine.remove(left.id)
    known = {volume.name: volume for volume in _all(shop, key)}
    for found in shop.engine.volumes(*wanted, f"{layout.ROLE}={ROLE}"):
        if found.name not in known and proof.holds("volume", found.name, found.labels):
            _remove(shop.engine, found.name)
    ages = sorted((_used(name), name) for name in known)
    for used, name in ages[: max(0, len(ages) - MOST_VOLUMES + 1)]:
        if used < time.time() - _RECENT:
            _remove(shop.engine, name)


def _used(name: str) -> float:
    try:
        return _path(name).stat().st_mtime
    except OSError:
        return 0.0


def _remove(engine: Engine, name: str) -> None:
    """Remove a volume unless a sandbox has it."""
    try:
        engine.remove_volume(name)
    except EngineError as error:
        if error.kind != "conflict":
            raise
        return
    _path(name).unlink(missing_ok=True)


def forget(name: str) -> str:
    """Keep new sandboxes off the damaged volume ``name``; return its project.

    It is removed when the next one is created.
    """
    volume = read(name)
    _path(name).unlink(missing_ok=True)
    return volume.place if volume is not None else ""


def prune(engine: Engine) -> None:
    """Remove the volumes of projects that are not there any more."""
    for path in (realm_home() / "history").glob("*.json"):
        volume = read(path.stem)
        if volume is not None and volume.engine == engine.endpoint.url and not Path(volume.place).exists():
            _remove(engine, volume.name)
