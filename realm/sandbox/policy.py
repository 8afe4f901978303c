"""What a box is and what it may do: from a description to the Engine API's words.  Pure.

Every box starts with everything off: no capability, no new privileges, a
read-only root, a limit on processes and memory, a user of its own; writable
are its two volumes and ``/tmp``.  Nothing secret goes into what an inspection
of the container shows: secrets are a file (``/realm/env``).
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.errors import UsageError
from realm.sandbox import flags
from realm.sandbox.dockerargs import DockerArgs, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE = "/realm"
"""Where the state volume is: entry script, agent's home, results."""
WORK = "/workspace"
"""Where the workspace's volume is."""
OBJECTS = "/objects"
"""Where the project's object stores are, read-only, numbered from 0."""
OUT = f"{STATE}/out"
"""What the host fetches when the box has stopped."""
NETWORKS = ("open", "none")
"""``open`` is the engine's default network, ``none`` is none at all."""

WORKSPACES = ("auto", "overlay", "plain")
"""What the workspace's volume may be: ``auto`` is an overlay where that is worth it, and to be had."""

DIRECTORIES = (f"{STATE}/home", f"{STATE}/claude", f"{STATE}/git", OUT)
"""What the box's user owns below the state volume."""


class BoxSpec(NamedTuple):
    """One box.

    ``image`` is an image's id or name, ``command`` the entry script's verb and
    arguments, ``workspace`` the work tree's path in the box.  ``object_stores``
    are host directories, the project's own first; empty when history comes as
    a pack among the files.  ``environment`` holds nothing secret.  ``memory``
    is a size such as ``8g``, empty for no limit; ``pids`` the number of
    processes.  ``volumes`` is ``auto``, ``plain`` or ``overlay``, and ``files``
    how many files the work tree has, for ``auto`` (0: not known).  ``entry`` is
    where the entry script is; with a ``token`` results come over the stream, and
    files too for a box that ``waits`` for them (:mod:`realm.sandbox.parcel`).
    """

    image: str
    command: tuple[str, ...]
    uid: int
    gid: int
    workspace: str
    object_stores: tuple[Path, ...] = ()
    environment: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    tty: bool = False
    stdin: bool = True
    hostname: str = ""
    memory: str = ""
    pids: int = 4096
    network: str = "open"
    volumes: str = "auto"
    files: int = 0
    entry: str = f"{STATE}/entry"
    token: str = ""
    waits: bool = False

    @property
    def tip(self) -> str:
        """The commit that the box starts on."""
        return self.environment.get("REALM_TIP", "")


class Volumes(NamedTuple):
    """The names of a box's volumes: its state and its work, and others that go with it.

    ``open`` is whether the box's user has a work tree in the work volume already.
    ``base`` is the base volume below an overlay, empty for a plain one; it is
    not the box's own.
    """

    state: str
    work: str
    others: tuple[str, ...] = ()
    open: bool = False
    base: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """Every volume's name, in an order in which they can be removed."""
        return (self.work, self.state, *self.others)


def environment(spec: BoxSpec) -> dict[str, str]:
    """Return the box's environment as an inspection of it shows it."""
    own = {
        "HOME": f"{STATE}/home",
        "REALM_WORKSPACE": spec.workspace,
        "REALM_STORES": str(len(spec.object_stores)),
        # The engine's init passes signals on to the agent, not to the entry script alone.
        "TINI_KILL_PROCESS_GROUP": "1",
    }
    if spec.token:
        own["REALM_PARCEL"] = spec.token
    if spec.waits:
        own["REALM_FILES"] = "yes"
    return {**spec.environment, **own}


def secrets(values: Mapping[str, str]) -> bytes:
    """Return the file of shell lines that the entry script reads and empties before the agent starts."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()).encode()


def store_mounts(stores: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return the read-only mounts of object stores.

    A store's own list of alternates has host paths; it is hidden, because all
    of them are mounted and listed anew.
    """
    mounts = []
    for number, store in enumerate(stores):
        mounts.append(_bind(store, f"{OBJECTS}/{number}"))
        if (store / "info" / "alternates").exists():
            mounts.append(_bind(Path("/dev/null"), f"{OBJECTS}/{number}/info/alternates"))
    return mounts


def _bind(source: Path, target: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": True}


def _base(name: str) -> dict[str, Any]:
    """Mount what lies below an overlay, so that the engine knows it to be in use."""
    return {
        "Type": "volume",
        "Source": name,
        "Target": "/base",
        "ReadOnly": True,
        "VolumeOptions": {"NoCopy": True},
    }


def _volume(name: str, target: str, labels: Mapping[str, str], *, copy: bool) -> dict[str, Any]:
    options = {"NoCopy": not copy, "Labels": dict(labels)}
    return {"Type": "volume", "Source": name, "Target": target, "VolumeOptions": options}


def _check(name: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise UsageError(
            f"{name} {value!r} is none of {', '.join(values)}", f"git config realm.{name} {values[0]}"
        )


def host_config(spec: BoxSpec, volumes: Volumes) -> dict[str, Any]:
    """Return the hardened ``HostConfig``; ``UsageError`` when a setting is none of its values."""
    _check("workspace", spec.volumes, WORKSPACES)
    _check("network", spec.network, NETWORKS)
    config: dict[str, Any] = {
        "Init": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "PidsLimit": spec.pids,
        "Tmpfs": {"/tmp": "rw,exec,nosuid,nodev,mode=1777"},  # noqa: S108
        # What the agent shows stays off the host's disk; it is also the fastest.
        "LogConfig": {"Type": "none"},
        "Mounts": [
            # The image may open /workspace to everybody, which saves a request.
            _volume(volumes.work, WORK, spec.labels, copy=True),
            _volume(volumes.state, STATE, spec.labels, copy=bool(spec.token)),
            *store_mounts(spec.object_stores),
            *([_base(volumes.base)] if volumes.base else []),
        ],
    }
    if spec.network == "none":
        config["NetworkMode"] = "none"
    if spec.memory:
        config["Memory"] = config["MemorySwap"] = setting("memory", spec.memory)
    return config


def create_options(spec: BoxSpec, volumes: Volumes, args: DockerArgs | None = None) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``; the user's docker flags have the last word.

    What ``-e`` and ``--env-file`` set is not in it: that is often secret, and
    goes into the box with the other secrets.
    """
    options: dict[str, Any] = {
        "Image": spec.image,
        "Entrypoint": ["/bin/sh", spec.entry],
        "Cmd": list(spec.command),
        "User": f"{spec.uid}:{spec.gid}",
        "WorkingDir": WORK,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "Labels": dict(spec.labels),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin,
        "AttachStdin": spec.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": host_config(spec, volumes),
    }
    if hostname := _hostname(spec.hostname):
        options["Hostname"] = hostname
    flags.apply(options, args or DockerArgs())
    return options


def _hostname(name: str) -> str:
    """Return ``name`` as a host's: letters, digits and dashes, at most 63."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)
    return kept.strip("-")[:63].rstrip("-")
