"""What the agent's hooks reported of each turn, and the conversation's file.

Claude Code gives hooks JSON on standard input: ``UserPromptSubmit`` has
``prompt``, ``Stop`` has ``last_assistant_message``.  Everything here came out
of a box.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from realm.model import TurnText

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT_LIMIT = 100_000
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def text_of(raw: bytes | None, key: str) -> str:
    """Return the string ``key`` of a hook's JSON, cut; empty when it is not there or not text."""
    if not raw:
        return ""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    found = value.get(key) if isinstance(value, dict) else None
    return found[:_TEXT_LIMIT] if isinstance(found, str) else ""


def turn_texts(prompts: Mapping[int, bytes], stops: Mapping[int, bytes]) -> dict[int, TurnText]:
    """Join what was asked and what was answered, by the turn's number."""
    return {
        number: TurnText(
            text_of(prompts.get(number), "prompt"), text_of(stops.get(number), "last_assistant_message")
        )
        for number in sorted({*prompts, *stops})
    }


def conversation_id(text: str) -> str | None:
    """Return ``text`` when it is a conversation's id as Claude Code makes them, else ``None``."""
    text = text.strip()
    return text if _UUID.fullmatch(text) else None
