"""The volumes of a sandbox: its state, and its workspace.

A workspace is a plain volume, which the sandbox fills with a checkout, or an overlay: a *base volume* of
the project (a checked-out tree with a warm index, created once) below, an empty volume for this sandbox's
changes above.  An overlay is ready at once whatever the project's size.  Not every engine supports overlays:
one that has refused is noted in ``engines.json`` and gets plain volumes.

An overlay is a volume of the local driver with ``type=overlay``; its upper and work directories are the
``Mountpoint`` of two plain volumes.

Where the engine can limit the size of volumes (Docker on XFS mounted with ``pquota``), that of a workspace is
limited.  An engine that has refused is noted in ``engines.json``, too.  Two limited volumes would not do for
an overlay: no file can be renamed from one to the other (EXDEV), and each copy-up does so.  They are two
directories of one volume then.

``REALM_HOME/bases/<volume>`` describes a base volume, and exists once that is completely filled.  A sandbox
gets only base volumes of commits that it may see.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.errors import EngineError, RejectedError, SetupError
from realm.paths import make_private, realm_home, replace
from realm.sandbox import layout, proof, transfer
from realm.sandbox import spec as specs
from realm.sandbox.flags import DockerArgs
from realm.sandbox.history import is_id, locked
from realm.sandbox.spec import SandboxSpec, Volumes
from realm.text import clean
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner
    from realm.sandbox.transfer import SandboxFile

OVERLAY_FROM_FILES = 200
"""Number of files from which an overlay is ready sooner than a checkout."""
BASE_LIFETIME = 7 * 24 * 3600
"""Seconds after which a base volume of another commit is replaced."""
MOST_BASES = 3
"""Base volumes kept for a repository; the engine keeps those in use by a sandbox."""
_RECENT = 3600.0
"""Seconds after its last use for which one is not removed: a sandbox on it may be about to be created."""
_MOST = 64 * 1024**3
"""Largest default limit of a workspace, in bytes."""
_NOT_SET_UP = 9
"""The exit code of the entry script's ``base`` when the user's setup command failed."""
_SAID, _LINES = 8 * 1024**2, 20
"""Bytes read of that command's output, and lines shown of it."""
WORK_SUFFIX = "-work"


class Checkout(NamedTuple):
    """The content of a base volume.

    ``tip`` is the commit to check out, ``key`` and ``place`` identify the repository, ``inside`` are the
    files that a sandbox needs for it; ``sees`` returns whether the new sandbox may see commits.
    """

    tip: str
    key: str
    place: str
    inside: Sequence[SandboxFile]
    sees: Callable[[Sequence[str]], bool]
    progress: Callable[[str], AbstractContextManager[object]]
    setup: str = ""
    """A digest of the setup command (:data:`layout.SETUP`) and what it depends on, empty without one."""
    outline: str = ""
    """For a sparse checkout, which files it has."""


class Base(NamedTuple):
    """A base volume: its name, its directory on the engine's machine, and the commit checked out in it."""

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
    """Return the volumes of a sandbox whose container is gone; the engine recreates missing ones."""
    prefix = names[0].rpartition("-")[0]
    made = plain(prefix)
    return made._replace(others=tuple(name for name in names if name not in made.all))


def make(engine: Engine, spec: SandboxSpec, name: str, checkout: Checkout | None) -> Volumes:
    """Return the volumes for sandbox ``name``; without a ``checkout`` there is no overlay.

    The engine creates plain ones without a limit together with the container.  Raises ``EngineError`` if an
    overlay or a limit was demanded but is not supported, and then leaves nothing.
    """
    try:
        return _made(engine, spec, name, checkout)
    except EngineError:
        with suppress(EngineError), unsettled(engine, spec.owner, possible(name)):
            remove(engine, possible(name))
        raise


def _made(engine: Engine, spec: SandboxSpec, name: str, checkout: Checkout | None) -> Volumes:
    made = plain(name)
    known = labels(spec.owner, name, possible(name))
    if checkout is None or not wants_overlay(engine, spec, ready=bool(checkout.setup)):
        return made._replace(size=_limit(engine, spec, made.work, known)[0])
    upper, scratch = f"{name}-upper", f"{name}-scratch"
    size, place = _limit(engine, spec, upper, known)
    made = made._replace(others=(upper,) if size else (upper, scratch), open=True, size=size)
    try:
        base = find_base(engine, spec, checkout) or make_base(engine, spec, checkout)
        made = made._replace(base=base.name)
        if size:
            _halve(engine, spec, upper)
            places = [f"{place}/upper", f"{place}/work"]
        else:
            places = together(*(partial(engine.create_volume, one, known[one], {}) for one in made.others))
        _overlay(engine, made, base, places, known)
    except EngineError as error:
        if spec.volumes == "overlay":
            raise
        remove(engine, made.all if size or made.base else ())
        note_failure(engine, error)
        return _made(engine, spec, name, None)
    return made


def plain(name: str) -> Volumes:
    """Return the names of plain volumes for sandbox ``name``."""
    return Volumes(f"{name}-state", f"{name}{WORK_SUFFIX}")


def possible(name: str) -> tuple[str, ...]:
    """Return all volumes that sandbox ``name`` may get, in an order in which they can be removed."""
    made = plain(name)
    return (made.work, f"{name}-upper", f"{name}-scratch", made.state)


def wants_overlay(engine: Engine, spec: SandboxSpec, *, ready: bool = False) -> bool:
    """Return whether an overlay is worthwhile, and not known to fail; ``ready``: the tree needs a setup."""
    if spec.volumes == "overlay":
        return True
    worth = ready or spec.files >= OVERLAY_FROM_FILES
    return spec.volumes == "auto" and worth and not has_failed(engine)


def _limit(
    engine: Engine, spec: SandboxSpec, volume: str, labels: Mapping[str, Mapping[str, str]]
) -> tuple[int, str]:
    """Create ``volume`` with the limit that ``spec`` asks for; return that, and where the volume is.

    The limit is 0 if there is none; then nothing is created.  Raises ``EngineError`` if the user asked for
    one and the engine cannot set it.
    """
    size = spec.workspace_size
    is_default = size is None
    if size is None:
        size = 0 if has_failed(engine, "quota") else _suitable(engine.free())
    if not size:
        return 0, ""
    if not engine.is_podman:  # which may take the option and ignore it
        try:
            return size, engine.create_volume(volume, labels[volume], {"size": str(size)})
        except EngineError as error:
            if error.kind not in ("unsupported", "refused") or (error.kind == "refused" and not is_default):
                raise
    if is_default:
        _note(engine, {"quota": False})
        return 0, ""
    raise EngineError(
        "realm.workspaceSize is set, but this engine cannot limit the size of a volume",
        "Docker can if its directory is on XFS mounted with pquota; "
        "realm.workspaceSize auto limits workspaces only where that works",
        kind="unsupported",
    )


def _suitable(free: int | None) -> int:
    """Return the default limit for a workspace when so many bytes are free, ``None`` if that is unknown."""
    return _MOST if free is None else min(free // 2, _MOST)


def _overlay(
    engine: Engine, made: Volumes, base: Base, places: Sequence[str],
    labels: Mapping[str, Mapping[str, str]],
) -> None:  # fmt: skip
    upper, scratch = places
    # Without redirect_dir, git mv and rename(2) of a directory of the base volume fail (EXDEV).
    options = f"lowerdir={base.mountpoint},upperdir={upper},workdir={scratch},redirect_dir=on"
    if any(char in path for path in (base.mountpoint, upper, scratch) for char in ":,\\"):
        raise EngineError("the engine keeps its volumes where no overlay can be mounted of them")
    engine.create_volume(made.work, labels[made.work], {"type": "overlay", "device": "overlay", "o": options})


def _halve(engine: Engine, spec: SandboxSpec, volume: str) -> None:
    """Make an overlay's two directories in a volume, through a container that is never started.

    The engine limits a volume's size only when a container mounts it.
    """
    name = f"{volume}-halves"
    owner = spec.owner._replace(role="upload")
    mount = {"Type": "volume", "Source": volume, "Target": layout.STATE, "VolumeOptions": {"NoCopy": True}}
    options = {
        "Image": spec.image,
        "Entrypoint": ["/bin/false"],
        "Labels": {**owner.labels(proof.home()), **proof.prove("container", name)},
        "HostConfig": {"Mounts": [mount], "NetworkMode": "none", "ReadonlyRootfs": True},
    }
    try:
        container = engine.create(options, name)
        halves = [transfer.entry(half, (0, 0)) for half in ("upper", "work")]
        transfer.put(engine, container, layout.STATE, halves)
    finally:
        engine.remove(name)


@contextmanager
def unsettled(engine: Engine, owner: Owner, names: tuple[str, ...]) -> Iterator[None]:
    """Note, until the context ends, that volumes without a container have no work in them.

    If this process is killed meanwhile, :func:`settle` finds the note.
    """
    if not names:
        yield
        return
    note = _unsettled() / names[0]
    known = {"engine": engine.endpoint.url, "session": owner.id, "volumes": names}
    with suppress(OSError):  # a full disk must not prevent the removal of a sandbox
        make_private(note.parent)
        replace(note, json.dumps(known).encode())
    yield
    note.unlink(missing_ok=True)


def settle(engine: Engine, is_held: Callable[[str], bool]) -> None:
    """Remove volumes noted by killed processes; those in use by a container are left for later.

    ``is_held`` returns for a session's id whether another process has a run of it.
    """
    with suppress(OSError):
        for note in _unsettled().iterdir():
            with suppress(OSError, ValueError, TypeError, KeyError, EngineError):
                known = json.loads(note.read_bytes())
                if known["engine"] == engine.endpoint.url and not is_held(str(known["session"])):
                    remove(engine, tuple(map(str, known["volumes"])))
                    note.unlink(missing_ok=True)


def _unsettled() -> Path:
    return realm_home() / "volumes"


def remove(engine: Engine, names: tuple[str, ...]) -> None:
    """Remove volumes, ignoring those that are gone.

    The first has the workspace; the others, which an overlay in it may use, are removed after it.
    """
    if names:
        engine.remove_volume(names[0])
        together(*(partial(engine.remove_volume, name) for name in names[1:]))


# -- base volumes --------------------------------------------------------------


class _Record(NamedTuple):
    """The description of a base volume: engine, use, repository, commit, and time of creation.

    A damaged one has no commit, and is no longer used.
    """

    name: str
    engine: str
    use: str
    place: str
    tip: str
    made: float


def _use(engine: Engine, spec: SandboxSpec, checkout: Checkout) -> str:
    """Return a digest that is equal for base volumes of the same use."""
    parts = [engine.endpoint.url, checkout.key, spec.workspace, "{}:{}".format(*spec.user)]
    parts += [part for part in (checkout.setup, checkout.outline) if part]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _path(name: str) -> Path:
    return realm_home() / "bases" / name


def is_filled(name: str) -> bool:
    """Return whether base volume ``name`` was completely filled."""
    return _path(name).exists()


def _records() -> dict[str, _Record | None]:
    """Return the descriptions of all base volumes, ``None`` for those of earlier versions."""
    found: dict[str, _Record | None] = {}
    with suppress(OSError):
        for path in (realm_home() / "bases").iterdir():
            try:
                record = _Record(**json.loads(path.read_bytes()))
                found[path.name] = record if is_id(record.tip) or not record.tip else None
            except (OSError, ValueError, TypeError):
                found[path.name] = None
    return found


def find_base(engine: Engine, spec: SandboxSpec, checkout: Checkout) -> Base | None:
    """Return the best base volume that the sandbox may see; ``None`` when none is recent enough."""
    use = _use(engine, spec, checkout)
    records = _records().values()
    known = [record for record in records if record is not None and record.use == use and record.tip]
    known.sort(
        key=lambda record: (record.tip == spec.owner.tip, record.tip == checkout.tip, record.made),
        reverse=True,
    )
    for record in known:
        fresh = record.tip in (spec.owner.tip, checkout.tip) or record.made > time.time() - BASE_LIFETIME
        if not fresh or not checkout.sees([record.tip]):
            continue
        found = engine.volume(record.name)
        if found is not None and proof.holds("volume", found.name, found.labels):
            with suppress(OSError):
                os.utime(_path(record.name))
            return Base(record.name, found.mountpoint, record.tip)
        _path(record.name).unlink(missing_ok=True)
    return None


def make_base(engine: Engine, spec: SandboxSpec, checkout: Checkout) -> Base:
    """Check the project out into a new base volume, unless another process has just done so."""
    use, name = _use(engine, spec, checkout), f"realm-base-{os.urandom(6).hex()}"
    doing = "setting the project up (realm.setup)" if checkout.setup else "checking the project out"
    with checkout.progress(f"{doing}, once"), locked(f"base-{use}"):
        if (base := find_base(engine, spec, checkout)) is not None:
            return base
        _collect(engine, checkout.place)
        owned = Volumes(f"{name}-state", name)
        owner = spec.owner._replace(role="base", tip=checkout.tip, started=int(time.time()))
        known = labels(owner, f"{name}-fill", owned.all)
        for made in known.values():
            # A base volume does not belong to the session, and outlives it.
            made[layout.MAKER] = made.pop(layout.ID)
        try:
            mountpoint = engine.create_volume(name, known[name], {})
            _fill(engine, spec, owned, known, checkout)
            record = _Record(name, engine.endpoint.url, use, checkout.place, checkout.tip, time.time())
            make_private(_path(name).parent)
            replace(_path(name), json.dumps(record._asdict()).encode())
        except BaseException:
            remove(engine, (name,))
            raise
    return Base(name, mountpoint, checkout.tip)


def _fill(
    engine: Engine,
    spec: SandboxSpec,
    owned: Volumes,
    known: Mapping[str, Mapping[str, str]],
    checkout: Checkout,
) -> None:
    """Run the entry script's ``base`` on the work volume."""
    uid, gid = spec.user
    spec = spec._replace(
        command=("base",), tty=False, stdin=False, args=DockerArgs(), uid=uid, gid=gid,
        environment={**spec.environment, "REALM_TIP": checkout.tip},
    )  # fmt: skip
    if not checkout.setup:
        spec = spec._replace(network="none", egress="", caches=())
    container = f"{owned.work}-fill"
    try:
        container = engine.create(specs.create_options(spec, owned, known), container)
        inside = [transfer.entry_script(), *checkout.inside]
        state = transfer.entries(layout.STATE, inside, layout.DIRECTORIES, spec.user)
        transfer.put(engine, container, layout.STATE, state)
        work = transfer.entries(layout.WORK, [], [spec.workspace], spec.user)
        transfer.put(engine, container, layout.WORK, work)
        engine.start(container)
        code = engine.wait(container)
        if code == _NOT_SET_UP:
            raise _not_set_up(engine, container)
    finally:
        engine.remove(container)
        remove(engine, (owned.state,))
    if code != 0:
        raise EngineError(f"the project could not be checked out into a base volume (exit code {code})")


def _not_set_up(engine: Engine, container: str) -> SetupError:
    """Return the error with the last lines of the setup command's output."""
    long = b"its output is too long to be shown"
    said = b""
    try:
        with engine.get(container, layout.SETUP_SAID) as pieces:
            found = transfer.first_file(pieces, _SAID)
            said = long if found is None else found
    except RejectedError:
        said = long
    except EngineError:
        pass  # report the failure without its output
    lines = [clean(line) for line in said.decode("utf-8", "replace").splitlines()[-_LINES:]]
    return SetupError(
        "\n".join(["realm.setup failed:", *lines]) if lines else "realm.setup failed, and printed nothing",
        "git config realm.setup COMMAND sets another, REALM_SETUP= realm new … runs none",
    )


def _collect(engine: Engine, place: str) -> None:
    """Remove unused base volumes: the oldest of a repository that has too many, and damaged ones."""
    records = _records()
    ages = sorted((_used(name), name) for name, record in records.items() if record and record.place == place)
    old = [name for used, name in ages[: 1 - MOST_BASES] if used < time.time() - _RECENT]
    spoiled = [name for name, record in records.items() if record is None or not record.tip]
    for name in dict.fromkeys((*old, *spoiled)):
        _discard(engine, name)


def _used(name: str) -> float:
    try:
        return _path(name).stat().st_mtime
    except OSError:
        return 0.0


def _discard(engine: Engine, name: str) -> None:
    """Remove a base volume unless a sandbox, or a workspace without a container, uses it."""
    found = engine.volume(name)
    if found is not None and any(
        f"lowerdir={found.mountpoint}," in other.options.get("o", "")
        for other in engine.volumes(f"{layout.ROLE}=box")
    ):
        return
    try:
        engine.remove_volume(name)
    except EngineError as error:
        if error.kind != "conflict":
            raise
    else:
        _path(name).unlink(missing_ok=True)


def forget(place: str) -> None:
    """Mark the base volumes of a repository as damaged, so that no new sandbox uses them."""
    for name, record in _records().items():
        if record is not None and record.place == place:
            replace(_path(name), json.dumps(record._replace(tip="")._asdict()).encode())


def prune(engine: Engine) -> None:
    """Remove the base volumes of projects that no longer exist."""
    for name, record in _records().items():
        if record is None or record.engine != engine.endpoint.url:
            continue
        if not Path(record.place).exists():
            _discard(engine, name)


# -- engines without overlays ----------------------------------------------


def _memory() -> Path:
    return realm_home() / "engines.json"


def _remembered() -> dict[str, Any]:
    try:
        value = json.loads(_memory().read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def has_failed(engine: Engine, what: str = "overlay") -> bool:
    """Return whether overlay volumes (or ``quota``, limits of volumes) once failed on this engine."""
    known = _remembered().get(engine.endpoint.url)
    return isinstance(known, dict) and known.get(what) is False


def note_failure(engine: Engine, error: EngineError) -> None:
    """If the error says that this engine does not support overlay volumes, remember it and the reason."""
    if error.kind != "unsupported":
        return
    _note(engine, {"overlay": False, "reason": error.message, "since": int(time.time())})


def _note(engine: Engine, facts: Mapping[str, object]) -> None:
    make_private(realm_home())
    known = _remembered()
    before = known.get(engine.endpoint.url)
    known[engine.endpoint.url] = {**(before if isinstance(before, dict) else {}), **facts}
    replace(_memory(), json.dumps(known, indent=2).encode() + b"\n")
