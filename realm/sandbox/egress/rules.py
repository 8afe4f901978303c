"""The hosts that sandboxes may reach, as the proxies' configuration, whose syntax only this module knows.

squid resolves only allowed names, so that nothing leaves by DNS.  An allowed name may not lead to a private,
local or reserved address: squid checks, and dnsmasq, its resolver, drops such answers, so that a name cannot
change between check and connection.  Addresses in place of names are refused unless the user allowed them.

See http://www.squid-cache.org/Doc/config/ and dnsmasq(8).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from realm import hosts
from realm.hosts import TLS, WEB
from realm.paths import shipped
from realm.sandbox.egress import registries
from realm.sandbox.egress.ticket import PROXY_PORT, STAND_PORT
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from realm.hosts import Host
    from realm.sandbox.egress.ticket import Ticket

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONFIG = "/run/realm/conf"
"""The directory of the configuration in the sidecar."""
REFUSED = "/run/realm/log/refused"
"""squid's log of refusals in the sidecar: address, host, port and reason on each line."""

_PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    "::/127", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
"""Addresses that no public name has, and notations that embed one in another address."""


class Upstream(NamedTuple):
    """A company proxy, used for everything but the names ``without`` it."""

    host: str
    port: int
    login: str = ""
    without: tuple[str, ...] = ()


@functools.cache
def usual() -> tuple[Host, ...]:
    """Return the hosts that are allowed by default (``container/egress/names``)."""
    lines = shipped("container/egress")["names"].decode().splitlines()
    return tuple(hosts.parse(line) for line in lines if line and not line.startswith("#"))


def files(allowed: Iterable[Host], upstream: Upstream | None = None) -> Mapping[str, bytes]:
    """Return the configuration that lets sandboxes reach the default hosts and those ``allowed``."""
    more = [*dict.fromkeys(allowed)]
    return {
        "squid.conf": "\n".join(_squid(more, upstream)).encode() + b"\n",
        "dnsmasq.conf": "\n".join(_dnsmasq(more)).encode() + b"\n",
        "registry.conf": b"# beside those of runs, since squid includes no files where there is none\n",
        **{name: f"{text}\n".encode() for name, text in _PAGES.items()},
    }


_PAGES = {
    "ERR_NAME": "realm: this container may not reach %H. Its user allows it with: realm allow %H",
    "ERR_PORT": "realm: this container may not reach %H:%p. Its user allows it with: realm allow %H:%p",
    "ERR_ADDRESS": "realm: this container may reach hosts by name. Its user allows it with: realm allow %H",
    "ERR_HERE": "realm: %H is this container itself, which needs no proxy (NO_PROXY)",
    "ERR_LOGIN": "realm: this container only reads at %H, with its user's login (realm.registryCredentials)",
    "ERR_PRIVATE": "realm: %H leads to a private address. Its user allows that with: realm allow ADDRESS",
}
"""squid's pages for refusals, with host and port in place of ``%H`` and ``%p``."""


_NGINX = """\
load_module /usr/lib/nginx/modules/ngx_http_js_module.so;
daemon on;
pid /run/realm/nginx.pid;
error_log /dev/null crit;
worker_processes 1;
worker_shutdown_timeout 1h;
events { worker_connections 4096; }
http {
  access_log off;
  server_tokens off;
  default_type application/json;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  client_max_body_size 0;
  large_client_header_buffers 4 64k;
  keepalive_timeout 300s;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_http_version 1.1;
  proxy_connect_timeout 60s;
  proxy_read_timeout 3600s;
  proxy_send_timeout 3600s;
  proxy_ssl_server_name on;
  proxy_ssl_verify on;
  proxy_ssl_verify_depth 5;
  proxy_ssl_protocols TLSv1.2 TLSv1.3;
  proxy_ssl_conf_command VerifyCAPath /etc/ssl/certs;
  # nginx insists on a file; it does not count beside the directory, from which only what is needed is loaded.
  proxy_ssl_trusted_certificate /usr/local/lib/realm/any.crt;
  js_path /usr/local/lib/realm;
  js_import spent.js;
  js_var $spent;
  log_format spent escape=none '$spent';
  map $upstream_status $stale { 401 yes; default ''; }
  # What a request that reads brings along some servers take for the next one's beginning, which has the key.
  map "$request_method $http_content_length$http_transfer_encoding" $odd {
    ~^(GET|HEAD)\\s0*$ ''; "~^POST " ''; default yes;
  }
  proxy_ignore_headers X-Accel-Redirect;
  include /run/realm/conf/api-*.conf;
}
"""
_ELSEWHERE = (
    '{"type":"error","error":{"type":"permission_error",'
    '"message":"realm lets through what is asked of the model, and nothing else"}}'
)
_COUNTED = """\
    js_body_filter spent.count buffer_type=buffer;
    proxy_set_header Accept-Encoding identity;
    access_log /run/realm/spent-{token} spent if=$spent;
"""
STALE = "stale"
"""The reason, in a line of :data:`REFUSED`, for a login that a server refused."""
_AUTHORITY = r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]"
_PATH = r"(/[A-Za-z0-9._~-]{1,200}){0,20}"
_HEADER = r"[a-z0-9-]{1,100}"
_VALUE = r"[ -#%-~]{0,8000}"
"""Text allowed in double quotes in nginx's configuration: no dollar sign, which cannot be escaped."""
_NOT_PASSED = ("x-api-key", "authorization", *map(str.lower, registries.CHANGING))


class Stand(NamedTuple):
    """A server at ``url`` for which the sidecar is a reverse proxy, adding ``headers`` to each request.

    Only requests for ``prefix`` and a path that matches ``paths``, a regular expression, are passed on, with
    the path of ``url`` in place of the prefix.  With ``reads`` it is a git server, only for fetching; with
    ``counts`` the cost of its answers is logged.
    """

    url: str
    headers: Mapping[str, str]
    paths: str
    prefix: str = ""
    reads: bool = False
    counts: bool = False


def stands(found: Ticket, wanted: Sequence[Stand]) -> Mapping[str, bytes]:
    """Return the configuration that gives the run of a ticket access to servers without having their keys.

    The sandbox's own keys are removed, and nothing else is passed on.  nginx reaches the servers through
    squid, which resolves their names.  Raises :class:`ValueError` for an address or a header that would have
    another meaning in the configuration.
    """
    token = found.token
    own = f"/run/realm/api/{token}"
    texts, ways = [], []
    for number, stand in enumerate(wanted):
        upstream, location, way = _stand(token, f"api_{token}_{number}", f"{own}.{number}", stand)
        texts.append((upstream, location))
        ways.append(f"{number} {way}\n")
    upstreams = "".join(upstream for upstream, _ in texts)
    locations = "".join(location for _, location in texts)
    text = f"""\
{upstreams}log_format stale-{token} escape=none '{found.address} git {TLS} {STALE}';
server {{
  listen unix:{own};
  location / {{ return 403 '{_ELSEWHERE}'; }}
  location = / {{ return 200 '{{}}'; }}
{locations}}}
"""
    return {
        "nginx.conf": _NGINX.encode(),
        f"api-{token}.conf": text.encode(),
        f"api-{token}.to": "".join(ways).encode(),
    }


def _stand(token: str, name: str, out: str, stand: Stand) -> tuple[str, str, str]:
    """Return nginx's upstream and location, and squid's target."""
    parts = urlsplit(stand.url)
    secure = parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    path = parts.path.rstrip("/")
    if (
        parts.scheme not in {"http", "https"}
        or not re.fullmatch(_AUTHORITY, host)
        or not re.fullmatch(_PATH, path)
    ):
        raise ValueError(f"{clean(stand.url, limit=80)} is not an address that the sidecar can ask")
    if parts.username or parts.query:
        raise ValueError("the address has a login or a question in it")
    given = {**dict.fromkeys(_NOT_PASSED, ""), **stand.headers}
    for header, value in given.items():
        if not re.fullmatch(_HEADER, header) or not re.fullmatch(_VALUE, value):
            raise ValueError(f"the header {clean(header, limit=40)} has characters that no key has")
    named = host if parts.port is None else f"{host}:{parts.port}"
    quoted = {header: re.sub(r'(["\\])', r"\\\1", value) for header, value in given.items()}
    lines = "".join(f'    proxy_set_header {header} "{value}";\n' for header, value in quoted.items())
    refused = f"    if ($args !~ \"^(service=git-upload-pack)?$\") {{ return 403 '{_ELSEWHERE}'; }}\n"
    refused += f"    access_log {REFUSED} stale-{token} if=$stale;\n"
    counted = _COUNTED.format(token=token) if stand.counts else ""
    # With a connection for each request, none can follow data that another one left there.
    kept = "" if stand.reads else "  keepalive 16;\n  keepalive_timeout 240s;\n"
    upstream = f"upstream {name} {{\n  server unix:{out};\n{kept}}}\n"
    location = f"""\
  location ~ "^{re.escape(stand.prefix)}(?<asked>{stand.paths})$" {{
    if ($odd) {{ return 403 '{_ELSEWHERE}'; }}
{refused if stand.reads else ""}{counted}    proxy_set_header Host "{named}";
    proxy_set_header Connection "{"close" if stand.reads else ""}";
{lines}    proxy_ssl_name "{host}";
    proxy_pass {parts.scheme}://{name}{path}$asked$is_args$args;
  }}
"""
    return upstream, location, f"{host}:{parts.port or (TLS if secure else WEB)}"


def _squid(more: Sequence[Host], upstream: Upstream | None) -> Iterator[str]:
    yield f"""\
http_port 127.0.0.1:{PROXY_PORT}
http_port 127.0.0.1:{STAND_PORT} name=stand
acl standing myportname stand
pid_filename none
pinger_enable off
dns_nameservers 127.0.0.1
dns_defnames off
hosts_file none
dns_timeout 10 seconds
connect_timeout 30 seconds
cache deny all
cache_mem 0
memory_pools off
cache_log /dev/null
debug_options ALL,0
coredump_dir /run/realm
shutdown_lifetime 0 seconds
read_timeout 1 hour
client_lifetime 7 days
via off
forwarded_for delete
httpd_suppress_version_string on
visible_hostname realm
acl refused note why
logformat refused %>a %>rd %>rP %note{{why}}
access_log stdio:{REFUSED} logformat=refused on-error=drop refused
error_directory {CONFIG}
acl because_private annotate_transaction why=private
acl because_address annotate_transaction why=address
acl because_here annotate_transaction why=name
acl because_name annotate_transaction why=name
acl because_port annotate_transaction why=name
deny_info 403:ERR_PRIVATE because_private
deny_info 403:ERR_HERE because_here
deny_info 403:ERR_ADDRESS because_address
deny_info 403:ERR_NAME because_name
deny_info 403:ERR_PORT because_port
acl usual_port port {TLS} {WEB}
acl tunnel method CONNECT
acl plain proto HTTP
acl here dstdom_regex -n ^\\[?({hosts.HERE})\\]?$
acl literal dstdom_regex -n ^[0-9.]+$ ^\\[?[0-9a-f:.]*:[0-9a-f:.]*\\]?${registries.SHARED}"""
    for number, host in enumerate(host for host in more if host.own):
        kind = "dstdomain -n" if host.network is None else "dst"
        yield f"acl own{number} {kind} {host.name}"
        who = f"own{number}" if host.network is None else f"literal own{number}"
        yield from _ways(f"standing {who}", host.port, "")
    yield "http_access deny here because_here"
    more = [host for host in more if not host.own]
    named = [network for host in more if (network := host.network) is not None]
    yield f"acl private dst {' '.join(map(str, _private(named)))}"
    for number, host in enumerate(more):
        if host.network is not None:
            yield f"acl address{number} dst {host.network}"
            yield from _ways(f"literal address{number}", host.port, "")
    yield "http_access deny literal because_address"
    known = [host for host in more if host.network is None and host.known]
    names = [host for host in (*usual(), *more) if host.network is None and not host.known]
    for kind, group, check in (("known", known, ""), ("names", names, "private because_private")):
        for port in dict.fromkeys(host.port for host in group):
            listed = _without_covered([host.name for host in group if host.port == port])
            yield f"acl {kind}{port} dstdomain -n {' '.join(listed)}"
            yield from _ways(f"{kind}{port}", port, check)
    yield "http_access deny usual_port because_name"
    yield "http_access deny all because_port"
    yield from _through(upstream)


def _ways(who: str, port: int, check: str) -> Iterator[str]:
    """Yield the rules that allow requests matching ``who``: HTTPS and HTTP at their ports, or both at one."""
    # Port 80 can also be reached through a tunnel, as node does.
    for way, usually in (("tunnel", TLS), ("tunnel", WEB), ("!tunnel plain", WEB)):
        at = f"at{port or usually}"
        yield f"acl {at} port {port or usually}"
        if check:
            yield f"http_access deny {who} {way} {at} {check}"
        yield f"http_access allow {who} {way} {at}"


def _private(named: Sequence[Network]) -> list[Network]:
    """Return the networks that names must not lead to: the private ones without those the user named."""
    left: list[Any] = [ipaddress.ip_network(text) for text in _PRIVATE]
    for wanted in named:
        left = [
            rest
            for network in left
            for rest in (_less(network, wanted) if network.version == wanted.version else [network])
        ]
    return left


def _less(network: Any, wanted: Any) -> list[Network]:
    """Return the rest of a network without another of the same IP version."""
    if not network.overlaps(wanted):
        return [network]
    return [] if network.prefixlen >= wanted.prefixlen else [*network.address_exclude(wanted)]


def _without_covered(names: Sequence[str]) -> list[str]:
    """Return the names that no other name with a leading dot covers, as squid refuses duplicates."""
    tops = [name for name in names if name.startswith(".")]

    def is_covered(name: str) -> bool:
        return any(name != top and (name.endswith(top) or f".{name}" == top) for top in tops)

    return [name for name in dict.fromkeys(names) if not is_covered(name)]


def _through(upstream: Upstream | None) -> Iterator[str]:
    if upstream is None:
        return
    # squid decodes escapes in this word.
    login = f" login={quote(upstream.login, safe=':')}" if upstream.login else ""
    way = f"{upstream.host} parent {upstream.port} 0 no-query default no-digest no-netdb-exchange"
    yield f"cache_peer {way} name=upstream{login}"
    yield "cache_peer_access upstream deny led"
    if upstream.without:
        yield f"acl direct dstdomain -n {' '.join(_without_covered(upstream.without))}"
        yield "always_direct allow direct"
    yield "always_direct deny all"  # requests that match no rule would get the opposite of the last rule
    yield "never_direct allow all"


def _dnsmasq(more: Sequence[Host]) -> Iterator[str]:
    yield from (
        "listen-address=127.0.0.1",
        "bind-interfaces",
        "port=53",
        "no-hosts",
        "cache-size=1000",
        "pid-file=",
        "resolv-file=/etc/resolv.conf",
    )
    if any(host.network is not None and not host.known for host in more):
        return  # a name may lead to an address that the user named; squid checks
    yield "stop-dns-rebind"
    # Attackers do not control these names; some networks resolve them to addresses of their own.
    trusted = [host.name for host in (*usual(), *(one for one in more if one.known and one.network is None))]
    yield from (f"rebind-domain-ok=/{name.removeprefix('.')}/" for name in trusted)
