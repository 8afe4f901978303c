"""The address by which containers reach a gateway to the model that runs on this machine."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from realm import hosts

_FAR = "192.0.2.1"
"""A documentation address (RFC 5737), routed like any other machine's."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"


def from_outside(url: str) -> str:
    """Return ``url`` with this machine's outside address in place of its loopback address.

    Only where the server there listens on all addresses (which can be seen on Linux): on another address of
    this machine a different server might listen.  Otherwise ``url`` is returned as it is.
    """
    parts = urlsplit(url)
    # The certificate for HTTPS names the host, so that must not change.
    if not hosts.is_here(url) or parts.scheme.lower() != "http" or parts.username:
        return url
    with suppress(OSError, ValueError):
        port = parts.port or hosts.WEB
        if _is_open_to_all(port):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
                way.connect((_FAR, port))  # nothing is sent
                return parts._replace(netloc=f"{way.getsockname()[0]}:{port}").geturl()
    return url


def _is_open_to_all(port: int) -> bool:
    """Tell whether something listens on ``port`` at all addresses; see proc(5)."""
    for table in _TABLES:
        for line in table.read_text("ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == _LISTENS and int(number, 16) == port and not int(address, 16):
                return True
    return False
