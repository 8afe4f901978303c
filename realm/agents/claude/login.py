"""Claude Code's login: keys from the environment, or the host's own login kept in sync.

Claude Code keeps its login in ``.credentials.json`` of its configuration directory (on macOS in the keychain,
under the service name ``Claude Code-credentials``; for a chosen directory ``-`` and the first 8 hex digits of
its path's SHA-256 follow)::

    {"claudeAiOauth": {"accessToken": "…", "refreshToken": "…", "expiresAt": <ms>, "scopes": […], …}}

Refresh tokens are single-use: when either the host or a sandbox with a copy of the login renews it, the other
is logged out unless it gets the new one.  So the login is never mounted: the newer of the two, by
``expiresAt``, is copied over the other during a run and at its end.  A sandbox's login is parsed and rebuilt
here: it can change the tokens and nothing else.

An agent could put another account's tokens into its file, and the host would then work under that account.
Tokens do not show whose they are, but real renewals are rare: a sandbox's tokens are taken only when the
host's own were due (:data:`DUE`), with a usual lifetime (:data:`LONGEST`) and the same scopes and
subscription.  The previous login is kept, and the user is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm.agents.base import BEFORE, Login, Match, Renewal
from realm.agents.gateway import from_outside
from realm.config import LOGIN
from realm.errors import RealmError
from realm.paths import make_private, realm_home, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_VARIABLES = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN")
"""Each of them is enough to log in."""

ADDRESS = "ANTHROPIC_BASE_URL"
PASSED_VARIABLES = (*KEY_VARIABLES, ADDRESS)

_PROVIDERS = (
    "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY",
    "AWS_BEARER_TOKEN_BEDROCK",
)  # fmt: skip
"""Each of them, set in the sandbox, means that another provider's login is used."""

CREDENTIALS_LIMIT = 64 * 1024
"""Bytes; a real file has about one thousand."""

DUE = 10 * 60 * 1000
"""Milliseconds before its expiry from which a renewal is plausible: Claude Code renews 5 minutes before."""

_LAST = 253_402_300_799_000
"""Milliseconds since the epoch to the end of the year 9999."""

LONGEST = 24 * 3600 * 1000
"""The longest lifetime of a new access token, in milliseconds; real ones have about 8 hours."""

_KEYCHAIN_SERVICE = "Claude Code-credentials"


def chosen(environ: Mapping[str, str]) -> str:
    """Return the directory chosen by ``realm.login`` or CLAUDE_CONFIG_DIR; empty for the default."""
    login = environ.get(LOGIN.variable)
    if not login:
        return environ.get("CLAUDE_CONFIG_DIR", "")
    return os.path.expanduser(login)  # noqa: PTH111 - that of somebody whom nobody knows is none


def host_config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the host's configuration directory of Claude Code."""
    return Path(chosen(environ) or Path.home() / ".claude")


def from_environment(environ: Mapping[str, str], given: Mapping[str, str] = {}) -> Login:
    """Return the login in variables; its ``source`` is empty when none of them is a key.

    ``given``, from docker flags, override the host's ``environ``.  A gateway's loopback address in the latter
    is replaced by one that containers can reach.
    """
    known = {**environ, **given}
    # A newline comes along from a file, and a carriage return with substitution in a shell on Windows.
    variables = {name: text for name in PASSED_VARIABLES if (text := known.get(name, "").strip())}
    if ADDRESS in variables and ADDRESS not in given:
        variables[ADDRESS] = from_outside(variables[ADDRESS])
    key = next((name for name in KEY_VARIABLES if name in variables), None)
    return Login(variables, source=f"{key} is set" if key else "")


def find(
    environ: Mapping[str, str], given: Mapping[str, str], settings: Mapping[str, str],
    lend: Callable[[], str] = str,
) -> Login:  # fmt: skip
    """Return the login to use: keys, another provider's login, a lent key, or the host's own.

    ``given`` are variables from docker flags, which override all others; ``settings`` are the user's own for
    Claude Code, which override the environment, as on the host.  ``lend`` returns the key that the user's
    program prints, empty when the settings name none.  Raises :class:`RealmError` with the ways to log in
    when there is none.
    """
    login = from_environment({**environ, **settings}, given)
    if login.source:
        return login
    elsewhere = {**settings, **given}
    for name in _PROVIDERS:
        if elsewhere.get(name) not in {None, "", "0", "false"}:
            return login._replace(source=f"{name} is set")
    if key := lend():
        lent = {"ANTHROPIC_API_KEY": key, "ANTHROPIC_AUTH_TOKEN": key}
        return Login({**login.variables, **lent}, source="apiKeyHelper gives a key", is_lent=True)
    credentials = read_host(environ)
    if credentials is not None:
        return login._replace(credentials=credentials, source="the host's login of Claude Code")
    raise RealmError(
        "Claude Code has no login that the container could use",
        "run `claude` once on this machine and log in, or set ANTHROPIC_API_KEY "
        "(or CLAUDE_CODE_OAUTH_TOKEN, which `claude setup-token` prints)",
    )


def read_host(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the host's stored login as a credentials file, or ``None`` without a usable one."""
    path = host_config_dir(environ) / ".credentials.json"
    try:
        raw: bytes | None = path.read_bytes()[: CREDENTIALS_LIMIT + 1]
    except OSError:
        raw = _read_keychain(chosen(environ)) if sys.platform == "darwin" else None
    return raw if raw is not None and parse(raw) is not None else None


def _read_keychain(directory: str) -> bytes | None:
    """Return the login of a chosen configuration directory; ``directory`` is empty for the default."""
    import hashlib  # slow to import, and only macOS needs it
    import unicodedata

    digest = hashlib.sha256(unicodedata.normalize("NFC", directory).encode("utf-8", "surrogateescape"))
    service = f"{_KEYCHAIN_SERVICE}-{digest.hexdigest()[:8]}" if directory else _KEYCHAIN_SERVICE
    command = ["security", "find-generic-password", "-s", service, "-w"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def unrenewed(login: Login) -> Login:
    """Return the access token of the host's login as a variable, in the place of its file."""
    part = parse(login.credentials or b"")
    if part is None:
        return login
    variables = {**login.variables, "CLAUDE_CODE_OAUTH_TOKEN": str(part["accessToken"])}
    return login._replace(variables=variables, credentials=None, ends=part["expiresAt"] / 1000)


def json_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in ``data``; empty when it is not one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def parse(raw: bytes) -> dict[str, Any] | None:
    """Return the checked OAuth part of a credentials file (untrusted), or ``None`` when it is not one."""
    if len(raw) > CREDENTIALS_LIMIT:
        return None
    part = json_object(raw).get("claudeAiOauth")
    ends = part.get("expiresAt") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(ends, (int, float)) or not ends >= 0:
        return None
    texts = (part.get("accessToken"), part.get("refreshToken"))
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts):
        return None
    return part | {"expiresAt": min(ends, _LAST)}


def newer(ours: bytes | None, theirs: bytes | None) -> bool:
    """Tell whether ``theirs`` is a login that was renewed after ``ours``."""
    new = parse(theirs or b"")
    old = parse(ours or b"")
    return new is not None and (old is None or new["expiresAt"] > old["expiresAt"])


def may_be_taken(ours: bytes | None, theirs: bytes, now: float | None = None) -> bool:
    """Tell whether a sandbox's newer login ``theirs`` can be a renewal of the host's ``ours``.

    ``now`` is in seconds since the epoch.
    """
    old, new = parse(ours or b""), parse(theirs)
    if old is None or new is None:
        return False
    moment = (time.time() if now is None else now) * 1000
    return (
        old["expiresAt"] <= moment + DUE
        and moment < new["expiresAt"] <= moment + LONGEST
        and all(old.get(key) == new.get(key) for key in ("scopes", "subscriptionType"))
    )


def store_on_host(renewed: bytes, environ: Mapping[str, str] = os.environ) -> bool:
    """Put a sandbox's renewed tokens into the host's login; tell whether that was done.

    Only the tokens and their expiry are taken: scopes, account and everything else in the host's file stay.
    Without a login on the host nothing is written.  Raises ``OSError``.
    """
    path = host_config_dir(environ) / ".credentials.json"
    part = parse(renewed)
    try:
        whole = json_object(path.read_bytes())
    except OSError:
        return False
    if part is None or not isinstance(whole.get("claudeAiOauth"), dict):
        return False
    replace(make_private(realm_home()) / BEFORE, json.dumps(whole).encode(), durable=True)
    tokens = {key: part[key] for key in ("accessToken", "refreshToken", "expiresAt")}
    whole["claudeAiOauth"] = whole["claudeAiOauth"] | tokens
    replace(path.resolve(), json.dumps(whole).encode(), durable=True)
    return True


def renew(inside: bytes, environ: Mapping[str, str] = os.environ) -> Renewal:
    """Store the sandbox's login on the host if it is newer; return the host's if that is newer.

    Raises ``OSError`` when the host's cannot be written.
    """
    outside = read_host(environ)
    if newer(outside, inside):
        if not may_be_taken(outside, inside):
            return Renewal(Match.REFUSED)
        return Renewal(Match.RENEWED if store_on_host(inside, environ) else Match.SAME)
    return Renewal(inside=outside if newer(inside, outside) else None)
