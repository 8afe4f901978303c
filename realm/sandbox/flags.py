"""What each docker flag means to the Engine API.  Pure.

The objects are those of ``POST /containers/create`` in the Engine API's
reference; the flags' syntax is that of ``docker run``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm.errors import UsageError
from realm.sandbox.dockerargs import DockerArgs, fields, number, size

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
        options["Mode"] = _octal(given["tmpfs-mode"])
    return options


def _octal(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise _bad("mount", f"tmpfs-mode={text}", "tmpfs-mode=1777") from None


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
    """Put ``args`` into the body of a create call; they extend its lists and override its limits."""
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
