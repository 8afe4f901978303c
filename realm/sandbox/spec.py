"""A sandbox's description and its translation into the Engine API's terms, without side effects.

Every sandbox starts locked down: no capabilities, no new privileges, a read-only root, an unprivileged user,
limits on memory, processors, processes and open files; only its two volumes and ``/tmp`` are writable.  An
inspection of the container shows no secrets: they are in a file (:data:`layout.ENVIRONMENT`).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.sandbox import docker_inside, flags, layout
from realm.sandbox.flags import DockerArgs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.answers import Machine
    from realm.sandbox.layout import Owner


_MOST_MEMORY = 16 * 1024**3
"""Largest default memory limit of a sandbox, in bytes."""
_OPEN_FILES = 65536
"""Files that a process in a sandbox may have open, if the engine allows that many."""
_SHARED_MEMORY = 1024**3
"""Bytes of ``/dev/shm``, which count as memory when used: browsers crash with the engine's 64 MiB."""


class CacheVolume(NamedTuple):
    """A volume that outlives the sandbox and that others write to as well, with its current labels."""

    volume: str
    target: str
    labels: Mapping[str, str]


class SandboxSpec(NamedTuple):
    """The description of one sandbox."""

    image: str
    """Id or name."""
    command: tuple[str, ...]
    """The entry script's verb and arguments."""
    uid: int
    gid: int
    workspace: str
    """The work tree's path inside."""
    owner: Owner
    history: str = ""
    """The volume of the project's history."""
    environment: Mapping[str, str] = {}
    """Variables that are not secret."""
    tty: bool = False
    stdin: bool = True
    hostname: str = ""
    memory: int | None = 0
    """Bytes, 0 for no limit; ``None`` is replaced by :func:`limited`."""
    cpus: float | None = 0
    """Number of processors, 0 for all; ``None`` is replaced by :func:`limited`."""
    pids: int = 4096
    """Number of processes."""
    network: str = "open"
    """``open`` (:data:`layout.OPEN_NETWORK`), ``allow`` (only through a sidecar) or ``none``."""
    egress: str = ""
    """The sidecar's volume."""
    caches: tuple[CacheVolume, ...] = ()
    volumes: str = "auto"
    """``auto``, ``plain`` or ``overlay``."""
    workspace_size: int | None = 0
    """Bytes, 0 for no limit; ``None`` lets :func:`workspace.make` choose, if the engine can limit volumes."""
    files: int = 0
    """How many files the work tree has, for ``auto``; 0 if unknown."""
    mapper_image: str = ""
    """The image for :func:`docker_inside.map_users`; empty without an engine inside."""
    args: DockerArgs = DockerArgs()
    """The user's docker flags."""

    @property
    def user(self) -> tuple[int, int]:
        """The uid and gid that everything inside runs as: docker flags take precedence."""
        uid, gid = self.args.user or (self.uid, self.gid)
        return uid, self.gid if gid is None else gid


class Volumes(NamedTuple):
    """The names of a sandbox's volumes: its state, its work, and others that are removed with it.

    ``open`` is whether the user can create a work tree in the work volume without further steps.  ``base`` is
    the base volume below an overlay, empty for a plain volume; it is not the sandbox's own.  ``size`` is the
    most bytes of the work, 0 for no limit.
    """

    state: str
    work: str
    others: tuple[str, ...] = ()
    open: bool = False
    base: str = ""
    size: int = 0

    @property
    def all(self) -> tuple[str, ...]:
        """All volumes' names, in an order in which they can be removed."""
        return (self.work, self.state, *self.others)


def environment(spec: SandboxSpec) -> dict[str, str]:
    """Return the part of the sandbox's environment that an inspection may show."""
    chosen = any(one.flag == "ulimit" and one.value["Name"] == "nofile" for one in spec.args.given)
    own = {
        "HOME": layout.HOME,
        "REALM_WORKSPACE": spec.workspace,
        # Not set by the engine: a rootless one, which may have a lower limit itself, would refuse.
        "REALM_OPEN_FILES": "" if chosen else str(_OPEN_FILES),
        # The engine's init passes signals on to the agent, not only to the entry script.
        "TINI_KILL_PROCESS_GROUP": "1",
        # Its warning about an early signal would appear on the agent's screen.
        "TINI_VERBOSITY": "0",
    }
    docker = docker_inside.ENVIRONMENT if spec.mapper_image else {}
    return {**docker, **spec.environment, **own}


def trusting(image: Mapping[str, str], *, is_more: bool = False) -> dict[str, str]:
    """Return variables that make all programs trust the authorities in an image's ``SSL_CERT_FILE``.

    Without them Python's requests, for example, uses its own list, without a company's authority.  If the
    sandbox has more authorities than the image (``is_more``), they name all of them.  Other files that the
    image names stay.
    """
    own = image.get("SSL_CERT_FILE")
    file = layout.TRUSTED if is_more else own
    found = {name: file for name in layout.TRUSTING if image.get(name, own) == own} if file else {}
    return {**found, "REALM_IMAGE_AUTHORITIES": own} if is_more and own else found


def secrets(values: Mapping[str, str]) -> bytes:
    """Return the file of shell lines that the entry script reads and empties before the agent starts."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()).encode()


def limited(spec: SandboxSpec, machine: Machine) -> SandboxSpec:
    """Return ``spec`` with limits that suit the machine in place of ``None``.

    Memory is three quarters of the machine's, at most 16 GiB; processors are all but one if there are more
    than two.
    """
    memory, cpus = spec.memory, spec.cpus
    if memory is None:
        memory = min(machine.memory * 3 // 4, _MOST_MEMORY)
    if cpus is None:
        cpus = machine.cpus - 1 if machine.cpus > 2 and machine.limits_cpus else 0  # noqa: PLR2004
    return spec._replace(memory=memory, cpus=cpus)


def _shared(name: str, target: str) -> dict[str, Any]:
    """Return a read-only mount of a volume that sandboxes share."""
    return {
        "Type": "volume", "Source": name, "Target": target, "ReadOnly": True,
        "VolumeOptions": {"NoCopy": True},
    }  # fmt: skip


def _volume(name: str, target: str, labels: Mapping[str, str], *, copy: bool) -> dict[str, Any]:
    options = {"NoCopy": not copy, "Labels": dict(labels)}
    return {"Type": "volume", "Source": name, "Target": target, "VolumeOptions": options}


def host_config(
    spec: SandboxSpec, volumes: Volumes, labels: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the hardened ``HostConfig``; ``labels`` are the volumes', by their names."""
    config: dict[str, Any] = {
        "Init": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "PidsLimit": spec.pids,
        "ShmSize": _SHARED_MEMORY,
        "Tmpfs": dict.fromkeys(("/tmp", "/var/tmp"), "rw,exec,nosuid,nodev,mode=1777"),  # noqa: S108
        # Keeps the agent's output off the host's disk; this is also the fastest driver.
        "LogConfig": {"Type": "none"},
        "Mounts": [
            # The image may make /workspace writable for everybody, which saves a request.
            _volume(volumes.work, layout.WORK, labels.get(volumes.work, {}), copy=True),
            _volume(volumes.state, layout.STATE, labels.get(volumes.state, {}), copy=False),
            *([_shared(spec.history, layout.HISTORY)] if spec.history else []),
            *([_shared(volumes.base, layout.BASE)] if volumes.base else []),
            *([_shared(spec.egress, layout.EGRESS)] if spec.egress else []),
            *(_volume(one.volume, one.target, one.labels, copy=False) for one in spec.caches),
        ],
    }
    config["NetworkMode"] = layout.OPEN_NETWORK if spec.network == "open" else "none"
    # Nobody uses core dumps, and they may fill the disk.
    config["Ulimits"] = [{"Name": "core", "Soft": 0, "Hard": 0}]
    if spec.mapper_image:
        docker_inside.loosen(config)
    if spec.memory:
        config["Memory"] = config["MemorySwap"] = spec.memory
    if spec.cpus:
        config["NanoCpus"] = round(spec.cpus * 1e9)
    return config


def create_options(
    spec: SandboxSpec, volumes: Volumes, labels: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``; the user's docker flags take precedence.

    ``labels`` are the container's, under the empty name, and its volumes'.  Variables of ``-e`` and
    ``--env-file`` are left out: they are often secret, and are passed with the other secrets.
    """
    options: dict[str, Any] = {
        "Image": spec.image,
        "Entrypoint": ["/bin/sh", layout.ENTRY],
        "Cmd": list(spec.command),
        "User": "{}:{}".format(*spec.user),
        "WorkingDir": layout.WORK,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        # Always there: the image may have such a label, too.
        "Labels": {**labels.get("", {}), layout.WORKSPACE_SIZE: str(volumes.size)},
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin,
        "AttachStdin": spec.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": host_config(spec, volumes, labels),
    }
    if hostname := _hostname(spec.hostname):
        options["Hostname"] = hostname
    flags.apply(options, spec.args)
    host = options["HostConfig"]
    if "Hostname" in options and host["NetworkMode"] == "none":
        # Without a network the engine does not resolve the name, and many programs look up their own.
        host.setdefault("ExtraHosts", []).append(f"{options['Hostname']}:127.0.0.1")
    return options


def _hostname(name: str) -> str:
    """Return ``name`` as a valid host name: letters, digits and dashes, at most 63."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)
    return kept.strip("-")[:63].rstrip("-")
