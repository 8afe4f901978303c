"""Caches: what tools download and compile, in a volume of the project that outlives its sandboxes.

There is one for each project, sandbox user and engine, mounted at :data:`layout.CACHE`.  Its name is derived
from these and this REALM_HOME's key, so that two simultaneous first starts use the same one, and other
projects never do.  ``REALM_HOME/caches/<name>.json`` describes it, and exists once the volume's owner is its
user; the file's time is when a sandbox last had the volume.

Tools find their caches by their own variables, unless the image or the user has set these; for what no
variable controls there is a tool's file in the home, or the entry script does it.

If an image's own variables make tools write to its read-only system, as ``CARGO_HOME`` may, or the user wants
it (``realm.cachePath``), a volume of the same kind has a copy of the image's directory.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import EngineError, UsageError
from realm.paths import make_private, realm_home, replace
from realm.sandbox import layout, proof, transfer
from realm.sandbox.history import locked
from realm.sandbox.spec import CacheVolume
from realm.sandbox.transfer import SandboxFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner

ROLE = "cache"
LIFETIME = 30 * 24 * 3600.0
"""Seconds after which an unused cache is removed."""
_PATIENCE = 120.0
"""Seconds for measuring its size."""

_TOP = layout.CACHE
VARIABLES: Mapping[str, str] = {
    "PIP_CACHE_DIR": f"{_TOP}/pip",
    "UV_CACHE_DIR": f"{_TOP}/uv",
    "npm_config_cache": f"{_TOP}/npm",
    "YARN_GLOBAL_FOLDER": f"{_TOP}/yarn-berry",
    "GOMODCACHE": f"{_TOP}/go/mod",
    "GOCACHE": f"{_TOP}/go/build",
    "MAVEN_OPTS": f"-Dmaven.repo.local={_TOP}/maven/repository",
    "MAVEN_USER_HOME": f"{_TOP}/maven",
    "CCACHE_DIR": f"{_TOP}/ccache",
    "COMPOSER_CACHE_DIR": f"{_TOP}/composer",
    "POETRY_CACHE_DIR": f"{_TOP}/poetry",
    "PDM_CACHE_DIR": f"{_TOP}/pdm",
    "BUN_INSTALL_CACHE_DIR": f"{_TOP}/bun",
    "DENO_DIR": f"{_TOP}/deno",
}
"""The variables by which tools find their caches; yarn 1 and pnpm have none that is only for them."""
_BESIDE: Mapping[str, str] = {
    # Without it, uv warns at each install that it cannot link into a work tree on another volume.
    "UV_LINK_MODE": "copy",
    # Poetry's environments would be in its cache, those of all sessions in one.
    "POETRY_VIRTUALENVS_PATH": f"{layout.HOME}/.cache/pypoetry/virtualenvs",
    # For the entry script, which handles cargo and gradle.
    "REALM_CACHE_DIR": _TOP,
}
_DIRECTORIES = ("cargo/registry", "cargo/git", "gradle")
_FILES = (
    SandboxFile(f"{layout.HOME}/.yarnrc", f'cache-folder "{_TOP}/yarn"\n'.encode()),
    SandboxFile(f"{layout.HOME}/.config/pnpm/rc", f"store-dir={_TOP}/pnpm\n".encode()),
    SandboxFile(f"{layout.HOME}/.config/pnpm/config.yaml", f"storeDir: {_TOP}/pnpm\n".encode()),
)


_TOOLS_OWN: Mapping[str, tuple[str, ...]] = {
    "CARGO_HOME": ("bin", "registry", "git"),
    "GEM_HOME": ("bin", "cache", "gems", "specifications"),
    "GOPATH": ("bin", "pkg", "src"),
    "RUSTUP_HOME": ("downloads", "tmp", "toolchains", "update-hashes"),
}
"""Images' variables for directories that tools also write to, and what they write there."""
_TOPS = {
    "/", "/home", "/opt", "/root", "/srv", "/usr", "/usr/local", "/usr/local/share", "/var", "/var/lib",
    "/workspace",
}  # fmt: skip
"""Not allowed themselves, though directories below them may be."""
_SYSTEM = r"((/usr(/local)?)?/(bin|boot|dev|etc|include|lib\w*|proc|run|sbin|sys)|/usr/share|/var/run)(/.*)?"
_WRITABLE = (layout.STATE, layout.WORK, _TOP, "/tmp", "/var/tmp")  # noqa: S108


class Cache(NamedTuple):
    """A project's cache: its volume, engine, repository and user (``UID:GID``).

    ``target`` is its path in a sandbox; it starts with the image's content there.
    """

    name: str
    engine: str
    key: str
    place: str
    user: str
    target: str = _TOP


def of(
    engine: Engine, key: str, place: str, user: tuple[int, int], target: str = _TOP, image: str = ""
) -> Cache:
    """Return the cache of a repository, identified by :class:`realm.store.history.History`'s key and place.

    With another ``target`` it is a copy of that directory in ``image``, an id.
    """
    who = "{}:{}".format(*user)
    parts = [engine.endpoint.url, key, who, *([target, image] if image else [])]
    code = proof.prove(ROLE, "\0".join(parts))[layout.PROOF]
    return Cache(f"realm-cache-{code[:12]}", engine.endpoint.url, key, place, who, target)


def tools_own(given: Mapping[str, str]) -> list[str]:
    """Return the read-only directories that the image's variables ``given`` tell tools to write to."""
    found: set[str] = set()
    for name in _TOOLS_OWN.keys() & given.keys():
        texts = given[name].split(":") if name == "GOPATH" else [given[name]]
        found.update(layout.normal(text) for text in texts if text.startswith("/") and can_be(text))
    return sorted(found)


def can_be(target: str) -> bool:
    """Tell whether a directory is neither the system's or realm's own, nor writable already."""
    target = layout.normal(target)
    inside = any(target == top or target.startswith(f"{top}/") for top in _WRITABLE)
    is_system = target in _TOPS or re.fullmatch(_SYSTEM, target) is not None
    return not is_system and not inside and not layout.is_own(target)


def chosen(targets: Iterable[str]) -> list[str]:
    """Return the directories that the user wants cached; raises ``UsageError`` for an unsuitable one."""
    found = {layout.normal(target) for target in targets}
    for target in found:
        if not can_be(target):
            raise UsageError(
                f"realm.cachePath is {target}, which is the system's, realm's own or writable anyway",
                "name a directory such as /opt/data; what lies below /cache is kept without that",
            )
    return sorted(found)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which tools find their caches, without those already ``given``.

    npm's variables may be in any case.
    """
    taken = {name.lower() for name in given}
    return {name: text for name, text in {**VARIABLES, **_BESIDE}.items() if name.lower() not in taken}


def files() -> tuple[SandboxFile, ...]:
    """Return files for the home by which tools without a variable find their caches."""
    return _FILES


def ready(engine: Engine, image: str, cache: Cache, owner: Owner) -> CacheVolume:
    """Return the cache's volume for a sandbox's mount, created and given to its user if necessary.

    ``image`` may be any on the engine.  Raises ``EngineError`` when something else has its name.
    """
    labels = _labels(owner, cache, "volume", cache.name, ROLE)
    if not _is_ready(engine, cache):
        with locked(cache.name):
            if not _is_ready(engine, cache):
                _make(engine, image, cache, owner, labels)
    return CacheVolume(cache.name, cache.target, labels)


def _is_ready(engine: Engine, cache: Cache) -> bool:
    """Return whether the volume exists and belongs to its user, and note its use."""
    found = engine.volume(cache.name)
    if found is not None and not proof.holds("volume", cache.name, found.labels):
        raise EngineError(
            "something on the engine has the name of the project's cache, and is not realm's",
            f"docker volume rm {cache.name}",
        )
    if found is None or not _path(cache.name).exists():
        return False
    with suppress(OSError):
        os.utime(_path(cache.name))
    return True


def _make(engine: Engine, image: str, cache: Cache, owner: Owner, labels: Mapping[str, str]) -> None:
    if cache.target != _TOP:
        # A copy may be incomplete: the engine only copies into an empty volume.
        engine.remove_volume(cache.name)
    engine.create_volume(cache.name, labels, {})
    _hand_over(engine, image, cache, owner)
    make_private(_path(cache.name).parent)
    replace(_path(cache.name), json.dumps(cache._asdict()).encode())


def _labels(owner: Owner, cache: Cache, kind: str, name: str, role: str) -> dict[str, str]:
    own = owner._replace(role=role, id="", session="", run=0, tip="", history="", egress="")
    labels = {**own._replace(started=int(time.time())).labels(proof.home()), layout.KEY: cache.key}
    return {**labels, **proof.prove(kind, name)}


def _hand_over(engine: Engine, image: str, cache: Cache, owner: Owner) -> None:
    """Give the volume to its user, by a container that is never started."""
    user, top = _user(cache), cache.target.strip("/")
    if cache.target == _TOP:
        below = [*(path.partition("/")[0] for path in _DIRECTORIES), *_DIRECTORIES]
    else:
        variables = engine.images_seen[image].environment if image in engine.images_seen else {}
        below = [
            path for name, paths in _TOOLS_OWN.items()
            if cache.target in map(layout.normal, variables.get(name, "").split(":")) for path in paths
        ]  # fmt: skip
    members = [transfer.entry(path, user) for path in (top, *(f"{top}/{path}" for path in below))]
    container = _container(engine, image, cache, owner, ["/bin/false"])
    try:
        transfer.put(engine, container, "/", members)
    finally:
        engine.remove(container)


def _user(cache: Cache) -> tuple[int, int]:
    uid, _, gid = cache.user.partition(":")
    return int(uid), int(gid)


def _container(engine: Engine, image: str, cache: Cache, owner: Owner, command: list[str]) -> str:
    name = f"{cache.name}-{os.urandom(4).hex()}"
    mount = {
        "Type": "volume", "Source": cache.name, "Target": cache.target,
        "VolumeOptions": {"NoCopy": cache.target == _TOP},
    }  # fmt: skip
    return engine.create(
        {
            "Image": image,
            "Entrypoint": command,
            "User": cache.user,
            "Labels": _labels(owner, cache, "container", name, "tool"),
            "HostConfig": {
                "Mounts": [mount], "NetworkMode": "none", "Init": True, "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"], "LogConfig": {"Type": "none"},
            },
        },
        name,
    )  # fmt: skip


# -- what is known of them -------------------------------------------------------


def _path(name: str) -> Path:
    return realm_home() / "caches" / f"{name}.json"


def known(engine: Engine, key: str = "") -> list[Cache]:
    """Return the caches on this engine, or those of one repository."""
    found = []
    with suppress(OSError):
        for path in sorted((realm_home() / "caches").glob("realm-cache-*.json")):
            with suppress(OSError, ValueError, TypeError):
                cache = Cache(**json.loads(path.read_bytes()))
                if cache.name == path.stem and cache.engine == engine.endpoint.url and key in ("", cache.key):
                    found.append(cache)
    return found


def sizes(engine: Engine, image: str, cache: Cache, owner: Owner) -> dict[str, int]:
    """Return the bytes on disk of each directory in a cache; empty without the volume."""
    if not _is_ours(engine, cache.name):
        return {}
    container = _container(engine, image, cache, owner, ["sleep", "600"])
    said: list[bytes] = []
    try:
        engine.start(container)
        engine.exec(container, ["du", "-k", "-d", "1", cache.target], said.append, patience=_PATIENCE)
    finally:
        engine.remove(container)
    return dict(_read(b"".join(said), cache.target))


def _read(said: bytes, target: str) -> Iterator[tuple[str, int]]:
    """Parse ``du``'s output: directories below the top, or another target as a whole, and bytes."""
    for line in said.decode("utf-8", "replace").splitlines():
        number, _, path = line.partition("\t")
        if number.isascii() and number.isdigit():
            if target == _TOP and path.startswith(f"{_TOP}/"):
                yield path.removeprefix(f"{_TOP}/"), int(number) * 1024
            elif path == target != _TOP:
                yield target, int(number) * 1024


def _is_ours(engine: Engine, name: str) -> bool:
    found = engine.volume(name)
    return found is not None and proof.holds("volume", name, found.labels)


def remove(engine: Engine, cache: Cache) -> bool:
    """Remove a cache; return whether it is gone, as one that a container uses stays."""
    try:
        if _is_ours(engine, cache.name):
            engine.remove_volume(cache.name)
    except EngineError as error:
        if error.kind != "conflict":
            raise
        return False
    _path(cache.name).unlink(missing_ok=True)
    return True


def prune(engine: Engine) -> None:
    """Remove the caches of projects that are gone, and those unused for long."""
    for cache in known(engine):
        with suppress(OSError):
            used = _path(cache.name).stat().st_mtime
            if not Path(cache.place).exists() or used < time.time() - LIFETIME:
                remove(engine, cache)
