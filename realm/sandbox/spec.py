"""What a sandbox is and what it may do: turns a description into the Engine API's terms. Pure.

Every sandbox starts locked down: no capabilities, no new privileges, a read-only root, limits on memory,
processors, processes and open files, a user of its own; only its two volumes and ``/tmp`` are writable.
An inspection of the container shows nothing secret: secrets are in a file (:data:`layout.ENVIRONMENT`).
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
"""Bytes that a sandbox gets at most unless its user says otherwise."""
_OPEN_FILES = 65536
"""Files that a process in a sandbox may have open, where the engine lets it have that many."""
_SHARED_MEMORY = 1024**3
"""Bytes of ``/dev/shm``, which counts as memory where it is used: browsers die of the engine's 64 MiB."""


class Kept(NamedTuple):
    """A volume that outlives the sandbox and that others write to as well; ``labels`` are those it has."""

    volume: str
    target: str
    labels: Mapping[str, str]


class SandboxSpec(NamedTuple):
    """One sandbox.

    ``image`` is an image's id or name, ``command`` the entry script's verb and
    arguments, ``workspace`` the work tree's path inside.  ``history`` is
    the volume of the project's history.  ``environment`` holds nothing secret.  ``memory``
    is in bytes, 0 for no limit, and ``cpus`` the number of processors, 0 for all: ``None``
    is left to :func:`limited`.  ``pids`` is the number of processes; ``network``
    ``open`` (:data:`layout.OPEN_NETWORK`), ``allow`` (none but for a sidecar, whose volume is
    ``egress``) or ``none``.  ``caches`` are volumes that outlive it.
    ``volumes`` is ``auto``,
    ``plain`` or ``overlay``, and ``files`` how many files the work tree has,
    for ``auto`` (0: not known).  ``mapper_image`` is what :func:`docker_inside.map_users` needs for an
    engine of its own, empty where it has none.  ``args`` are the user's docker flags.
    """

    image: str
    command: tuple[str, ...]
    uid: int
    gid: int
    workspace: str
    owner: Owner
    history: str = ""
    environment: Mapping[str, str] = {}
    tty: bool = False
    stdin: bool = True
    hostname: str = ""
    memory: int | None = 0
    cpus: float | None = 0
    pids: int = 4096
    network: str = "open"
    egress: str = ""
    caches: tuple[Kept, ...] = ()
    volumes: str = "auto"
    files: int = 0
    mapper_image: str = ""
    args: DockerArgs = DockerArgs()

    @property
    def user(self) -> tuple[int, int]:
        """The uid and gid that everything inside runs as: the docker flags have the last word."""
        uid, gid = self.args.user or (self.uid, self.gid)
        return uid, self.gid if gid is None else gid


class Volumes(NamedTuple):
    """The names of a sandbox's volumes: its state and its work, and others that go with it.

    ``open`` is whether the user has a work tree in the work volume already.
    ``base`` is the base volume below an overlay, empty for a plain one; it is
    not the sandbox's own.
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


def environment(spec: SandboxSpec) -> dict[str, str]:
    """Return the sandbox's environment as an inspection of it shows it."""
    own = {
        "HOME": layout.HOME,
        "REALM_WORKSPACE": spec.workspace,
        # Not for the engine to set: a rootless one, which may have fewer itself, would refuse.
        "REALM_OPEN_FILES": "" if _has_limit(spec.args, "nofile") else str(_OPEN_FILES),
        # The engine's init passes signals on to the agent, not to the entry script alone.
        "TINI_KILL_PROCESS_GROUP": "1",
        # Its warning about a signal that comes too early would appear on the agent's screen.
        "TINI_VERBOSITY": "0",
    }
    docker = docker_inside.ENVIRONMENT if spec.mapper_image else {}
    return {**docker, **spec.environment, **own}


def trusting(image: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which all programs trust the authorities that an image's ``SSL_CERT_FILE`` has.

    Python's requests, say, bring a list of their own, without a company's.
    """
    file = image.get("SSL_CERT_FILE")
    return {name: file for name in layout.TRUSTING if name not in image} if file else {}


def _has_limit(args: DockerArgs, name: str) -> bool:
    return any(one.flag == "ulimit" and one.value["Name"] == name for one in args.given)


def secrets(values: Mapping[str, str]) -> bytes:
    """Return the file of shell lines that the entry script reads and empties before the agent starts."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()).encode()


def limited(spec: SandboxSpec, machine: Machine) -> SandboxSpec:
    """Return ``spec`` with limits that suit the machine where it leaves them open.

    Memory is three quarters of the machine's, at most 16 GiB; processors are all but
    one where there are more than two.
    """
    memory, cpus = spec.memory, spec.cpus
    if memory is None:
        memory = min(machine.memory * 3 // 4, _MOST_MEMORY)
    if cpus is None:
        cpus = machine.cpus - 1 if machine.cpus > 2 and machine.limits_cpus else 0  # noqa: PLR2004
    return spec._replace(memory=memory, cpus=cpus)


def _shared(name: str, target: str) -> dict[str, Any]:
    """Mount a volume that other sandboxes have too."""
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
        # What the agent shows stays off the host's disk; it is also the fastest.
        "LogConfig": {"Type": "none"},
        "Mounts": [
            # The image may open /workspace to everybody, which saves a request.
            _volume(volumes.work, layout.WORK, labels.get(volumes.work, {}), copy=True),
            _volume(volumes.state, layout.STATE, labels.get(volumes.state, {}), copy=False),
            *([_shared(spec.history, layout.HISTORY)] if spec.history else []),
            *([_shared(volumes.base, layout.BASE)] if volumes.base else []),
            *([_shared(spec.egress, layout.EGRESS)] if spec.egress else []),
            *(_volume(one.volume, one.target, one.labels, copy=False) for one in spec.caches),
        ],
    }
    config["NetworkMode"] = layout.OPEN_NETWORK if spec.network == "open" else "none"
    # Nobody looks at dumps of a process's memory, and they may fill the disk.
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
    """Return the body of ``POST /containers/create``; the user's docker flags have the last word.

    ``labels`` are the container's, under the empty name, and its volumes'.  What
    ``-e`` and ``--env-file`` set is not in it: that is often secret, and goes
    into the sandbox with the other secrets.
    """
    options: dict[str, Any] = {
        "Image": spec.image,
        "Entrypoint": ["/bin/sh", layout.ENTRY],
        "Cmd": list(spec.command),
        "User": "{}:{}".format(*spec.user),
        "WorkingDir": layout.WORK,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "Labels": dict(labels.get("", {})),
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
        # Without a network the engine gives the name no address, and many programs look their own up.
        host.setdefault("ExtraHosts", []).append(f"{options['Hostname']}:127.0.0.1")
    return options


def _hostname(name: str) -> str:
    """Return ``name`` as a host's: letters, digits and dashes, at most 63."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)
    return kept.strip("-")[:63].rstrip("-")
