"""MCP servers of the user's that work in a sandbox, too: those at a URL, and what npx or uvx fetch.

Their entries in ``mcpServers`` of ``.claude.json`` have ``type``, ``url`` and ``headers``, or ``command``,
``args`` and ``env`` (https://code.claude.com/docs/en/mcp).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from realm import hosts
from realm.redact import Redactor, is_secret
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_FETCHED = ("npx", "uvx")
_REFERENCE = re.compile(r"\$\{\w{1,100}\}")
"""A variable, whose value is in the container or not."""


def servers(known: object, names: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return those of the servers ``known`` that ``names`` are, as far as they need nothing of this machine.

    With them is a sentence on each that is not as the user has it.  Headers and variables that are
    secrets stay outside, as does a server with another secret in it.
    """
    kept: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for name in names:
        given = known.get(name) if isinstance(known, dict) else None
        if not isinstance(given, dict):
            notes.append(f"realm.mcp: Claude Code has no server {name} on this machine (claude mcp list)")
            continue
        made, rest = _server(given)
        if not made:
            notes.append(f"the MCP server {name} stays outside: it needs this machine, or has a secret in it")
            continue
        kept[name] = made
        if secret := sorted((given.get(rest) or {}).keys() - made.get(rest, {}).keys()):
            left_out = ", ".join(clean(word, limit=80) for word in secret)
            notes.append(f"the MCP server {name} is in the container without {left_out}")
    return kept, notes


def _server(given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a server as a sandbox has it, nothing where it has none, and where its secrets would be."""
    url = given.get("url")
    rest = "env" if url is None else "headers"
    made = _program(given) if url is None else _far(url, given.get("type"))
    if values := given.get(rest):
        if not isinstance(values, dict):
            return {}, rest
        made[rest] = {
            key: text for key, text in values.items()
            if isinstance(text, str)
            and not is_secret(key, _REFERENCE.sub("", text)) and not _looks_secret(text)
        }  # fmt: skip
    return (made if len(made) > 1 and not _looks_secret(json.dumps(made)) else {}), rest


def _far(url: object, kind: object) -> dict[str, Any]:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return {}
    if hosts.is_here(url) or urlsplit(url).username:
        return {}
    return {"type": "sse" if kind == "sse" else "http", "url": url}


def _program(given: dict[str, Any]) -> dict[str, Any]:
    command, words = given.get("command"), given.get("args") or []
    fit = isinstance(command, str) and Path(command).name in _FETCHED and isinstance(words, list)
    if not fit or any(_is_ours(str(word)) for word in words):
        return {}
    return {"command": Path(str(command)).name, "args": words}


def _is_ours(word: str) -> bool:
    """Return whether an argument names a place of this machine, or a secret."""
    name, _, value = word.partition("=")
    return str(Path.home()) in word or is_secret(name, value)


def _looks_secret(text: str) -> bool:
    return Redactor().text(text) != text
