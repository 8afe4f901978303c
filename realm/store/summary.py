"""The summary of a session in the message of its meta commit.

The message's subject is ``Run <n> of <name>``; its last paragraph has one
``Realm-<Key>: <value>`` a line, so that one ``git for-each-ref`` lists every
session.  Times are ISO-8601 in UTC.  A value that is not plain text in one
line is written as a JSON string.  Unknown keys are skipped.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import NamedTuple

from realm.errors import RealmError
from realm.model import State, Totals
from realm.text import clean

VERSION = 1

_LONGEST = 100_000
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LINE = re.compile(r"Realm-([A-Za-z]+): (.*)")
_MOST = 10**15


class Summary(NamedTuple):
    """What ``realm list`` shows of a session; times are seconds since the epoch."""

    id: str
    project: str
    created: float
    state: State
    base: str
    runs: int
    totals: Totals = Totals()
    started: float | None = None
    exit_code: int | None = None


def iso(when: float) -> str:
    """Return a time as ISO-8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _text(value: str) -> str:
    plain = value and clean(value) == value and value.strip() == value and not value.startswith('"')
    return value if plain else json.dumps(value)


def _untext(value: str) -> str:
    if not value.startswith('"'):
        return value
    found = json.loads(value)
    if not isinstance(found, str):
        raise TypeError(value)
    return found


def write_summary(name: str, summary: Summary) -> str:
    """Return the message of a meta commit."""
    totals = summary.totals
    lines = {
        "Version": str(VERSION),
        "Id": _text(summary.id),
        "Project": _text(summary.project),
        "Created": iso(summary.created),
        "State": summary.state.value,
        "Base": summary.base,
        "Run": str(summary.runs),
        "Turns": str(totals.turns),
        "Files": str(totals.files),
        "Insertions": str(totals.insertions),
        "Deletions": str(totals.deletions),
        "Started": "" if summary.started is None else iso(summary.started),
        "Exit": "" if summary.exit_code is None else str(summary.exit_code),
    }
    body = "".join(f"Realm-{key}: {value}\n" for key, value in lines.items() if value)
    return f"Run {summary.runs} of {name}\n\n{body}"


def read_summary(message: str) -> Summary:
    """Return what a meta commit's message says; :class:`RealmError` when it is not one of realm's."""
    found: dict[str, str] = {}
    for line in message[:_LONGEST].split("\n"):
        match = _LINE.fullmatch(line)
        if match:
            found.setdefault(match[1], match[2])
    if "Version" not in found:
        raise RealmError("the record is not one of realm's")
    try:
        if int(found["Version"]) > VERSION:
            raise RealmError("the record was written by a newer realm", "upgrade realm")
        return _summary(found)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as problem:
        raise RealmError(f"the record's summary is damaged ({clean(str(problem), limit=60)})") from problem


def _summary(found: dict[str, str]) -> Summary:
    if not _OID.fullmatch(found["Base"]):
        raise ValueError("Base")
    totals = Totals(*(_count(found.get(key, "0")) for key in ("Turns", "Files", "Insertions", "Deletions")))
    return Summary(
        id=_untext(found["Id"]),
        project=_untext(found["Project"]),
        created=_time(found["Created"]),
        state=State(found["State"]),
        base=found["Base"],
        runs=_count(found["Run"]),
        totals=totals,
        started=_time(found["Started"]) if "Started" in found else None,
        exit_code=int(found["Exit"][:12]) if "Exit" in found else None,
    )


def _count(text: str) -> int:
    value = int(text[:20])
    if not 0 <= value < _MOST:
        raise ValueError(text)
    return value
