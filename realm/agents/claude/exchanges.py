"""Claude Code's conversation prompt by prompt, with what each one cost.

An entry of type ``assistant`` has in ``message`` an ``id`` and a ``usage`` (``input_tokens``,
``cache_creation_input_tokens``, ``cache_read_input_tokens``, ``output_tokens``); the entries of one
message repeat them.  Older versions add ``costUSD``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from realm.agents.base import Exchange
from realm.agents.claude.login import json_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE_LIMIT = 16 * 1024 * 1024
NOTIFICATION = "<task-notification>"
"""The beginning of the prompt by which it tells itself that a subagent or a background command has ended."""
_ASIDE = ("[Request interrupted", "<local-command-", "<command-name>", "<bash-", NOTIFICATION)
"""The beginnings of user entries that are not prompts."""
_PASTED = r'\n*</?pasted_content id="\w{1,32}">\n?'
"""The tags that it puts around a longer text pasted into a prompt."""
_COMMAND = re.compile(
    r"\s*(?:<command-message>[^<]*</command-message>\s*)?<command-name>([^<]{1,200})</command-name>\s*"
    r"(?:<command-message>[^<]*</command-message>\s*)?(?:<command-args>(.*)</command-args>)?\s*",
    re.DOTALL,
)
"""A command that the user typed, and its arguments."""
_SHELL = re.compile(r"<bash-input>(.*)</bash-input>", re.DOTALL)
"""A shell command that the user ran behind an exclamation mark."""
OUTPUT = ("<bash-stdout>", "<bash-stderr>", "<local-command-", NOTIFICATION)
"""The beginnings of user entries that the user did not write."""
_READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_MOST = 10**12


def exchanges(lines: Iterable[bytes]) -> Iterator[Exchange]:
    """Yield the prompts in the ``lines`` of a conversation's file with what followed each (untrusted)."""
    now: Exchange | None = None
    used: dict[str, tuple[int, int, float]] = {}
    for number, line in enumerate(lines):
        entry = json_object(line) if len(line) <= _LINE_LIMIT else {}
        message = entry.get("message")
        if not isinstance(message, dict):
            continue
        when = entry.get("timestamp")
        time = when if isinstance(when, str) else ""
        texts = _texts(message.get("content"))
        if _is_prompt(entry, texts):
            if now is not None:
                yield _counted(now, used)
            now, used = Exchange(prompt=as_given("\n".join(texts)), line=number, began=time, ended=time), {}
        elif now is not None and entry.get("type") == "assistant":
            used[str(message.get("id"))] = _usage(entry, message)
            if texts and not entry.get("isSidechain"):
                now = now._replace(answer="\n".join(texts))
            now = now._replace(ended=time or now.ended)
    if now is not None:
        yield _counted(now, used)


def as_given(prompt: str) -> str:
    """Return ``prompt`` as the user gave it, without the tags around pasted text or a command."""
    if prompt.startswith("<command-") and (command := _COMMAND.fullmatch(prompt)):
        return f"{command[1]} {command[2] or ''}".strip()
    if shell := _SHELL.fullmatch(prompt):
        return f"! {shell[1]}"
    return re.sub(_PASTED, "\n", prompt).strip("\n") if "<pasted_content" in prompt else prompt


def spent(lines: Iterable[bytes]) -> Iterator[tuple[str, int, float]]:
    """Yield id, tokens and dollars of each message of the model's in ``lines`` (untrusted)."""
    for line in lines:
        entry = json_object(line) if b'"usage"' in line and len(line) <= _LINE_LIMIT else {}
        message = entry.get("message")
        if entry.get("type") == "assistant" and isinstance(message, dict):
            read, written, paid = _usage(entry, message)
            yield str(message.get("id"))[:100], read + written, paid


def _texts(content: object) -> list[str]:
    """Return the texts of a message; none for a tool's result."""
    if isinstance(content, str):
        return [content]
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    if any(part.get("type") == "tool_result" for part in parts):
        return []
    return [
        part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)
    ]


def _is_prompt(entry: dict[str, Any], texts: list[str]) -> bool:
    aside = entry.get("isSidechain") or entry.get("isMeta") or entry.get("isCompactSummary")
    return entry.get("type") == "user" and not aside and bool(texts) and not texts[0].startswith(_ASIDE)


def _usage(entry: dict[str, Any], message: dict[str, Any]) -> tuple[int, int, float]:
    found = message.get("usage")
    usage = found if isinstance(found, dict) else {}
    cost = entry.get("costUSD")
    paid = float(cost) if isinstance(cost, (int, float)) and 0 < cost < _MOST else 0.0
    return sum(_count(usage.get(key)) for key in _READ), _count(usage.get("output_tokens")), paid


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST else 0


def _counted(now: Exchange, used: dict[str, tuple[int, int, float]]) -> Exchange:
    read, written, cost = (
        (sum(numbers) for numbers in zip(*used.values(), strict=True)) if used else (0, 0, 0)
    )
    return now._replace(tokens_in=int(read), tokens_out=int(written), cost=float(cost))
