"""Claude Code's conversation file: one JSON object a line.

``{"type": "user"|"assistant", "timestamp": "…Z", "isSidechain": bool, "isMeta": bool,
"message": {"content": "text" | [{"type": "text", "text": …} | {"type": "tool_use",
"name": …, "input": {…}} | {"type": "tool_result", …}]}}``; other types are its own affairs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from realm.agents.base import Said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE_LIMIT = 16 * 1024 * 1024
"""Bytes; a line may hold a pasted file."""

_WHO = {"user": "user", "assistant": "agent"}
_TELLING = ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt")
"""What of a tool's input says best what it does, in this order."""


def read(lines: Iterable[bytes]) -> Iterator[Said]:
    """Yield prompts, answers and calls of tools; what is no such line is passed over."""
    for line in lines:
        entry = _parse(line)
        who = _WHO.get(str(entry.get("type")))
        message = entry.get("message")
        if who is None or entry.get("isSidechain") or entry.get("isMeta") or not isinstance(message, dict):
            continue
        time = entry.get("timestamp")
        for said in _said(who, message.get("content")):
            yield said._replace(time=time if isinstance(time, str) else "")


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > _LINE_LIMIT:
        return {}
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _said(who: str, content: object) -> Iterator[Said]:
    if isinstance(content, str):
        yield Said(who, content)
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            yield Said(who, part["text"])
        elif part.get("type") == "tool_use":
            yield Said("tool", _call(part))


def _call(part: dict[str, Any]) -> str:
    given = part.get("input")
    values = given if isinstance(given, dict) else {}
    told = next((values[key] for key in _TELLING if isinstance(values.get(key), str)), "")
    return " ".join(f"{part.get('name') or 'tool'} {told}".split())
