"""Dropping files from a session's commits that should not be in them."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError, UsageError
from realm.model import State
from realm.session import claim
from realm.store import record, refs, repo, turns, unusual
from realm.text import clean, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import Project, Session


class Dropped(NamedTuple):
    """The session's new tip, its tip before, and the number of new commits."""

    code: str
    before: str
    rewritten: int


def drop(name: str, directory: Path | None, paths: Sequence[str]) -> Dropped:
    """Rewrite the commits that have not been pushed, with ``paths`` as they were before them.

    ``paths`` are files or directories, relative to the project's top.  The session's earlier state goes to
    the trash.  Raises :class:`RealmError` when none of these commits changes any of them, or the session's
    last run has not ended.
    """
    wanted = [_checked(path) for path in paths]
    with claim.alone(name, directory) as (project, row):
        tips = refs.Tips(row.code, row.meta)
        with record.Record(project, name) as found:
            session, runs = found.session(), found.runs()
        if tips.code is None or tips.meta is None or not runs:
            raise RealmError(f"session {name} is gone", "realm restore brings a removed session back")
        start = _pushed(project, session, tips.code)
        code = unusual.without(project, start, tips.code, wanted)
        if code == tips.code:
            since = "" if start == session.base else " since it was pushed"
            raise RealmError(
                f"no commit of {name}{since} changes {listed([clean(path, limit=200) for path in wanted])}",
                f"realm diff {name} --stat lists what it changed",
            )
        count = record.count_turns(project, tips.meta)
        meta = record.write(
            project, parent=tips.meta, previous=tips.meta, session=session,
            run=runs[-1]._replace(after=code), state=State.EXITED, files={},
            totals=repo.diffstat(project, session.base, code)._replace(turns=count),
        )  # fmt: skip
        refs.transact(project, refs.replace_updates(project, name, tips, code, meta), "realm: drop")
    return Dropped(code, tips.code, repo.count_commits(project, code, [start]))


def _checked(path: str) -> str:
    """Return a path in git's form; :class:`UsageError` for one that is not below the project's top."""
    plain = posixpath.normpath(path) if path else "."
    if plain.startswith(("/", "..")) or plain == "." or "\0" in plain:
        raise UsageError(
            f"{clean(path, limit=200)!r} is not a path below the project's top", "realm drop NAME dist"
        )
    return plain


def _pushed(project: Project, session: Session, tip: str) -> str:
    """Return the last of the session's commits that was pushed, else its base."""
    own = {commit.oid for commit in turns.chain(project, session.base, tip)}
    known = [oid for oid in session.pushed.values() if oid in own]
    return min(known, key=lambda oid: repo.count_commits(project, tip, [oid]), default=session.base)
