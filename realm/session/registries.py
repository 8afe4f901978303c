"""The logins that the user's tools have for registries (``realm.registryCredentials``), read on this machine.

Each row of :data:`_SOURCES` knows one tool's files or variables.  What they say goes to the sidecar alone
(:mod:`realm.sandbox.egress.registries`), for the hosts that the setting names; nothing that is read
here is run, or asked of another program.
"""

from __future__ import annotations

import base64
import binascii
import netrc
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from realm.config import REGISTRY_CREDENTIALS
from realm.errors import RealmError, UsageError
from realm.redact import ADDRESS, tells
from realm.sandbox.egress.registries import Registry, files
from realm.sandbox.egress.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realm.config import Config

_LIMIT = 256 * 1024
"""Bytes of such a file."""
_INDEXES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL", "GOPROXY", "NPM_CONFIG_REGISTRY", "npm_config_registry", "YARN_NPM_REGISTRY_SERVER",
)  # fmt: skip
"""Variables with registries' URLs, which containers get without the logins."""
_ADDRESS = re.compile(
    r"https?://(?P<login>[^\s/@\"'<>]+)@(?P<host>[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?)"
    r"(?P<path>/[\w.~@/+-]{0,400}(?=[\s\"'<>,|]|$))?",
    re.ASCII,
)
_INDEX = re.compile(r"/(\+?simple|index)/?$")
"""The end of a path to a package index; the packages are beside it."""
_NPM = re.compile(
    r"(?://(?P<place>[^\s:/]+(?::\d+)?(?:/[^\s:]*)?):)?(?P<key>_authToken|_auth|username|_password)"
)


class RegistryLogin(NamedTuple):
    """An ``Authorization`` for a host (with its port, ``*`` for any, or none) and for the paths below one."""

    host: str
    path: str
    value: str


def _at(host: str, path: str, value: str) -> Iterator[RegistryLogin]:
    """Yield a login for a path on a host, and for the rest of that host if there is no other login."""
    yield RegistryLogin(host, _INDEX.sub("/", path) or "/", value)
    yield RegistryLogin(host, "/", value)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()


def _decoded(text: str) -> str:
    """Return the text encoded in base64; empty if it is malformed."""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""


def _filled(value: str, environ: Mapping[str, str]) -> str:
    """Return a value without quotes, its variables filled in."""
    bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
    return re.sub(r"\$\{([^}$:?-]+)[^}$]*\}", lambda name: environ.get(name[1], ""), bare)


# -- what is known of one tool -----------------------------------------------------


def _npm(text: str, environ: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read ``.npmrc``, which pnpm and yarn 1 read as well."""
    found: dict[str, dict[str, str]] = {}
    registry = "registry.npmjs.org/"
    for line in text.splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or key.startswith((";", "#")):
            continue
        value = _filled(value, environ)
        if key == "registry":
            registry = value.partition("://")[2]
        elif match := _NPM.fullmatch(key):
            found.setdefault(match["place"] or "", {})[match["key"]] = value
    for place, said in found.items():
        host, _, path = (place or registry).partition("/")
        password = _decoded(said.get("_password", ""))
        if token := said.get("_authToken"):
            yield RegistryLogin(host, f"/{path}", f"Bearer {token}")
        elif pair := said.get("_auth"):
            yield RegistryLogin(host, f"/{path}", f"Basic {pair}")
        elif said.get("username") and password:
            yield RegistryLogin(host, f"/{path}", _basic(said["username"], password))


def _yarn(text: str, environ: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read ``.yarnrc.yml`` of yarn 2 and later: only mappings of keys to texts, the form that logins have."""
    above: list[tuple[int, str]] = []
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        words = line.strip()
        key, colon, value = (part.strip() for part in f"{words} ".partition(": "))
        if not colon or key.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        above = [one for one in above if one[0] < depth]
        key, value = key.strip("\"'"), value.partition(" #")[0].strip()
        if not value:
            above.append((depth, key))
            continue
        inside = "\0".join(name for _, name in above)
        found.setdefault(inside, {})[key] = _filled(value, environ)
    for inside, said in found.items():
        within, _, name = inside.partition("\0")
        url = name if within == "npmRegistries" else said.get("npmRegistryServer", "")
        host, _, path = url.rpartition("//")[2].partition("/")
        if host and (token := said.get("npmAuthToken")):
            yield RegistryLogin(host, f"/{path}", f"Bearer {token}")
        elif host and (ident := said.get("npmAuthIdent")):
            yield RegistryLogin(
                host, f"/{path}", _basic(*ident.split(":", 1)) if ":" in ident else f"Basic {ident}"
            )


def _addresses(text: str, _: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read the URLs with logins in any text."""
    for match in _ADDRESS.finditer(text):
        user, password = [*match["login"].split(":", 1), ""][:2]
        yield from _at(match["host"], match["path"] or "/", _basic(unquote(user), unquote(password)))


def _cargo(text: str, environ: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read ``credentials.toml``; ``config.toml`` beside it has the registries' addresses."""
    tables = _tables(text)
    for name, host, path in _cargo_places(environ):
        token = environ.get(f"{_cargo_variable(name)}_TOKEN") or tables.get(name, {}).get("token")
        if isinstance(token, str):
            yield from _at(host, path, token)


def _cargo_places(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the names of cargo's registries, and their hosts and paths."""
    for file in ("config.toml", "config"):
        for name, said in _tables(_read(_place(environ, "", f"~/.cargo/{file}"))).items():
            parts = urlsplit(str(said.get("index", "")).removeprefix("sparse+"))
            if parts.netloc:
                yield name, parts.netloc.rpartition("@")[2], parts.path


def _cargo_variable(name: str) -> str:
    return f"CARGO_REGISTRIES_{name.upper().replace('-', '_')}"


def _tables(text: str) -> dict[str, dict[str, Any]]:
    """Return cargo's registries by name."""
    found = tomllib.loads(text).get("registries", {})
    return (
        {name: said for name, said in found.items() if isinstance(said, dict)}
        if isinstance(found, dict)
        else {}
    )


def _uv(text: str, _: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read the logins of ``uv auth login``."""
    found = tomllib.loads(text).get("credential")
    for one in found if isinstance(found, list) else ():
        pairs = one.items() if isinstance(one, dict) else ()
        said = {key: value for key, value in pairs if isinstance(value, str)}
        parts = urlsplit(said.get("service", ""))
        if password := said.get("password"):
            yield from _at(parts.netloc, parts.path, _basic(said.get("username", ""), password))
        elif token := said.get("token"):
            yield from _at(parts.netloc, parts.path, f"Bearer {token}")


def _maven(text: str, environ: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read ``settings.xml``: the servers with a mirror or repository in it."""
    if not text:
        return
    from xml.etree import ElementTree as ET

    try:
        whole = ET.fromstring(text)  # noqa: S314 the user's own
    except ET.ParseError:
        raise ValueError("it is not XML") from None
    every = [
        {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}
        for element in whole.iter()
    ]
    places = [(one["id"], urlsplit(one["url"])) for one in every if "id" in one and "url" in one]
    for one in every:
        user, password = (
            _filled(one.get(key, "").replace("${env.", "${"), environ) for key in ("username", "password")
        )
        # Passwords encrypted by Maven are in braces, and need a file that only Maven reads.
        if password and not password.startswith("{"):
            for place in (place for name, place in places if name == one.get("id")):
                yield from _at(place.netloc, place.path, _basic(user, password))


def _netrc(text: str, environ: Mapping[str, str]) -> Iterator[RegistryLogin]:
    """Read ``.netrc``, which curl, pip, uv and Go read; its default entry is ignored."""
    path = _place(environ, "NETRC", "~/.netrc")
    try:
        entries = netrc.netrc(str(path)).hosts if text else {}
    except netrc.NetrcParseError as error:
        raise ValueError(error.msg) from None
    for host, (user, _, password) in entries.items():
        if host != "default" and password:
            yield RegistryLogin(f"{host}:*", "/", _basic(user or "", password))


class _Source(NamedTuple):
    """A file, or the one that ``variable`` names, and its reader."""

    file: str
    variable: str
    read: Callable[[str, Mapping[str, str]], Iterator[RegistryLogin]]


_SOURCES = (
    _Source("~/.npmrc", "NPM_CONFIG_USERCONFIG", _npm),
    _Source("~/.config/pnpm/rc", "", _npm),
    _Source("~/.yarnrc.yml", "", _yarn),
    _Source("~/.config/pip/pip.conf", "PIP_CONFIG_FILE", _addresses),
    _Source("~/.pip/pip.conf", "", _addresses),
    _Source("~/Library/Application Support/pip/pip.conf", "", _addresses),
    _Source("~/.config/uv/uv.toml", "UV_CONFIG_FILE", _addresses),
    _Source("~/.local/share/uv/credentials/credentials.toml", "", _uv),
    _Source("~/.config/go/env", "GOENV", _addresses),
    _Source("~/.cargo/credentials.toml", "", _cargo),
    _Source("~/.cargo/credentials", "", _cargo),
    _Source("~/.m2/settings.xml", "", _maven),
    _Source("~/.netrc", "NETRC", _netrc),
)
"""The first login found counts; the variables of :data:`_INDEXES` come before all of these."""


# -- what is said of the hosts that are named --------------------------------------


def find(config: Config, policy: str, environ: Mapping[str, str] = os.environ) -> tuple[Registry, ...]:
    """Return the registries of ``realm.registryCredentials`` with the logins that the user's files have.

    Raises :class:`UsageError` where the sandbox has another way out, and :class:`RealmError` for a
    registry without a login.
    """
    urls = list(dict.fromkeys(config.values(REGISTRY_CREDENTIALS)))
    if not urls or policy == "none":
        return ()
    if policy != "allow":
        raise UsageError(
            "realm.registryCredentials needs realm.network allow: the sidecar has the logins",
            "git config realm.network allow, or git config --unset-all realm.registryCredentials",
        )
    logins, problems = _logins(environ)
    found = tuple(Registry(url, _of(url, logins)) for url in urls)
    for one in found:
        if not one.logins:
            said = f" ({'; '.join(problems)})" if problems else ""
            raise RealmError(
                f"no login for {one.host}, which realm.registryCredentials names, is in .npmrc, .yarnrc.yml, "
                f"pip.conf, uv.toml, .cargo, .m2 or .netrc of your home{said}",
                "log your tool in to it, or git config --unset-all realm.registryCredentials",
            )
    try:
        files(Ticket("0", "127.0.0.1"), found)
    except ValueError as error:
        raise UsageError(
            f"realm.registryCredentials: {error}", "git config --unset-all realm.registryCredentials"
        ) from None
    return found


def _logins(environ: Mapping[str, str]) -> tuple[list[RegistryLogin], list[str]]:
    """Return all logins, and errors about files that cannot be read."""
    found: list[RegistryLogin] = []
    for name in _INDEXES:
        found += _addresses(environ.get(name, ""), environ)
    problems = []
    for source in _SOURCES:
        path = _place(environ, source.variable, source.file)
        try:
            found += source.read(_read(path), environ)
        except (OSError, ValueError, RecursionError):
            problems.append(f"{source.file} cannot be read")
    return found, problems


def _place(environ: Mapping[str, str], variable: str, file: str) -> Path:
    home = environ.get("HOME") or str(Path.home())
    return Path((environ.get(variable) or file).replace("~", home, 1))


def _read(path: Path) -> str:
    """Return a file's text, empty if there is none; raises ``OSError`` and :class:`ValueError`."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError("it is too large")
    return data.decode("utf-8-sig")


def _of(url: str, logins: Sequence[RegistryLogin]) -> dict[str, str]:
    """Return the logins for a registry by their paths."""
    found: dict[str, str] = {}
    for login in logins:
        if _is_at(login.host, url):
            found.setdefault(login.path.rstrip("/") + "/", login.value)
    return found


def _is_at(host: str, url: str) -> bool:
    """Tell whether a host, as tools write it, is the registry's."""
    scheme, _, named = url.partition("://")
    usual = ":443" if scheme == "https" else ":80"
    bare = re.sub(r":\d+$", "", named)
    return host.lower().removesuffix(usual) in (named.removesuffix(usual), f"{bare}:*")


# -- what containers get -----------------------------------------------------------


def variables(found: Sequence[Registry], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables by which tools find registries, without logins; cargo wants a word for one.

    It wants to be told, too, that there is no program to ask for it.
    """
    if not found:
        return {}

    def is_named(host: str) -> bool:
        return any(_is_at(host.rpartition("@")[2], one.url) for one in found)

    told: dict[str, str] = {}
    for name in _INDEXES:
        text = environ.get(name, "")
        if any(is_named(urlsplit(match[0]).netloc) for match in ADDRESS.finditer(text)):
            bare = ADDRESS.sub(lambda match: f"{match['scheme']}/{match['rest']}", text)
            told |= {} if tells(bare) else {name: bare}
    with suppress(OSError, ValueError, RecursionError):
        for name in [name for name, host, _ in _cargo_places(environ) if is_named(host)]:
            told[f"{_cargo_variable(name)}_TOKEN"] = "placeholder"
            told[f"{_cargo_variable(name)}_CREDENTIAL_PROVIDER"] = "cargo:token"
    return told


def secrets(found: Sequence[Registry]) -> list[str]:
    """Return the parts of the logins that must never be shown."""
    logins = dict.fromkeys(value for one in found for value in one.logins.values())
    values = [value.rpartition(" ")[::2] for value in logins]
    pairs = (_decoded(value) for kind, value in values if kind == "Basic")
    return [value for _, value in values] + [pair.partition(":")[2] for pair in pairs if ":" in pair]
