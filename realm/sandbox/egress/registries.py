"""Registries that a run reads with its user's logins, which only the sidecar has.

Only for these hosts squid terminates TLS, with a certificate whose authority signed nothing else and whose
key is deleted (``container/egress/serve``).  It does so at a separate port of the run, to which it leads
tunnels for these hosts, as a port that terminates TLS answers nothing without it.  It adds the login to
requests that read; so tools and lock files keep their addresses.  Requests to other hosts, as after a
redirect, are treated like any others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from realm import hosts
from realm.hosts import TLS, WEB
from realm.sandbox.egress.ticket import BACK_PORT, READ_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realm.hosts import Host
    from realm.sandbox.egress.ticket import Ticket

PREFIX = "registry-"
"""The name of the file with a run's registries is this, its token, and ``.conf``."""
TLS_FILES = "/run/realm/tls"
"""The directory of their certificates in the sidecar, by the run's token."""
SHARED = r"""
tls_outgoing_options default-ca=off capath=/etc/ssl/certs min-version=1.2
acl reading method GET HEAD
acl crooked urlpath_regex -i (/|%2f)(\.|%2e){1,2}(/|%2f|;|\?|#|$) \\ %5c %25
acl laden req_header Transfer-Encoding .
acl because_login annotate_transaction why=login
deny_info 403:ERR_LOGIN because_login
acl led note way
always_direct deny led
never_direct allow led
include /run/realm/conf/registry*.conf
ssl_bump none all"""
"""The configuration around all runs' files.  It refuses dots in a path, which could lead out of a login's
path, and a body in a request that reads, which some servers take for the next request."""
CHANGING = (
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
)  # fmt: skip
"""Headers from the sandbox that are removed: they turn a read into a write, or name another path."""
_PATH = re.compile(r"/[A-Za-z0-9._~@/+-]{0,400}")
_VALUE = re.compile(r"[ -~]{1,8000}")


class Registry(NamedTuple):
    """A registry at ``url``, without a path, and its logins: the ``Authorization`` header by path."""

    url: str
    logins: Mapping[str, str]

    @property
    def host(self) -> Host:
        """The host, marked as named by the user, with its port if that is not the default."""
        return hosts.parse(self.url.partition("://")[2])._replace(known=True)


def files(found: Ticket, wanted: Sequence[Registry]) -> Mapping[str, bytes]:
    """Return the configuration with which a run reads registries.

    Raises :class:`ValueError` for a login that would have another meaning in the configuration.
    """
    if not wanted:
        return {}
    text = "\n".join(_lines(found, wanted))
    return {f"{PREFIX}{found.token}.conf": f"{text}\n".encode()}


def _lines(found: Ticket, wanted: Sequence[Registry]) -> Iterator[str]:
    kinds = ("DNS" if one.host.network is None else "IP" for one in wanted)
    names = (f"{kind}:{one.host.name}" for kind, one in zip(kinds, wanted, strict=True))
    yield f"# {','.join(dict.fromkeys(names))}"  # the certificate's names
    run = f"run{found.token}"
    pem = f"{TLS_FILES}/{found.token}.pem"
    way = f"ssl-bump tls-cert={pem} generate-host-certificates=off"
    yield f"http_port {found.address}:{READ_PORT} name={run} {way}"
    yield f"acl {run} src {found.address}"
    yield f"acl {run}_there myportname {run}"
    yield f"acl {run}_lead annotate_transaction way={run}"
    yield f"acl {run}_led note way {run}"
    yield f"cache_peer {found.address} parent {BACK_PORT} 0 no-query no-digest no-netdb-exchange name={run}"
    yield f"cache_peer_access {run} allow {run}_led"
    yield f"tcp_outgoing_address {found.address} {run}_led"
    for number, one in enumerate(wanted):
        scheme = urlsplit(one.url).scheme
        it = f"{run}_{number}"
        yield f"acl {it} dstdomain -n {one.host.name}"
        yield f"acl {it}_port port {one.host.port or (TLS if scheme == 'https' else WEB)}"
        yield f"acl {it}_way proto {scheme.upper()}"
        here = f"{run} {it} {it}_port"
        if scheme == "https":
            yield f"ssl_bump bump {here}"
            yield f"http_access allow tunnel {here} {run}_there"
            yield f"http_access allow tunnel {here} {run}_lead"
        yield f"http_access deny {here} !reading because_login"
        yield f"http_access deny {here} crooked because_login"
        yield f"http_access deny {here} laden because_login"
        yield f"http_access allow {here} {it}_way"
        yield f"http_access deny {here} because_login"
        # squid sends a company's proxy the headers of requests through its tunnel, including the login.
        yield f"always_direct allow {here}"
        yield from (f"request_header_access {header} deny {here}" for header in ("Authorization", *CHANGING))
        # A session cookie is as good as the login.
        yield f"reply_header_access Set-Cookie deny {here}"
        longer: list[str] = []
        for place, (path, value) in enumerate(sorted(one.logins.items(), key=lambda login: -len(login[0]))):
            if not _PATH.fullmatch(path) or not _VALUE.fullmatch(value):
                raise ValueError(f"the login for {one.host} has characters that no login has")
            name = f"{it}_path{place}"
            yield f"acl {name} urlpath_regex ^{re.escape(path.rstrip('/'))}(/|$)"
            quoted = re.sub(r'(["\\])', r"\\\1", value).replace("%", "%%")
            yield " ".join(
                ["request_header_add Authorization", f'"{quoted}"', here, f"{it}_way", name, *longer]
            )
            longer.append(f"!{name}")
