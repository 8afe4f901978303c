"""The Docker engine as tests see it: is there one, where, and what lies in it."""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import subprocess

import pytest


@functools.cache
def missing() -> str:
    """Return why no engine answers, or the empty string when one does."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return "no docker program on PATH"
    except subprocess.TimeoutExpired:
        return "the engine did not answer within a minute"
    return "" if done.returncode == 0 else done.stderr.strip() or "docker version failed"


def require() -> None:
    """Skip the running test when no engine answers; fail it with ``REALM_REQUIRE_DOCKER=1``."""
    why = missing()
    if not why:
        return
    if os.environ.get("REALM_REQUIRE_DOCKER") == "1":
        pytest.fail(f"a Docker engine is required: {why}", pytrace=False)
    pytest.skip(f"no Docker engine: {why}")


def docker(*arguments: str, check: bool = True) -> str:
    """Run the docker program and return its standard output without the last line end."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def labelled(kind: str, *labels: str) -> list[str]:
    """Return ids of ``kind`` (``container`` or ``volume``) that carry every one of ``labels``."""
    filters = [word for label in labels for word in ("--filter", f"label={label}")]
    every = ["--all"] if kind == "container" else []
    return docker(kind, "ls", "--quiet", *every, *filters).split()


@functools.cache
def gateway() -> str:
    """Return the host's address on the engine's default bridge, reachable from every box."""
    pools = json.loads(docker("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"))
    # An engine that was never told a gateway names none: it takes the subnet's first address.
    return str(pools[0].get("Gateway") or ipaddress.ip_network(pools[0]["Subnet"])[1])
