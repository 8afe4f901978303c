"""Removed sessions, kept under ``refs/realm-trash/<name>/<unix>/{code,meta}`` for a while."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from realm.git import git
from realm.store.names import CODE, META, TRASH
from realm.store.updates import RefUpdate, Tips

if TYPE_CHECKING:
    from realm.model import Project

KEEP_DAYS = 30

_REF = re.compile(TRASH + r"([^/]+)/([0-9]{1,12})/(code|meta)")


class Trash(NamedTuple):
    """A removed session: when it was removed (seconds since the epoch) and what its refs were."""

    name: str
    when: int
    code: str | None
    meta: str | None

    def updates(self) -> list[RefUpdate]:
        """Return the updates that forget it."""
        found = ((self._ref("code"), self.code), (self._ref("meta"), self.meta))
        return [RefUpdate(ref, oid, None) for ref, oid in found if oid is not None]

    def _ref(self, part: str) -> str:
        return f"{TRASH}{self.name}/{self.when}/{part}"


def list_trash(project: Project, name: str | None = None) -> list[Trash]:
    """Return removed sessions (those called ``name``, when given), the latest first."""
    pattern = f"{TRASH}{name}/" if name else TRASH
    result = git("for-each-ref", "--format=%(objectname) %(refname)", pattern, project=project)
    found: dict[tuple[str, int], dict[str, str]] = {}
    for line in result.text.splitlines():
        oid, ref = line.split(" ", 1)
        match = _REF.fullmatch(ref)
        if match:
            found.setdefault((match[1], int(match[2])), {})[match[3]] = oid
    rows = [Trash(key[0], key[1], refs.get("code"), refs.get("meta")) for key, refs in found.items()]
    return sorted(rows, key=lambda row: (-row.when, row.name))


def latest_trash(project: Project, name: str) -> Trash | None:
    """Return the session called ``name`` that was removed last."""
    return next(iter(list_trash(project, name)), None)


def trash_updates(project: Project, name: str, tips: Tips, when: float | None = None) -> list[RefUpdate]:
    """Return the updates that move a session's refs into the trash, for one transaction."""
    last = latest_trash(project, name)
    now = int(time.time() if when is None else when)
    trash = Trash(name, max(now, last.when + 1) if last else now, tips.code, tips.meta)
    into = [RefUpdate(update.ref, None, update.old) for update in trash.updates()]
    away = ((CODE + name, tips.code), (META + name, tips.meta))
    return into + [RefUpdate(ref, oid, None) for ref, oid in away if oid is not None]


def keep_updates(project: Project, name: str, tips: Tips) -> list[RefUpdate]:
    """Return the updates that keep what a session is now in the trash, while the session goes on."""
    made = trash_updates(project, name, tips)
    return [update for update in made if update.ref.startswith(TRASH)]


def restore_updates(trash: Trash, name: str | None = None) -> list[RefUpdate]:
    """Return the updates that bring a removed session back (as ``name``, when given)."""
    target = name or trash.name
    back = ((CODE + target, trash.code), (META + target, trash.meta))
    return [RefUpdate(ref, None, oid) for ref, oid in back if oid is not None] + trash.updates()


def expire_trash(project: Project, older_than_days: float = KEEP_DAYS) -> list[Trash]:
    """Forget what was removed longer ago than that, and return it."""
    from realm.store.refs import transact

    limit = time.time() - older_than_days * 86400
    old = [trash for trash in list_trash(project) if trash.when < limit]
    if old:
        transact(project, [update for trash in old for update in trash.updates()], "realm: trash expired")
    return old
