"""Which docker flags take some of a box's protection away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from realm.sandbox import flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.sandbox.dockerargs import DockerArgs

_STRONG_CAPABILITIES = frozenset(
    {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH", "NET_ADMIN"}
)


def found(args: DockerArgs, project_root: Path) -> Iterator[str]:
    """Yield one line for each flag that takes some of the box's protection away."""
    if args.privileged:
        yield "--privileged: nothing separates the agent from this machine"
    yield from _weak_mounts(args, project_root)
    for text in args.all("cap-add"):
        name = text.upper().removeprefix("CAP_")
        if name in _STRONG_CAPABILITIES:
            yield f"--cap-add {name}: the agent can reach out of its box"
    for text in args.all("security-opt"):
        if text.replace(":", "=") in _PROTECTION_OFF:
            yield f"--security-opt {text}: a layer of the box's protection is off"
    if args.last("network") == "host":
        yield "--network host: the agent reaches every service of this machine"
    if (args.last("user") or "").partition(":")[0] in {"0", "root"}:
        yield "--user root: the agent is root in its box (Claude Code refuses to run unattended as root)"
    for text in args.all("device"):
        yield f"--device {text.partition(':')[0]}: the agent has direct access to hardware"


def _weak_mounts(args: DockerArgs, project_root: Path) -> Iterator[str]:
    for source, writable in _binds(args):
        if source.name in _SOCKETS or source.resolve().name in _SOCKETS:
            yield f"{source} is mounted: the agent can start containers with access to this machine"
        elif writable and (reason := _covers(source, project_root)):
            yield f"{source} is mounted writable: the agent can change {reason} directly"
        elif socket := _socket_below(source):
            yield f"{source} holds {socket}: the agent can start containers with access to this machine"


_SOCKETS = {"docker.sock", "podman.sock"}
_SOCKET_PLACES = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")


def _socket_below(source: Path) -> Path | None:
    """Return the engine's socket when ``source`` is a directory that holds it; it works read-only too."""
    here = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    places = [Path(place) for place in (*_SOCKET_PLACES, here) if place.startswith("/")]
    return next(
        (place for place in places if place.exists() and source.resolve() in place.resolve().parents), None
    )


_PROTECTION_OFF = {"seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"}


def _binds(args: DockerArgs) -> Iterator[tuple[Path, bool]]:
    for text in args.all("volume"):
        parts = flags.volume(text).split(":")
        if len(parts) > 1 and parts[0].startswith("/"):
            yield Path(parts[0]), "ro" not in (parts[2].split(",") if len(parts) > 2 else [])  # noqa: PLR2004
    for text in args.all("mount"):
        made = flags.mount(text)
        if made["Type"] == "bind":
            yield Path(made["Source"]), not made["ReadOnly"]


def _covers(source: Path, project_root: Path) -> str:
    source, root, home = source.resolve(), project_root.resolve(), Path.home().resolve()
    if source == root or source in root.parents or root in source.parents:
        return "the project"
    if source == home or source in home.parents:
        return "your home directory"
    return ""
