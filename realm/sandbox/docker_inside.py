"""An engine of its own in a sandbox: ``realm.docker`` is ``rootless``.

Docker's daemon runs there below the sandbox's user, in namespaces of its own (container/docker
starts it).  What a sandbox gives up for that: the engine's filter of system calls makes way for
one that lets namespaces and mounts be made, and AppArmor's profile and the masks over parts of
``/proc`` go.  There is still no capability, no way to gain privileges and none to be the
machine's root: root in the namespace is the sandbox's user, and all others are numbers that nobody
has.  A program that maps those would need privileges, so a container does it, which shares
nothing with the sandbox but its view of processes and lives for a moment.

The filter, ``docker-seccomp.json`` (https://docs.docker.com/engine/security/seccomp/), refuses by name
what Docker's own refuses to a container without capabilities; what makes namespaces and mounts passes,
and any ``personality``.  ``keyctl`` is answered as by a kernel without keyrings, which what starts
containers knows.  The two families of sockets are AF_ALG, the kernel's ciphers, and AF_VSOCK, which leads
out of a virtual machine.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.paths import shipped
from realm.sandbox import layout, proof
from realm.sandbox.transfer import SandboxFile

if TYPE_CHECKING:
    from realm.sandbox.answers import Json
    from realm.sandbox.docker import Engine
    from realm.sandbox.layout import Owner

PACKAGES = ("docker-compose", "docker.io", "iproute2", "socat")
"""The Debian packages that the image needs."""
_PLACE = f"{layout.STATE}/docker"
ENVIRONMENT = {
    "DOCKER_HOST": f"unix://{_PLACE}/docker.sock",
    # Testcontainers in a container assumes that what it starts are siblings, and lets one of
    # them clean up with privileges that none has here.
    "TESTCONTAINERS_HOST_OVERRIDE": "localhost",
    "TESTCONTAINERS_RYUK_CONTAINER_PRIVILEGED": "false",
    "TESTCONTAINERS_RYUK_PRIVILEGED": "false",
}
_FIRST, _COUNT = 0x7000_0000, 65536
"""The ids of its users on the engine's machine, which systemd, shadow and Docker never assign."""
_MEMORY = 64 * 1024**2
_KEEPING = ("--clear-groups", "--inh-caps=+setuid,+setgid", "--ambient-caps=+setuid,+setgid")
_MAP = """
while :; do
  for process in /proc/[0-9]*; do
    if read -r _ < "$process/uid_map"; then continue; fi
    printf '0 %s 1\\n1 %s %s\\n' "$1" "$3" "$4" > "$process/uid_map" &&
      printf '0 %s 1\\n1 %s %s\\n' "$2" "$3" "$4" > "$process/gid_map" && exit
  done
  sleep 0.02
done 2> /dev/null
"""
"""Maps root and all other ids for the first process without a map; ends with the sandbox at the latest."""


def files() -> list[SandboxFile]:
    """Return the files that start the engine in a sandbox, and its log, beside which its data will be."""
    scripts = shipped("container")
    started = [
        SandboxFile(f"{layout.LAYOUT}/{name}", scripts[name], 0o555, owner="root")
        for name in ("docker", "docker-inside")
    ]
    return [*started, SandboxFile(f"{_PLACE}/log", mode=0o600)]


def loosen(host: Json) -> None:
    """Remove from a hardened ``HostConfig`` what the engine cannot run under."""
    allowed = shipped("container")["docker-seccomp.json"].decode()
    host["SecurityOpt"] = [*host["SecurityOpt"], f"seccomp={allowed}", "apparmor=unconfined"]
    host["MaskedPaths"], host["ReadonlyPaths"] = [], []


def map_users(engine: Engine, container: str, image: str, user: str, owner: Owner) -> None:
    """Map the users of the engine in a sandbox that has just been started.

    ``image`` is that of the sidecars, ``user`` the sandbox's, ``UID:GID``.  Where that
    fails, the sandbox waits in vain and says so.  ``owner`` is the sandbox's: what clears up after a
    killed command finds this container by it, should it never be started.
    """
    made_for = owner._replace(role="tool", history="", egress="")
    name = f"realm-users-{os.urandom(6).hex()}"
    uid, _, gid = user.partition(":")
    options = {
        "Image": image,
        # The namespace's owner must map its users, with capabilities outside it.
        "User": "0:0",
        "Entrypoint": ["setpriv", f"--reuid={uid}", f"--regid={gid}", *_KEEPING, "sh", "-c", _MAP, "sh"],
        "Cmd": [uid, gid, str(_FIRST), str(_COUNT)],
        "Labels": {**made_for.labels(proof.home()), **proof.prove("container", name)},
        "HostConfig": {
            "AutoRemove": True,
            "CapDrop": ["ALL"],
            "CapAdd": ["SETUID", "SETGID"],
            "SecurityOpt": ["no-new-privileges"],
            "PidMode": f"container:{container}",
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "PidsLimit": 16,
            "Memory": _MEMORY,
            "MemorySwap": _MEMORY,
            "LogConfig": {"Type": "none"},
            "Mounts": [],
        },
    }
    with contextlib.suppress(EngineError):
        engine.start(engine.create(options, name))
