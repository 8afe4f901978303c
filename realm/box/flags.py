"""What each docker flag means to the Engine API, and which ones weaken the box.  Pure.

The objects are those of ``POST /containers/create`` in the Engine API's
reference; the flags' syntax is that of ``docker run``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm.box.dockerargs import DockerArgs, fields, number, size
from realm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]


def _bad(flag: str, value: str, hint: str) -> UsageError:
    return UsageError(f"docker flag --{flag} does not understand {value!r}", hint)


def volume(text: str) -> str:
    """Return ``-v`` as the engine wants it: ``source:target[:options]``, the source absolute."""
    parts = text.split(":")
    if not all(parts) or len(parts) > 3 or not (parts[1] if len(parts) > 1 else parts[0]).startswith("/"):  # noqa: PLR2004
        raise _bad("volume", text, "-v SOURCE:/TARGET[:ro]")
    source = parts[0]
    if len(parts) > 1 and (source.startswith((".", "~"))):
        parts[0] = str(Path(source).expanduser().absolute())
    return ":".join(parts)


_MOUNT_KEYS = {
    "type", "source", "src", "target", "dst", "destination", "readonly", "ro", "bind-propagation",
    "volume-nocopy", "tmpfs-size", "tmpfs-mode", "consistency",
}  # fmt: skip


def mount(text: str) -> Json:
    """Return ``--mount`` as a mount of the API."""
    given = fields(text)
    hint = "--mount type=bind|volume|tmpfs,source=…,target=/…[,readonly]"
    if unknown := given.keys() - _MOUNT_KEYS:
        raise _bad("mount", text, f"{min(unknown)} is not one of {', '.join(sorted(_MOUNT_KEYS))}")
    kind = given.get("type", "volume")
    target = given.get("target") or given.get("dst") or given.get("destination") or ""
    if kind not in {"bind", "volume", "tmpfs"} or not target.startswith("/"):
        raise _bad("mount", text, hint)
    made: Json = {"Type": kind, "Source": given.get("source") or given.get("src") or "", "Target": target}
    made["ReadOnly"] = _is_on(given, "readonly") or _is_on(given, "ro")
    if kind == "bind":
        if not made["Source"]:
            raise _bad("mount", text, hint)
        made["Source"] = str(Path(made["Source"]).expanduser().absolute())
        if "bind-propagation" in given:
            made["BindOptions"] = {"Propagation": given["bind-propagation"]}
    if kind == "volume" and _is_on(given, "volume-nocopy"):
        made["VolumeOptions"] = {"NoCopy": True}
    if kind == "tmpfs" and (options := _tmpfs_options(given)):
        made["TmpfsOptions"] = options
    return made


def _is_on(given: Mapping[str, str], key: str) -> bool:
    return key in given and given[key].lower() not in {"0", "false"}


def _tmpfs_options(given: Mapping[str, str]) -> Json:
    options: Json = {}
    if "tmpfs-size" in given:
        options["SizeBytes"] = size(given["tmpfs-size"])
    if "tmpfs-mode" in given:
        options["Mode"] = int(given["tmpfs-mode"], 8)
    return options


def port(text: str) -> tuple[str, str, str]:
    """Return ``-p`` as (container port with protocol, host address, host port)."""
    rest, _, protocol = text.partition("/")
    host, _, inside = rest.rpartition(":")
    address, _, outside = host.rpartition(":")
    for value in (inside, outside):
        low, _, high = value.partition("-")
        if (value or value is inside) and not (low.isdigit() and (not high or high.isdigit())):
            raise _bad("publish", text, "-p [ADDRESS:][HOST_PORT:]PORT[/udp]")
    if protocol not in {"", "tcp", "udp", "sctp"} or "-" in inside:
        raise _bad("publish", text, "-p [ADDRESS:][HOST_PORT:]PORT[/udp]; one port a flag")
    return f"{inside}/{protocol or 'tcp'}", address.strip("[]"), outside


def ulimit(text: str) -> Json:
    """Return ``--ulimit name=soft[:hard]``."""
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise _bad("ulimit", text, "--ulimit nofile=1024:2048") from None


def gpus(text: str) -> Json:
    """Return ``--gpus`` as a device request: ``all``, a number, or ``device=…,capabilities=…``."""
    if text == "all" or text.isdigit():
        return {"Driver": "", "Count": -1 if text == "all" else int(text), "Capabilities": [["gpu"]]}
    given = fields(text.replace('"', ""))
    request: Json = {"Driver": given.get("driver", ""), "Capabilities": [["gpu"]]}
    if "device" in given:
        extra = [
            key
            for key, value in given.items()
            if not value and key not in {"driver", "count", "capabilities"}
        ]
        request["DeviceIDs"] = [given["device"], *extra]
    elif given.get("count") == "all" or given.get("count", "").isdigit():
        request["Count"] = -1 if given["count"] == "all" else int(given["count"])
    else:
        raise _bad("gpus", text, "--gpus all, --gpus 2, or --gpus device=0")
    return request


def device(text: str) -> Json:
    """Return ``--device host[:box[:rwm]]``."""
    parts = text.split(":")
    if not parts[0].startswith("/") or len(parts) > 3:  # noqa: PLR2004
        raise _bad("device", text, "--device /dev/NAME[:/dev/NAME[:rwm]]")
    inside, mode = parts[0], "rwm"
    if len(parts) > 1:
        inside, mode = (parts[1], mode) if parts[1].startswith("/") else (inside, parts[1])
    if len(parts) == 3:  # noqa: PLR2004
        mode = parts[2]
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": mode}


def environment(args: DockerArgs, host: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what ``-e`` and ``--env-file`` set; a name alone takes the host's value if there is one."""
    host = os.environ if host is None else host
    found: dict[str, str] = {}
    for path in args.all("env-file"):
        for line in _env_lines(path):
            _set(found, line, host)
    for text in args.all("env"):
        _set(found, text, host)
    return found


def _set(found: dict[str, str], text: str, host: Mapping[str, str]) -> None:
    name, equals, value = text.partition("=")
    if not name or not (name[0].isalpha() or name[0] == "_") or not name.replace("_", "a").isalnum():
        raise _bad("env", name, "-e NAME=VALUE or -e NAME")
    if equals:
        found[name] = value
    elif name in host:
        found[name] = host[name]


def _env_lines(path: str) -> Iterator[str]:
    try:
        text = Path(path).expanduser().read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"docker flag --env-file cannot read {path}: {reason}", "it is a file of lines NAME=VALUE"
        ) from None
    for line in text.splitlines():
        stripped = line.lstrip()
        if stripped and not stripped.startswith("#"):
            yield stripped


def apply(options: Json, args: DockerArgs) -> None:
    """Put ``args`` into the body of ``POST /containers/create``; its lists and limits give way to theirs."""
    host: Json = options["HostConfig"]
    host["Binds"] = host.get("Binds", []) + [volume(text) for text in args.all("volume") if ":" in text]
    host["Mounts"] = host.get("Mounts", []) + [mount(text) for text in args.all("mount")]
    for text in args.all("volume"):
        if ":" not in text:
            host["Mounts"].append({"Type": "volume", "Source": "", "Target": text})
    _lists(host, args)
    _limits(host, args)
    _ports(options, args)
    for text in args.all("label"):
        name, _, value = text.partition("=")
        # realm's own labels are how it finds its boxes again.
        if not name.startswith("realm."):
            options["Labels"][name] = value
    if hostname := args.last("hostname"):
        options["Hostname"] = hostname
    if user := args.last("user"):
        options["User"] = user
    if network := args.last("network"):
        host["NetworkMode"] = network
    if args.privileged:
        host["Privileged"] = True
        host["SecurityOpt"] = [text for text in host["SecurityOpt"] if text != "no-new-privileges"]
        host["CapDrop"] = []


def _lists(host: Json, args: DockerArgs) -> None:
    for flag, key in (
        ("add-host", "ExtraHosts"),
        ("dns", "Dns"),
        ("cap-add", "CapAdd"),
        ("security-opt", "SecurityOpt"),
    ):
        if values := args.all(flag):
            host[key] = host.get(key, []) + values
    if values := args.all("device"):
        host["Devices"] = [device(text) for text in values]
    if values := args.all("gpus"):
        host["DeviceRequests"] = [gpus(text) for text in values]
    if values := args.all("ulimit"):
        host["Ulimits"] = [ulimit(text) for text in values]
    for text in args.all("tmpfs"):
        path, _, settings = text.partition(":")
        host["Tmpfs"][path] = settings


def _limits(host: Json, args: DockerArgs) -> None:
    if memory := args.last("memory"):
        host["Memory"] = host["MemorySwap"] = size(memory)
    if cpus := args.last("cpus"):
        host["NanoCpus"] = int(number(cpus) * 1e9)
    if pids := args.last("pids-limit"):
        host["PidsLimit"] = int(number(pids))
    if shm := args.last("shm-size"):
        host["ShmSize"] = size(shm)


def _ports(options: Json, args: DockerArgs) -> None:
    for inside, address, outside in map(port, args.all("publish")):
        options.setdefault("ExposedPorts", {})[inside] = {}
        bindings = options["HostConfig"].setdefault("PortBindings", {})
        bindings.setdefault(inside, []).append({"HostIp": address, "HostPort": outside})


_STRONG_CAPABILITIES = frozenset(
    {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH", "NET_ADMIN"}
)


def weaknesses(args: DockerArgs, project_root: Path) -> Iterator[str]:
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
        parts = volume(text).split(":")
        if len(parts) > 1 and parts[0].startswith("/"):
            yield Path(parts[0]), "ro" not in (parts[2].split(",") if len(parts) > 2 else [])  # noqa: PLR2004
    for text in args.all("mount"):
        made = mount(text)
        if made["Type"] == "bind":
            yield Path(made["Source"]), not made["ReadOnly"]


def _covers(source: Path, project_root: Path) -> str:
    source, root, home = source.resolve(), project_root.resolve(), Path.home().resolve()
    if source == root or source in root.parents or root in source.parents:
        return "the project"
    if source == home or source in home.parents:
        return "your home directory"
    return ""
