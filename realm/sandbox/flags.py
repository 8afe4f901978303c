"""``docker run``'s flags that realm knows, each in one row: its names, syntax, meaning and risk.

``REALM_DOCKER_ARGS`` and ``realm.dockerArgs`` are split as a shell would split
words and nothing more: a value with ``$(…)`` stays text.  What a flag means is
put into the body of ``POST /containers/create`` of the Engine API.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.errors import UsageError
from realm.parsers import size
from realm.sandbox import flag_values, layout
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.sandbox.answers import Json

_SHOWN = "realm config shows where the docker flags come from"


class Given(NamedTuple):
    """A given flag: its row's name, its text and its value."""

    flag: str
    text: str
    value: Any


class DockerArgs(NamedTuple):
    """Docker flags in the order given; empty when there are none."""

    given: tuple[Given, ...] = ()

    @property
    def user(self) -> tuple[int, int | None] | None:
        """The ids of the user chosen by ``--user``; the group's only if it was given."""
        chosen = [one.value for one in self.given if one.flag == "user"]
        return chosen[-1] if chosen else None

    @property
    def targets(self) -> list[str]:
        """The mount points in the sandbox."""
        found = (_ROWS[one.flag].target(one.value) for one in self.given)
        return [target for target in found if target]


# -- what a value does to the body of POST /containers/create --------------------


def _nothing(options: Json, value: object) -> None:
    """Leave the body alone: what ``-e`` sets is often secret and goes in with the other secrets."""


def _host(key: str) -> Callable[[Json, Any], None]:
    def apply(options: Json, value: object) -> None:
        options["HostConfig"][key] = value

    return apply


def _listed(key: str) -> Callable[[Json, Any], None]:
    def apply(options: Json, value: object) -> None:
        options["HostConfig"].setdefault(key, []).append(value)

    return apply


def _mounted(options: Json, value: Json | str) -> None:
    _listed("Binds" if isinstance(value, str) else "Mounts")(options, value)


def _limited(options: Json, value: int) -> None:
    options["HostConfig"]["Memory"] = options["HostConfig"]["MemorySwap"] = value


def _published(options: Json, value: tuple[str, str, str]) -> None:
    inside, address, outside = value
    options.setdefault("ExposedPorts", {})[inside] = {}
    bindings = options["HostConfig"].setdefault("PortBindings", {})
    bindings.setdefault(inside, []).append({"HostIp": address, "HostPort": outside})


def _at_most(options: Json, value: Json) -> None:
    limits = options["HostConfig"].setdefault("Ulimits", [])
    limits[:] = [limit for limit in limits if limit["Name"] != value["Name"]] + [value]


def _protected(options: Json, value: str) -> None:
    if value == "systempaths=unconfined":  # the docker command's own word: the engine's API has only paths
        options["HostConfig"] |= {"MaskedPaths": [], "ReadonlyPaths": []}
    else:
        _listed("SecurityOpt")(options, value)


def _tmpfs(options: Json, value: str) -> None:
    path, _, settings = value.partition(":")
    options["HostConfig"]["Tmpfs"][path] = settings


def _labelled(options: Json, value: str) -> None:
    name, _, text = value.partition("=")
    # realm's own labels are how it finds its sandboxes again.
    if not name.startswith("realm."):
        options["Labels"][name] = text


def _named(options: Json, value: str) -> None:
    options["Hostname"] = value


def _privileged(options: Json, value: bool) -> None:
    if value:
        host = options["HostConfig"]
        host["Privileged"], host["CapDrop"] = True, []
        host["SecurityOpt"] = [text for text in host["SecurityOpt"] if text != "no-new-privileges"]


# -- what it risks: sentences, given the project's root --------------------------

_CAPABILITIES = {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH", "NET_ADMIN"}
_PROTECTION_OFF = {
    "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined", "label=disable",
    "label=type:spc_t", "label=type:unconfined_t",
}  # fmt: skip
_OWN_PROFILES = {"seccomp=builtin", "apparmor=docker-default"}
_GAINS = re.compile(r"no-new-privileges[:=](0|f|false)", re.IGNORECASE)
"""Lets programs such as sudo gain privileges."""
_SOCKETS = {"docker.sock", "podman.sock"}
_SOCKET_PLACES = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")


def _harmless(_value: Any, _root: Path) -> str:
    return ""


def _mount_risk(value: Json | str, root: Path) -> str:
    if isinstance(value, str):
        name, _, options = value.split(":", 2) if value.count(":") > 1 else (*value.split(":"), "")
        source, writable = Path(name), "ro" not in options.split(",")
        if not name.startswith("/"):
            return ""
    elif value["Type"] == "bind":
        source, writable = Path(value["Source"]), not value["ReadOnly"]
    else:
        return ""
    if source.name in _SOCKETS or source.resolve().name in _SOCKETS:
        return f"{source} is mounted: the agent can start containers with access to this machine"
    if writable and (reason := _covered(source, root)):
        return f"{source} is mounted writable: the agent can change {reason} directly"
    if socket := _socket_below(source):
        return f"{source} holds {socket}: the agent can start containers with access to this machine"
    return ""


def _socket_below(source: Path) -> Path | None:
    """Return the engine's socket when ``source`` is a directory that holds it; it works read-only too."""
    here = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    places = [Path(place) for place in (*_SOCKET_PLACES, here) if place.startswith("/")]
    return next(
        (place for place in places if place.exists() and source.resolve() in place.resolve().parents), None
    )


def _covered(source: Path, root: Path) -> str:
    source, root, home = source.resolve(), root.resolve(), Path.home().resolve()
    if source == root or source in root.parents or root in source.parents:
        return "the project"
    return "your home directory" if source == home or source in home.parents else ""


def _capability_risk(value: str, _root: Path) -> str:
    name = value.upper().removeprefix("CAP_")
    return f"--cap-add {name}: the agent can reach out of its container" if name in _CAPABILITIES else ""


def _protection_risk(value: str, _root: Path) -> str:
    name, chosen = flag_values.option(value)
    value = f"{name}={chosen}"
    if value in _PROTECTION_OFF or _GAINS.fullmatch(value):
        return f"--security-opt {value}: a layer of the container's protection is off"
    if name in {"seccomp", "apparmor"} and value not in _OWN_PROFILES:
        return f"--security-opt {name}: another profile takes the place of the engine's own"
    return ""


def _network_risk(value: str, _root: Path) -> str:
    if value == "host":
        return "--network host: the agent reaches every service of this machine"
    return "" if value == "none" else f"--network {value}: the agent and other containers reach each other"


def _unlimited(flag: str, what: str) -> Callable[[float, Path], str]:
    def risk(value: float, _root: Path) -> str:
        return "" if value > 0 else f"{flag}: nothing limits the {what} that the agent uses"

    return risk


def _ulimit_risk(value: Json, _root: Path) -> str:
    off = value["Name"] == "core" and value["Hard"] != 0
    return "--ulimit core: programs that crash may fill the disk with dumps of their memory" if off else ""


def _user_risk(value: tuple[int, int | None], _root: Path) -> str:
    text = "--user root: the agent is root in its container (Claude Code refuses to run unattended as root)"
    return "" if value[0] else text


def _device_risk(value: Json, _root: Path) -> str:
    return f"--device {value['PathOnHost']}: the agent has direct access to hardware"


def _privilege_risk(value: bool, _root: Path) -> str:
    return "--privileged: nothing separates the agent from this machine" if value else ""


# -- where it mounts something ---------------------------------------------------


def _nowhere(_value: Any) -> str:
    return ""


def _mount_target(value: Json | str) -> str:
    return value.split(":")[1] if isinstance(value, str) else str(value["Target"])


def _tmpfs_target(value: str) -> str:
    return value.partition(":")[0]


# -- the table -------------------------------------------------------------------


class Flag(NamedTuple):
    """One flag: ``parse`` turns its text into the value for ``apply``, ``risk`` and ``target``.

    Unless it may be given ``many`` times, the last one counts.
    """

    name: str
    short: str
    parse: Callable[[str], Any]
    apply: Callable[[Json, Any], None]
    risk: Callable[[Any, Path], str] = _harmless
    target: Callable[[Any], str] = _nowhere
    many: bool = True


TABLE = (
    Flag("volume", "v", flag_values.volume, _mounted, _mount_risk, _mount_target),
    Flag("mount", "", flag_values.mount, _mounted, _mount_risk, _mount_target),
    Flag("env", "e", flag_values.variable, _nothing),
    Flag("env-file", "", flag_values.variables, _nothing),
    Flag("network", "", str, _host("NetworkMode"), _network_risk, many=False),
    Flag("runtime", "", str, _host("Runtime"), many=False),
    Flag("add-host", "", str, _listed("ExtraHosts")),
    Flag("dns", "", str, _listed("Dns")),
    Flag("publish", "p", flag_values.port, _published),
    Flag("memory", "m", size, _limited, _unlimited("--memory", "memory"), many=False),
    Flag(
        "cpus", "", flag_values.processors, _host("NanoCpus"), _unlimited("--cpus", "processors"), many=False
    ),
    Flag(
        "pids-limit",
        "",
        flag_values.count,
        _host("PidsLimit"),
        _unlimited("--pids-limit", "processes"),
        many=False,
    ),
    Flag("shm-size", "", size, _host("ShmSize"), many=False),
    Flag("gpus", "", flag_values.gpus, _listed("DeviceRequests")),
    Flag("device", "", flag_values.device, _listed("Devices"), _device_risk),
    Flag("cap-add", "", str, _listed("CapAdd"), _capability_risk),
    Flag("security-opt", "", flag_values.security, _protected, _protection_risk),
    Flag("tmpfs", "", str, _tmpfs, target=_tmpfs_target),
    Flag("ulimit", "", flag_values.ulimit, _at_most, _ulimit_risk),
    Flag("label", "l", str, _labelled),
    Flag("user", "u", flag_values.user, _nothing, _user_risk, many=False),
    Flag("hostname", "h", str, _named, many=False),
    Flag("privileged", "", flag_values.boolean, _privileged, _privilege_risk, many=False),
)
_OF_NETWORK = ("network", "add-host", "dns", "publish")
_ROWS = {row.name: row for row in TABLE}
_LONG = {**_ROWS, "net": _ROWS["network"]}
_SHORT = {row.short: row for row in TABLE if row.short}


def parse(text: str) -> DockerArgs:
    """Return the flags in ``text``; ``UsageError`` for one that is unknown, incomplete or wrong."""
    if not text.strip():
        return DockerArgs()
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        message = f"docker flags: {str(error).lower()} in {text!r}"
        raise UsageError(message, "quote REALM_DOCKER_ARGS as for a shell") from None
    return DockerArgs(tuple(_given(words)))


def _given(words: Iterator[str]) -> Iterator[Given]:
    for word in words:
        row, text = _flag(word)
        if text is None and row.parse is flag_values.boolean:
            text = "true"
        if text is None:
            text = next(words, None)
        if text is None:
            raise UsageError(f"docker flag {word} needs a value", _SHOWN)
        try:
            value = row.parse(text)
        except ValueError as error:
            raise UsageError(
                f"docker flag --{row.name} does not understand {text!r}: {error}", _SHOWN
            ) from None
        if (target := row.target(value)) and layout.is_own(target):
            raise UsageError(
                f"docker flag --{row.name}: {layout.normal(target)} is realm's own place in the container",
                "choose another, such as /data, or a directory in the work tree",
            )
        yield Given(row.name, text, value)


def _flag(word: str) -> tuple[Flag, str | None]:
    """Return the flag that ``word`` begins, and its value if that is in the word."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        if row := _LONG.get(name):
            return row, value if equals else None
    elif word.startswith("-") and (row := _SHORT.get(word[1:2])):
        rest = word[2:]
        return row, (rest.removeprefix("=") if rest else None)
    shown = word.partition("=")[0]
    what = "flag" if word.startswith("-") else "argument"
    known = ", ".join(f"-{row.short}/--{row.name}" if row.short else f"--{row.name}" for row in TABLE)
    raise UsageError(f"docker {what} {shown!r} is not supported", f"supported are {known}")


def _that_count(args: DockerArgs) -> Iterator[tuple[Flag, Given]]:
    last = {one.flag: number for number, one in enumerate(args.given)}
    for number, one in enumerate(args.given):
        row = _ROWS[one.flag]
        if row.many or last[one.flag] == number:
            yield row, one


def apply(options: Json, args: DockerArgs) -> None:
    """Put ``args`` into the body of ``POST /containers/create``; they override everything."""
    for row, one in _that_count(args):
        row.apply(options, one.value)


def environment(args: DockerArgs) -> dict[str, str]:
    """Return what ``-e`` and ``--env-file`` set; a name alone takes the host's value if there is one."""
    lines = [line for one in args.given if one.flag == "env-file" for line in one.value]
    lines += [one.value for one in args.given if one.flag == "env"]
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def shown(args: DockerArgs) -> list[str]:
    """Return the flags as given, but of ``-e`` only the names: its values are often secret."""
    return [
        f"--{one.flag} {one.text.partition('=')[0] if one.flag == 'env' else one.text}" for one in args.given
    ]


def networked(args: DockerArgs) -> tuple[str, ...]:
    """Return the flags in ``args`` that mean something only in a sandbox with the engine's network."""
    return tuple(
        dict.fromkeys(
            f"--{row.name}"
            for row, one in _that_count(args)
            if row.name in _OF_NETWORK and (row.name, one.value) != ("network", "none")
        )
    )


def network(args: DockerArgs) -> str:
    """Return the value of ``--network``, empty if it is not given."""
    return next((str(one.value) for row, one in _that_count(args) if row.name == "network"), "")


def to_root(args: DockerArgs) -> str:
    """Return the flag that lets programs in the sandbox be root, as it was given; nothing without one."""
    for row, one in _that_count(args):
        is_root = row.name == "user" and one.value[0] == 0
        if is_root or (row.name == "security-opt" and _GAINS.fullmatch(one.value)):
            return f"--{row.name} {one.text}"
        if row.name == "privileged" and one.value:
            return "--privileged"
    return ""


def risks(args: DockerArgs, project_root: Path) -> list[str]:
    """Return one sentence for everything in ``args`` that weakens the sandbox."""
    found = (row.risk(one.value, project_root) for row, one in _that_count(args))
    return [sentence for sentence in found if sentence]


def weakening(args: DockerArgs, project_root: Path) -> list[str]:
    """Return the flags in ``args`` that weaken the sandbox, as they were given, each cut to 100 letters."""
    return [
        clean(f"--{row.name}" if row.parse is flag_values.boolean else f"--{row.name} {one.text}", limit=100)
        for row, one in _that_count(args)
        if row.risk(one.value, project_root)
    ]
