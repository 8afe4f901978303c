"""The sidecar itself: its privileges, its exposure to other containers on the engine, its content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from realm.sandbox.image.recipe import REFERENCE
from tests.support import engines
from tests.support.egress import sidecars
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_it_has_no_power_and_no_open_port(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    user.realm("new", "--detach", "--agent", "sh", "x", "-c", "sleep 60")
    eventually(lambda: len(sidecars(user)) == 1)
    (sidecar,) = sidecars(user)
    found = json.loads(engines.docker("inspect", sidecar))[0]
    config, host = found["Config"], found["HostConfig"]
    assert config["User"] == "65534:65534"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["ReadonlyRootfs"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert not host["PortBindings"]
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["PidsLimit"] > 0
    assert [mount["Type"] for mount in found["Mounts"]] == ["volume"]
    status = engines.docker("exec", sidecar, "cat", "/proc/self/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status

    address = next(iter(found["NetworkSettings"]["Networks"].values()))["IPAddress"]
    open_port = f"(exec 3<>/dev/tcp/{address}/$port) 2>/dev/null && echo $port"
    knock = f"for port in 53 80 3128 3129; do {open_port}; done; true"
    # A neighbour on the very network that the sidecar has.
    assert not engines.docker("run", "--rm", "--entrypoint", "bash", REFERENCE, "-c", knock)
    user.realm("stop", "x")


def test_a_container_that_only_has_its_name_is_not_used(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    user.realm("new", "--detach", "--agent", "sh", "x", "-c", "sleep 60")
    eventually(lambda: len(sidecars(user)) == 1)
    name = engines.docker("inspect", "--format", "{{.Name}}", sidecars(user)[0]).lstrip("/")
    labels = json.loads(engines.docker("inspect", "--format", "{{json .Config.Labels}}", name))
    user.realm("stop", "x")
    eventually(lambda: not sidecars(user))
    forged = {**labels, "realm.proof": "0" * 64}
    words = [word for key, value in forged.items() for word in ("--label", f"{key}={value}")]
    engines.docker("run", "--detach", "--name", name, *words, "--entrypoint", "sleep", REFERENCE, "60")
    try:
        done = user.realm("new", "y", "--agent", "true", code=125)
        assert "is not realm's" in done.err
        assert engines.docker("inspect", "--format", "{{.State.Running}}", name) == "true"
        assert [row["name"] for row in user.listed()] == ["x"]
    finally:
        engines.docker("rm", "--force", name)
