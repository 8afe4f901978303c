"""The requests that a run was refused: ``refused.json`` in the run's directory, later in its record."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from realm import hosts
from realm.model import Refusal
from realm.paths import replace
from realm.session.lock import run_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = "refused.json"


def may_be_allowed(refusal: Refusal) -> bool:
    """Tell whether ``realm allow`` can allow the host; an unknown one is ``?``."""
    is_unfit = refusal.why in ("private", "login") or refusal.host == "?"
    return not is_unfit and not hosts.Host(refusal.host).is_here


def recorded(session_id: str) -> tuple[Refusal, ...]:
    """Return a session's current run's refused requests, the most frequent first."""
    counts: dict[tuple[str, int, str], int] = {}
    for of_one in _ledger(session_id).values():
        for refusal in of_one:
            key = (refusal.host, refusal.port, refusal.why)
            counts[key] = counts.get(key, 0) + refusal.times
    found = (Refusal(*key, count) for key, count in counts.items())
    return tuple(sorted(found, key=lambda refusal: -refusal.times))


def _ledger(session_id: str) -> dict[str, list[Refusal]]:
    """Return the requests that a run's sidecars refused, by their containers."""
    try:
        value = json.loads((run_directory(session_id) / _FILE).read_bytes())
        return {
            str(container): [
                Refusal(str(host), int(port), str(why), int(count)) for host, port, why, count in rows
            ]
            for container, rows in value.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def note(session_id: str, container: str, found: Sequence[Refusal]) -> None:
    """Record all requests of a run that one sidecar refused."""
    with suppress(OSError):
        ledger = {**_ledger(session_id), container: list(found)}
        replace(run_directory(session_id) / _FILE, json.dumps(ledger).encode())


def forget(session_id: str) -> None:
    """Remove an earlier run's refusals."""
    (run_directory(session_id) / _FILE).unlink(missing_ok=True)
