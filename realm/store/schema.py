"""``session.json`` and ``run.json``: writing them, and reading what may be hostile."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from realm.errors import RealmError
from realm.model import Run, Session

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1

T = TypeVar("T")

Where = tuple[str, str]
"""How an error names the file, and the command that shows it."""

_TEXT_LIMIT = 1_000_000
_LIST_LIMIT = 100_000
_LAST_SECOND = 253_402_300_800


def dump_session(session: Session) -> bytes:
    """Return ``session.json``."""
    return _dump(session._asdict())


def dump_run(run: Run) -> bytes:
    """Return ``run.json``."""
    return _dump(run._asdict())


def _dump(fields: dict[str, Any]) -> bytes:
    text = json.dumps({**fields, "version": VERSION}, indent=2, sort_keys=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def load_session(data: bytes, where: Where) -> Session:
    """Return the session in ``session.json``; :class:`RealmError` when it is damaged or too new."""
    fields = _Fields(data, where)
    return Session(
        id=fields.text("id"),
        name=fields.text("name"),
        project=fields.text("project"),
        workspace=fields.text("workspace"),
        base=fields.text("base"),
        created=fields.number("created"),
        subdir=fields.text("subdir", ""),
        agent=fields.texts("agent"),
        image=fields.text("image", ""),
        conversation=fields.maybe("conversation", fields.text),
        pushed=fields.mapping("pushed"),
        include=fields.texts("include"),
    )


def load_run(data: bytes, where: Where) -> Run:
    """Return the run in ``run.json``; :class:`RealmError` when it is damaged or too new."""
    fields = _Fields(data, where)
    return Run(
        number=fields.whole("number"),
        started=fields.number("started"),
        before=fields.text("before"),
        ended=fields.maybe("ended", fields.number),
        exit_code=fields.maybe("exit_code", fields.whole),
        after=fields.maybe("after", fields.text),
        box=fields.text("box", ""),
        prompts=fields.texts("prompts"),
        notes=fields.texts("notes"),
        dropped=fields.maybe("dropped", fields.whole) or 0,
        incomplete=fields.texts("incomplete"),
    )


class _Fields:
    """The fields of a JSON object, each checked when it is asked for."""

    def __init__(self, data: bytes, where: Where) -> None:
        self._where = where
        try:
            found = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):
            raise self._error("is not valid JSON") from None
        if not isinstance(found, dict):
            raise self._error("is not a JSON object")
        version = found.get("version")
        if type(version) is not int or version < 1:
            raise self._error("has no version")
        if version > VERSION:
            raise RealmError(f"{where[0]} was written by a newer realm (version {version})", "upgrade realm")
        self._found: dict[str, Any] = found

    def _error(self, what: str) -> RealmError:
        return RealmError(f"{self._where[0]} is damaged: it {what}", self._where[1])

    def _get(self, key: str, default: object, kind: type | tuple[type, ...]) -> Any:
        value = self._found.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._error(f"has no valid '{key}'")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string without NUL."""
        value = self._get(key, default, str)
        if "\0" in value or len(value) > _TEXT_LIMIT:
            raise self._error(f"has no valid '{key}'")
        return str(value)

    def number(self, key: str) -> float:
        """Return a finite number from 0 to the year 9999, in seconds."""
        value = self._get(key, None, (int, float))
        if not (math.isfinite(value) and 0 <= value < _LAST_SECOND):
            raise self._error(f"has no valid '{key}'")
        return float(value)

    def whole(self, key: str) -> int:
        """Return an integer of 64 bits at most."""
        value = self._get(key, None, int)
        if not -(2**63) <= value < 2**63:
            raise self._error(f"has no valid '{key}'")
        return int(value)

    def maybe(self, key: str, read: Callable[[str], T]) -> T | None:
        """Return what ``read`` makes of the field, ``None`` where it is missing or null."""
        return None if self._found.get(key) is None else read(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, empty where it is missing."""
        value = self._get(key, [], list)
        if len(value) > _LIST_LIMIT or not all(isinstance(item, str) for item in value):
            raise self._error(f"has no valid '{key}'")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings, empty where it is missing."""
        value = self._get(key, {}, dict)
        if len(value) > _LIST_LIMIT or not all(isinstance(item, str) for item in value.values()):
            raise self._error(f"has no valid '{key}'")
        return dict(value)
