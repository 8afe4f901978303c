"""The network of sandboxes with ``realm.network open``: a bridge on which they do not reach each other.

It is one for all projects, is made when it is first needed, and stays.
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
"""Bits of the subnet that is kept of what the engine gives: as few addresses as 250 sandboxes need."""
_TRIES = 3
"""Times that the network is looked for and made; two realms that do it at once get in each other's way."""


def ensure_open(engine: Engine) -> None:
    """Make the network unless the engine has it.

    Raises ``EngineError`` when one of that name is not shut between containers: it is not realm's;
    and on Podman, which has none that is.
    """
    if engine.is_podman:
        raise EngineError(
            "Podman lets the containers of a network reach each other: it has none for realm.network open",
            "git config realm.network allow",
        )
    found = _only(engine)
    for more in reversed(range(_TRIES)):
        if found:
            break
        try:
            _make(engine)
        except EngineError:  # somebody else makes one at this moment
            if not more:
                raise
        found = _only(engine)
    if found and (found.get("Options") or {}).get(_APART) != "false":
        raise EngineError(
            f"the network {layout.OPEN_NETWORK} of this engine lets containers reach each other: "
            "realm did not make it",
            f"docker network rm {layout.OPEN_NETWORK}, and realm makes its own",
        )


def _only(engine: Engine) -> Mapping[str, Any]:
    """Return the network, empty without one; of several all but one go: by their name none could be used.

    Whoever does this at the same time removes the same ones, the newest first.
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
    """Return a small subnet that is free, nothing where those that the engine gives are small.

    Only the engine knows which addresses are free on its machine, and tells by giving some to a network.
    That one has a name of its own, so that no sandbox is ever on it or finds it gone.
    """
    probe = f"{layout.OPEN_NETWORK}-probe"
    refused = EngineError(f"another program removed the network {probe} of this engine")
    try:
        engine.create_network(probe, labels, {_APART: "false"})
    except EngineError as error:  # another realm's, or one that a killed realm left, serves as well
        refused = error
    found = engine.networks(probe)
    if not found:
        raise refused
    for each in found:
        engine.remove_network(each["Id"])
    return _first_of(found[0])


def _first_of(found: Mapping[str, Any]) -> str:
    """Return the small subnet that a network's own begins with, nothing where that is small already."""
    for pool in (found.get("IPAM") or {}).get("Config") or ():
        whole = ipaddress.ip_network(pool["Subnet"])
        if whole.version == 4 and whole.prefixlen < _SMALL:  # noqa: PLR2004
            return str(next(whole.subnets(new_prefix=_SMALL)))
    return ""
