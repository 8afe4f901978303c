"""Messages of the commits that realm writes for a sandbox (pure).

The last paragraph names session, run and turn, one ``Realm-<Key>: <value>`` a
line; no line of the text above can be mistaken for one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.text import clean, first_line

if TYPE_CHECKING:
    from realm.model import TurnText

SUBJECT = 72
BODY = 2000

_FORGED = re.compile(r"[\s>#*]*realm-", re.IGNORECASE)
_TRAILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*: \S.*")


def body_text(text: str, limit: int = BODY) -> str:
    """Return text for a message's body: cleaned, cut, without lines that look like realm's own."""
    lines = [line.rstrip() for line in clean(text, multiline=True).splitlines()]
    kept = "\n".join(line for line in lines if not _FORGED.match(line)).strip()
    kept = re.sub(r"\n{3,}", "\n\n", kept)
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def trailers(session: str, run: int, turn: int) -> str:
    """Return the last paragraph of a message."""
    return f"Realm-Session: {session}\nRealm-Run: {run}\nRealm-Turn: {turn}\n"


def turn_message(text: TurnText, session: str, run: int, turn: int) -> str:
    """Return the message for what a turn left uncommitted: the prompt, and the closing words."""
    subject = first_line(text.prompt, SUBJECT) or f"Work of run {run}"
    return _joined(subject, body_text(text.answer), trailers(session, run, turn))


def agent_message(message: str, session: str, run: int, turn: int) -> str:
    """Return the message for a commit that the agent made; its own trailers stay beside realm's."""
    lines = clean(message, multiline=True).strip().splitlines()
    whole = lines[0].strip() if lines else ""
    subject = first_line(whole, SUBJECT) or f"Work of run {run}"
    rest = "\n".join(lines[1:] if subject == whole else lines)
    return _joined(subject, body_text(rest), trailers(session, run, turn))


def _joined(subject: str, body: str, last: str) -> str:
    if not body:
        return f"{subject}\n\n{last}"
    paragraph = body.rsplit("\n\n", 1)[-1].splitlines()
    gap = "\n" if all(_TRAILER.fullmatch(line) for line in paragraph) else "\n\n"
    return f"{subject}\n\n{body}{gap}{last}"
