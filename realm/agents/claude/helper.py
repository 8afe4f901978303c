"""Keys that a program of the user's prints: ``apiKeyHelper`` in Claude Code's settings.

Claude Code runs it in a shell, sends its output as ``X-Api-Key`` and as a bearer token, and runs it again
after five minutes, or after ``CLAUDE_CODE_API_KEY_HELPER_TTL_MS``
(https://code.claude.com/docs/en/authentication).  realm runs it on this machine, never in a sandbox, and only
if the user's own settings name it.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from realm.errors import RealmError
from realm.git import user_environment
from realm.text import clean

TTL = 300.0
"""Seconds for which a key is used unless the user says otherwise."""
_PATIENCE = 60.0
"""Seconds until the program is given up."""
_LONGEST = 16 * 1024
"""The longest key, in characters."""


class _Asked(NamedTuple):
    """A key, and when the program printed it, by the monotonic clock."""

    key: str
    when: float


_known: dict[str, _Asked] = {}


def ask(command: str, ttl: float = TTL) -> str:
    """Return the key that ``command`` prints, or printed within the last ``ttl`` seconds.

    Raises :class:`RealmError` when it fails or prints none.
    """
    known = _known.get(command)
    if known and time.monotonic() - known.when < ttl:
        return known.key
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=Path.home(), env=user_environment(), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        raise _failed(f"it did not end within {_PATIENCE:.0f} s") from None
    key = done.stdout.decode("ascii", "replace").strip()
    if done.returncode != 0:
        raise _failed(clean(done.stderr, limit=300).strip() or f"exit code {done.returncode}")
    if not key or len(key) > _LONGEST or " " in key or not (key.isascii() and key.isprintable()):
        raise _failed("it printed no key")
    _known[command] = _Asked(key, time.monotonic())
    return key


def _failed(why: str) -> RealmError:
    return RealmError(
        f"the apiKeyHelper of Claude Code's settings failed: {why}",
        "run it in a shell to see why; ANTHROPIC_API_KEY, where it is set, is used in its place",
    )
