"""The network of sandboxes with ``realm.network open``: a bridge on which they cannot reach each other.

All projects share it; it is created on first use, and stays.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from realm.errors import EngineError
from realm.sandbox import layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.docker import Engine

_APART = "com.docker.network.bridge.enable_icc"
_ROLE = "network"
_SMALL = 24
"""Prefix length of the subnet taken from what the engine gives: as few addresses as 250 sandboxes need."""
_TRIES = 3
"""Attempts to find or create the network, as two processes that do so at once can make each other fail."""


def ensure_open(engine: Engine) -> None:
    """Create the network unless the engine has it.

    Raises ``EngineError`` when a network of that name, not realm's, lets containers reach each other, and on
    Podman, where all do.
    """
    if engine.is_podman:
        raise EngineError(
            "Podman lets the containers of a network reach each other: it has none for realm.network open",
            "git config realm.network allow",
        )
    found = _only(engine)
    problem = EngineError(f"another program keeps removing the network {layout.OPEN_NETWORK} of this engine")
    for _ in range(_TRIES):
        if found:
            break
        try:
            _make(engine)
        except EngineError as error:  # perhaps another realm is just making it
            problem = error
        found = _only(engine)
    if not found:
        raise problem
    if (found.get("Options") or {}).get(_APART) != "false":
        raise EngineError(
            f"the network {layout.OPEN_NETWORK} of this engine lets containers reach each other: "
            "realm did not make it",
            f"docker network rm {layout.OPEN_NETWORK}, and realm makes its own",
        )


def _only(engine: Engine) -> Mapping[str, Any]:
    """Return the network, empty if there is none; of several remove all but one, as the name is ambiguous.

    The newest goes first, so that processes that do this at the same time remove the same ones.
    """
    found = engine.networks(layout.OPEN_NETWORK)
    for each in reversed(found):
        if len(found) > 1:
            with suppress(EngineError):  # a container is on it
                engine.remove_network(each["Id"])
                found.remove(each)
    return found[0] if found else {}


def _make(engine: Engine) -> None:
    labels = {layout.ROLE: _ROLE}
    engine.create_network(layout.OPEN_NETWORK, labels, {_APART: "false"}, _free(engine, labels))


def _free(engine: Engine, labels: Mapping[str, str]) -> str:
    """Return a small free subnet, or nothing if the engine's own choices are small.

    Only the engine knows the free addresses of its machine, and shows some by assigning them to a network.
    This uses a network with a separate name, so that no sandbox is ever on it or finds it gone.
    """
    probe = f"{layout.OPEN_NETWORK}-probe"
    refused = EngineError(f"another program removed the network {probe} of this engine")
    try:
        engine.create_network(probe, labels, {_APART: "false"})
    except EngineError as error:  # the network of another or a killed process serves as well
        refused = error
    found = engine.networks(probe)
    if not found:
        raise refused
    for each in found:
        engine.remove_network(each["Id"])
    return _first_of(found[0])


def _first_of(found: Mapping[str, Any]) -> str:
    """Return the small subnet at the start of a network's subnet, or nothing if that is small already."""
    for pool in (found.get("IPAM") or {}).get("Config") or ():
        whole = ipaddress.ip_network(pool["Subnet"])
        if whole.version == 4 and whole.prefixlen < _SMALL:  # noqa: PLR2004
            return str(next(whole.subnets(new_prefix=_SMALL)))
    return ""
