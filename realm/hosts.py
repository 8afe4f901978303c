"""Hosts that sandboxes may reach, as users write them: a name, address or network, with an optional port.

``example.com`` is only that name, ``.example.com`` (or ``*.example.com``) also all names below it,
``example.com:8443`` the name at only that port, ``10.1.2.3`` an address, ``10.1.0.0/16`` a network,
``[fd00::1]:8080`` an IPv6 address with its port.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ipaddress

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_LONGEST = 253
_HIGHEST = 65535
TLS, WEB = 443, 80
"""The usual ports."""
HERE = r"localhost|127\.[0-9./]+|::1"
"""A pattern of the names of the machine that asks: in a container the container itself."""


class Host(NamedTuple):
    """A host: its ``name`` in lower case or its address, and the port, 0 for the usual ones.

    ``known`` means that the user named it as a destination, wherever its name resolves to; ``own`` that only
    realm's own sidecar contacts it, for a sandbox.
    """

    name: str
    port: int = 0
    known: bool = False
    own: bool = False

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """Return its addresses; ``None`` for a name."""
        import ipaddress

        try:
            return ipaddress.ip_network(self.name)
        except ValueError:
            return None

    @property
    def is_here(self) -> bool:
        """Whether it is the machine that asks."""
        return re.fullmatch(HERE, self.name) is not None

    def __str__(self) -> str:
        """Return it as users write it."""
        name = f"[{self.name}]" if ":" in self.name and self.port else self.name
        return f"{name}:{self.port}" if self.port else name


def is_here(url: str) -> bool:
    """Tell whether a URL leads back to the machine that requests it."""
    try:
        return Host(urlsplit(url).hostname or "").is_here
    except ValueError:
        return False


def parse(text: str) -> Host:
    """Parse ``text``; raises :class:`ValueError` with what is wrong."""
    word = text.strip().lower()
    if "//" in word:
        raise ValueError("write the host alone, without https:// or a path")
    if word.startswith("["):
        name, end, rest = word[1:].partition("]")
        port = rest.removeprefix(":") if end and (not rest or rest[1:]) and rest[:1] in ("", ":") else "?"
    elif word.count(":") == 1:
        name, _, port = word.partition(":")
        port = port or "?"
    else:
        name, port = word, ""
    return Host(_name(name), _port(port))


def at(name: str, port: int) -> Host:
    """Return the host of that name at a port, which is omitted if it is a usual one."""
    return Host(name, 0 if port in (TLS, WEB) else port)


def _port(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= _HIGHEST:
        raise ValueError("it is not a host with a port")
    return int(text)


def _name(text: str) -> str:
    import ipaddress  # 3 ms, for those who name a host

    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        pass
    else:
        return str(found.network_address) if found.prefixlen == found.max_prefixlen else str(found)
    below = text.startswith((".", "*."))
    bare = text.removeprefix("*").removeprefix(".").rstrip(".")
    try:
        bare = bare.encode("idna").decode()
    except UnicodeError:
        raise ValueError("it is not the name of a host") from None
    labels = bare.split(".")
    if len(bare) > _LONGEST or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise ValueError("it is not the name of a host")
    if below and len(labels) == 1:
        raise ValueError("it would be a whole top-level domain")
    return f".{bare}" if below else bare
