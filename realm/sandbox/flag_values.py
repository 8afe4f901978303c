"""Parsers of docker flags' values; each raises :class:`ValueError` with what is wrong."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from realm.parsers import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.answers import Json

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""A variable's name that every shell accepts."""


def boolean(text: str) -> bool:
    """Return a switch's state."""
    if text.lower() in {"1", "t", "true"}:
        return True
    if text.lower() in {"0", "f", "false"}:
        return False
    raise ValueError("it is true or false")


def processors(text: str) -> int:
    """Return billionths of a processor."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < 2**31:
        raise ValueError("it is not a number such as 2 or 1.5")
    return int(found * 1e9)


def count(text: str) -> int:
    """Return a whole number; a negative one is no limit."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("it is not a whole number") from None


def volume(text: str) -> Json | str:
    """Return ``-v`` as the engine's bind, ``source:target[:options]``, or as a nameless volume's mount."""
    parts = text.split(":")
    if not all(parts) or len(parts) > 3 or not (parts[1:] or parts)[0].startswith("/"):  # noqa: PLR2004
        raise ValueError("write -v SOURCE:/TARGET[:ro]")
    if len(parts) == 1:
        return {"Type": "volume", "Source": "", "Target": text}
    if parts[0].startswith((".", "~")):
        parts[0] = _host_path(parts[0])
    return ":".join(parts)


def _host_path(text: str) -> str:
    try:
        return str(Path(text).expanduser().absolute())
    except RuntimeError:
        raise ValueError(f"there is no home directory {text.partition('/')[0]}") from None


_MOUNT_KEYS = {
    "type", "source", "src", "target", "dst", "destination", "readonly", "ro", "bind-propagation",
    "volume-nocopy", "tmpfs-size", "tmpfs-mode", "consistency",
}  # fmt: skip
_MOUNT_SYNTAX = "write --mount type=bind|volume|tmpfs,source=…,target=/…[,readonly]"


def mount(text: str) -> Json:
    """Return ``--mount`` as the engine's mount."""
    given = _fields(text)
    if unknown := given.keys() - _MOUNT_KEYS:
        raise ValueError(f"{min(unknown)} is not one of {', '.join(sorted(_MOUNT_KEYS))}")
    kind = given.get("type", "volume")
    target = given.get("target") or given.get("dst") or given.get("destination") or ""
    source = given.get("source") or given.get("src") or ""
    if (
        kind not in {"bind", "volume", "tmpfs"}
        or not target.startswith("/")
        or (kind == "bind" and not source)
    ):
        raise ValueError(_MOUNT_SYNTAX)
    made: Json = {"Type": kind, "Source": source, "Target": target}
    made["ReadOnly"] = _is_on(given, "readonly") or _is_on(given, "ro")
    if kind == "bind":
        made["Source"] = _host_path(source)
        if "bind-propagation" in given:
            made["BindOptions"] = {"Propagation": given["bind-propagation"]}
    if kind == "volume" and _is_on(given, "volume-nocopy"):
        made["VolumeOptions"] = {"NoCopy": True}
    if kind == "tmpfs" and (options := _tmpfs_options(given)):
        made["TmpfsOptions"] = options
    return made


def _fields(text: str) -> dict[str, str]:
    """Return ``a=b,c`` as a mapping; a word without ``=`` has the value ``""``."""
    try:
        words = next(csv.reader([text]), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None
    pairs = (word.partition("=") for word in words)
    return {key.strip().lower(): value for key, _, value in pairs}


def _is_on(given: Mapping[str, str], key: str) -> bool:
    return key in given and given[key].lower() not in {"0", "false"}


def _tmpfs_options(given: Mapping[str, str]) -> Json:
    options: Json = {}
    if "tmpfs-size" in given:
        options["SizeBytes"] = size(given["tmpfs-size"])
    if "tmpfs-mode" in given:
        if not re.fullmatch(r"[0-7]{1,5}", given["tmpfs-mode"]):
            raise ValueError("write a mode as in tmpfs-mode=1777")
        options["Mode"] = int(given["tmpfs-mode"], 8)
    return options


def port(text: str) -> tuple[str, str, str]:
    """Return ``-p`` as (container port with protocol, host address, host port)."""
    rest, _, protocol = text.partition("/")
    host, _, inside = rest.rpartition(":")
    address, _, outside = host.rpartition(":")
    fits = re.fullmatch(r"\d+", inside, re.ASCII) and re.fullmatch(r"(\d+(-\d+)?)?", outside, re.ASCII)
    if not fits or protocol not in {"", "tcp", "udp", "sctp"}:
        raise ValueError("write -p [ADDRESS:][HOST_PORT:]PORT[/udp], one port a flag")
    return f"{inside}/{protocol or 'tcp'}", address.strip("[]"), outside


def ulimit(text: str) -> Json:
    """Return ``--ulimit`` as the engine's."""
    found = re.fullmatch(r"([a-z]+)=(-?\d+)(?::(-?\d+))?", text, re.ASCII)
    if found is None:
        raise ValueError("write --ulimit nofile=1024:2048")
    return {"Name": found[1], "Soft": int(found[2]), "Hard": int(found[3] or found[2])}


def gpus(text: str) -> Json:
    """Return ``--gpus`` as a device request: ``all``, a number, or ``device=…,capabilities=…``."""
    given = _fields(text.replace('"', ""))
    request: Json = {"Driver": given.get("driver", ""), "Capabilities": [["gpu"]]}
    number = given.get("count", text)
    if "device" in given:
        known = {"driver", "count", "capabilities"}
        more = [key for key, value in given.items() if not value and key not in known]
        request["DeviceIDs"] = [given["device"], *more]
    elif number == "all" or re.fullmatch(r"[0-9]{1,4}", number):
        request["Count"] = -1 if number == "all" else int(number)
    else:
        raise ValueError("write --gpus all, --gpus 2, or --gpus device=0")
    return request


def device(text: str) -> Json:
    """Return ``--device`` as the engine's mapping."""
    parts = text.split(":")
    if not parts[0].startswith("/") or len(parts) > 3:  # noqa: PLR2004
        raise ValueError("write --device /dev/NAME[:/dev/NAME[:rwm]]")
    inside, mode = parts[0], "rwm"
    if len(parts) > 1:
        inside, mode = (parts[1], mode) if parts[1].startswith("/") else (inside, parts[1])
    if len(parts) == 3:  # noqa: PLR2004
        mode = parts[2]
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": mode}


def user(text: str) -> tuple[int, int | None]:
    """Return ``--user``; root's group is 0 where none is given."""
    found = re.fullmatch(r"(root|\d{1,10})(?::(root|\d{1,10}))?", text, re.ASCII)
    if found is None:
        raise ValueError("a container's user is a number: write --user UID:GID")
    uid, gid = (None if word is None else 0 if word == "root" else int(word) for word in found.groups())
    return uid or 0, 0 if gid is None and not uid else gid


def variable(text: str) -> str:
    """Return ``-e`` as it is."""
    if not _NAME.fullmatch(text.partition("=")[0]):
        raise ValueError("write -e NAME=VALUE or -e NAME, with a NAME of letters, digits and _")
    return text


def option(text: str) -> tuple[str, str]:
    """Return name and value of a security option; docker allows a colon between them, too."""
    name, _, value = re.sub("[:=]", "=", text, count=1).partition("=")
    return name, value


def security(text: str) -> str:
    """Return a security option; the engine wants a seccomp profile itself in place of its file."""
    name, place = option(text)
    if name != "seccomp" or place in {"builtin", "unconfined"} or place.startswith("{"):
        return text
    path = Path(_host_path(place))
    try:
        return f"seccomp={json.dumps(json.loads(path.read_bytes()), separators=(',', ':'))}"
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ValueError(f"realm cannot read {place}: {reason}") from None


def variables(text: str) -> tuple[str, ...]:
    """Return the lines of a file of variables."""
    try:
        content = Path(_host_path(text)).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"realm cannot read {text}: {reason}") from None
    lines = (line.lstrip() for line in content.splitlines())
    return tuple(variable(line) for line in lines if line and not line.startswith("#"))
