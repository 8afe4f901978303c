"""What an engine reports about itself, its images, containers and volumes.

The answers are those of the Docker Engine API (https://docs.docker.com/reference/api/engine/). A
``KeyError``, ``TypeError`` or ``ValueError`` means that an answer is malformed.
"""

# No "annotations" import here: NamedTuple would compile each annotation at every start.
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from realm.sandbox import layout
from realm.sandbox.endpoint import Endpoint
from realm.text import clean

Json = dict[str, Any]
"""An object of the engine's API, in an answer or a request."""


class Info(NamedTuple):
    """The engine, its address, and what chose it."""

    version: str
    endpoint: str
    source: str

    @classmethod
    def of(cls, found: Json, endpoint: Endpoint) -> Self:
        """Return what ``GET /info`` says at ``endpoint``."""
        return cls(clean(found.get("ServerVersion", "")), endpoint.url, endpoint.source)


class Machine(NamedTuple):
    """An engine's machine: memory in bytes and processors, 0 if unknown.

    ``limits_cpus`` is whether it can limit processors, ``root`` the engine's directory there, ``maps_users``
    whether containers' users have other ids on the machine, ``unlimited`` the resources whose limits have no
    effect.
    """

    memory: int
    cpus: int
    limits_cpus: bool
    root: str = ""
    maps_users: bool = False
    unlimited: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /info`` says."""
        limits = {"MemoryLimit": "memory", "PidsLimit": "processes"}
        unlimited = [what for name, what in limits.items() if found.get(name) is False]
        is_rootless = any("rootless" in option for option in found.get("SecurityOptions") or ())
        if found.get("CgroupDriver") == "none" or (is_rootless and found.get("CgroupVersion") == "1"):
            unlimited.append("disk space")  # a container that fills it cannot be paused
        return cls(
            int(found.get("MemTotal") or 0),
            int(found.get("NCPU") or 0),
            found.get("CpuCfsQuota", True) is not False,
            str(found.get("DockerRootDir") or ""),
            any("rootless" in option or "userns" in option for option in found.get("SecurityOptions") or ()),
            tuple(unlimited),
        )


class Image(NamedTuple):
    """An image: id, labels, size in bytes, day of creation (``YYYY-MM-DD``), entrypoint, variables."""

    id: str
    labels: Mapping[str, str]
    tags: tuple[str, ...] = ()
    size: int = 0
    created: str = ""
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /images/…/json`` says."""
        config = found.get("Config", {})
        variables = (text.partition("=") for text in config.get("Env") or ())
        return cls(
            found["Id"], config.get("Labels") or {}, size=found.get("Size", 0),
            created=str(found.get("Created", ""))[:10], entrypoint=tuple(config.get("Entrypoint") or ()),
            environment={name: value for name, _, value in variables},
        )  # fmt: skip


class Facts(NamedTuple):
    """A container's constants: its id, its image's, whether it has a terminal, ``UID:GID``, its labels."""

    id: str
    image: str
    tty: bool
    user: str
    labels: Mapping[str, str]

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /containers/…/json`` says."""
        config = found["Config"]
        return cls(found["Id"], found["Image"], bool(config["Tty"]), config["User"], config["Labels"] or {})


class Mounted(NamedTuple):
    """A mount of a container: a ``volume``, ``bind`` or ``tmpfs``; ``source`` is its name or path."""

    kind: str
    source: str
    target: str
    writable: bool


class Conditions(NamedTuple):
    """The conditions under which a container runs, as the engine reports them."""

    image: str
    """Its id."""
    user: str
    """``1000:1000``; empty for the image's."""
    network: str
    memory: int = 0
    """Bytes; 0 for no limit."""
    cpus: float = 0.0
    """A number of processors; 0 for no limit."""
    pids: int = 0
    """The most processes; 0 for no limit."""
    limits: tuple[str, ...] = ()
    """Those of one process, such as ``nofile=1024:2048``."""
    read_only: bool = False
    """Whether its root directory is."""
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    """Those that were added."""
    protection: tuple[str, ...] = ()
    """Security options, such as ``no-new-privileges``."""
    runtime: str = ""
    mounts: tuple[Mounted, ...] = ()
    workspace: int = 0
    """Most bytes of the workspace; 0 for no limit."""

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /containers/…/json`` says."""
        host = found["HostConfig"]
        mounts = [
            Mounted(
                one["Type"], one.get("Name") or one.get("Source") or "", one["Destination"],
                bool(one.get("RW")),
            )
            for one in found.get("Mounts") or ()
        ]  # fmt: skip
        # The API reports the complete text of a system call filter.
        protection = [
            "seccomp=custom" if text.startswith("seccomp={") else text
            for text in host.get("SecurityOpt") or ()
        ]
        protection += ["systempaths=unconfined"] if host.get("MaskedPaths") == [] else []
        mounts += [Mounted("tmpfs", "", target, writable=True) for target in host.get("Tmpfs") or ()]
        return cls(
            image=found["Image"],
            user=found["Config"]["User"],
            network=str(host.get("NetworkMode") or ""),
            memory=host.get("Memory") or 0,
            cpus=(host.get("NanoCpus") or 0) / 1e9,
            pids=host.get("PidsLimit") or 0,
            limits=tuple(f"{one['Name']}={one['Soft']}:{one['Hard']}" for one in host.get("Ulimits") or ()),
            read_only=bool(host.get("ReadonlyRootfs")),
            privileged=bool(host.get("Privileged")),
            capabilities=tuple(host.get("CapAdd") or ()),
            protection=tuple(protection),
            runtime=str(host.get("Runtime") or ""),
            mounts=tuple(mounts),
            workspace=layout.workspace_size(found["Config"].get("Labels") or {}),
        )


class End(NamedTuple):
    """How a container ended; ``memory`` is its limit in bytes, 0 for none."""

    code: int
    out_of_memory: bool
    memory: int

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /containers/…/json`` says."""
        state = found["State"]
        return cls(state["ExitCode"], bool(state["OOMKilled"]), found["HostConfig"].get("Memory") or 0)


class Listed(NamedTuple):
    """A container in a list: its id, name, labels and the engine's word for its state."""

    id: str
    name: str
    labels: Mapping[str, str]
    status: str

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /containers/json`` says of one."""
        # A linked container has more names, with slashes inside.
        names = (str(name).removeprefix("/") for name in found.get("Names") or ())
        name = next((name for name in names if "/" not in name), "")
        return cls(found["Id"], name, found.get("Labels") or {}, found["State"])


class Volume(NamedTuple):
    """A volume; ``mountpoint`` is where the engine keeps it on its machine, ``options`` its driver's."""

    name: str
    mountpoint: str
    labels: Mapping[str, str]
    options: Mapping[str, str] = {}

    @classmethod
    def of(cls, found: Json) -> Self:
        """Return what ``GET /volumes/…`` says."""
        return cls(
            found["Name"],
            found.get("Mountpoint") or "",
            found.get("Labels") or {},
            found.get("Options") or {},
        )
