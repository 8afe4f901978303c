"""What a running agent does, as noted by the run's holder: ``runs/<session id>/account.json``.

The holder rewrites it atomically at each event, and ``realm list`` reads it without an engine.  The file is
an object with the fields of :class:`Account`, times in seconds since the epoch.  Its texts come from the
container: they are cleaned and cut before they are written.  A run whose work is in git needs none, since its
record has everything.
"""

from __future__ import annotations

import contextlib
import json
from typing import NamedTuple

from realm.model import Activity, Question
from realm.paths import replace
from realm.session.lock import holder, run_directory

_FILE = "account.json"
_LIMIT = 64 * 1024


class Account(NamedTuple):
    """What the agent of a running run does."""

    run: int
    """The run's number."""
    activity: Activity
    since: float
    """When the activity began, in seconds since the epoch."""
    turns: int = 0
    """The number of its prompts."""
    prompt: str = ""
    """The first line of the first prompt."""
    words: str = ""
    """The first line of its last answer."""
    question: str = ""
    """What it asks; empty if it does not."""
    parts: tuple[Question, ...] = ()
    """The parts of the question, if numbers can answer it."""
    conversation: str = ""
    """The conversation's id."""
    told: str = ""
    """The digest of the last hook's message."""
    paused: str = ""
    """Why its container is paused, or the command that ends that; empty if it is not."""


def read(session_id: str) -> Account | None:
    """Return the account of a session's current run; ``None`` when there is none."""
    try:
        with (run_directory(session_id) / _FILE).open("rb") as file:
            found = json.loads(file.read(_LIMIT))
        return Account(
            int(found["run"]), Activity(found["activity"]), float(found["since"]), int(found["turns"]),
            str(found["prompt"]), str(found["words"]), str(found["question"]),
            tuple(_part(*part) for part in found.get("parts", ())), str(found["conversation"]),
            str(found["told"]), str(found.get("paused", "")),
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _part(text: object, options: list[object], several: object) -> Question:
    return Question(str(text), tuple(map(str, options)), several is True)


def write(session_id: str, account: Account) -> None:
    """Write the account; a full disk is no reason to fail."""
    with contextlib.suppress(OSError):
        replace(run_directory(session_id) / _FILE, json.dumps(account._asdict()).encode())


def paused(name: str, session_id: str) -> str:
    """Return a sentence about a session whose run is paused; empty for any other."""
    now = read(session_id) if holder(session_id) is not None else None
    return f"{name} is paused: {now.paused}" if now is not None and now.paused else ""


def forget(session_id: str) -> None:
    """Remove the account, once the run's work is in git."""
    with contextlib.suppress(OSError):
        (run_directory(session_id) / _FILE).unlink(missing_ok=True)
