"""A gateway to the model that listens on this machine, as containers can ask it."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from realm import hosts

_FAR = "192.0.2.1"
"""A documentation address (RFC 5737): the route to it is the route to any other machine."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"


def from_outside(url: str) -> str:
    """Return a URL of this machine's loopback with the address that containers know it by, else as it is.

    That is so where what listens there does so at every address (on Linux, where that can be seen): at
    another address of this machine it might be somebody else who listens.
    """
    parts = urlsplit(url)
    # The certificate of HTTPS is for the name.
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
    """Tell whether something listens at a port of every address; see proc(5)."""
    for table in _TABLES:
        for line in table.read_text("ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == _LISTENS and int(number, 16) == port and not int(address, 16):
                return True
    return False
