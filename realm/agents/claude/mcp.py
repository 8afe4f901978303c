"""The user's MCP servers that work in a sandbox too: those at a URL, and programs that npx or uvx fetch.

Their entries in ``mcpServers`` of ``.claude.json`` have ``type``, ``url`` and ``headers``, or ``command``,
``args`` and ``env`` (https://code.claude.com/docs/en/mcp).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from realm import hosts
from realm.redact import ADDRESS, SHORTEST, Redactor, is_secret, tells
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_FETCHED = ("npx", "uvx")
_REFERENCE = re.compile(r"(\b(Bearer|Basic|Token)\s+)?\$\{\w{1,100}\}", re.IGNORECASE)
"""A reference to a variable, which is no secret itself."""
_LONG = re.compile(r"(?=[^/]*[A-Za-z])(?=[^/]*\d)[\w.~-]{20,}")
"""A path segment that looks random, as a token does."""
_PACKAGE = re.compile(r"(@[\w.-]+/)?[\w.-]+(@[\w.^~-]+)?")
_NAME = re.compile(r"--[\w-]+=?|(--[\w-]+=)?[\w-]+\s*[:=]")
"""What may have any name: a package, and an option or header without its value."""


def servers(known: object, names: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the servers of ``known`` with the given ``names`` that need nothing of this machine.

    The second value has a sentence for each server that is left out or changed.  Headers and variables that
    may be secrets are left out, as are servers with a secret elsewhere.
    """
    kept: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for name in names:
        given = known.get(name) if isinstance(known, dict) else None
        if not isinstance(given, dict):
            notes.append(f"realm.mcp: Claude Code has no server {name} on this machine (claude mcp list)")
            continue
        try:
            kept[name], left_out = _server(given)
        except ValueError as error:
            notes.append(f"the MCP server {name} stays outside: {error}")
            continue
        if left_out:
            without = ", ".join(clean(word, limit=80) for word in left_out)
            notes.append(f"the MCP server {name} is in the container without {without}")
    return kept, notes


def _server(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a server's entry for a sandbox, and the names of what is left out.

    Raises ValueError with the reason.
    """
    url = given.get("url")
    made, rest = (_program(given), "env") if url is None else (_far(url, given.get("type")), "headers")
    values = given.get(rest) or {}
    if not isinstance(values, dict):
        raise ValueError(f"realm does not understand its {rest}")  # noqa: TRY004
    if values:
        made[rest] = {key: text for key, text in values.items() if not _is_secret(key, text)}
    return made, sorted(values.keys() - made.get(rest, {}).keys())


def _is_secret(key: str, text: object) -> bool:
    """Tell whether a header or a variable may hold a secret; references to variables do not count."""
    if not isinstance(text, str):
        return True
    value = _REFERENCE.sub("", text).strip()
    return bool(value) and (is_secret(key, value.ljust(SHORTEST)) or tells(value) or _has_login(value))


def _far(url: object, kind: object) -> dict[str, Any]:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        raise ValueError("its address is neither http nor https")
    if hosts.is_here(url):
        raise ValueError("its address is this machine's")
    if tells(url) or _has_login(url) or any(map(_LONG.fullmatch, url.split("/")[3:])):
        raise ValueError("its address may have a secret in it")
    return {"type": "sse" if kind == "sse" else "http", "url": url}


def _program(given: dict[str, Any]) -> dict[str, Any]:
    command, words = given.get("command"), given.get("args") or []
    if not isinstance(command, str) or Path(command).name not in _FETCHED:
        raise ValueError("it is a program on this machine, not one that npx or uvx fetches")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("realm does not understand its arguments")
    package = next((at for at, word in enumerate(words) if not word.startswith("-")), -1)
    before = ""
    for at, word in enumerate(words):
        if str(Path.home()) in word:
            raise ValueError(f"its argument {at + 1} is a path on this machine")
        value = _REFERENCE.sub("", word).strip()
        is_name = (_PACKAGE if at == package else _NAME).fullmatch(value)
        if _has_login(word) or (value and tells(before)) or (tells(value) and not is_name):
            raise ValueError(f"its argument {at + 1} may have a secret in it")
        before = value if value == word and at != package else ""
    return {"command": Path(command).name, "args": words}


def _has_login(text: str) -> bool:
    """Tell whether a text contains a URL with a login, or a known kind of secret."""
    logins = any(f"{match['scheme']}/{match['rest']}" != match[0] for match in ADDRESS.finditer(text))
    return logins or Redactor().text(text) != text
