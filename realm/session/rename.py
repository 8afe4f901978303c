"""Renaming a session: its refs, and its name in its record and on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.session import approvals, claim, homes
from realm.store import branches, record, refs

if TYPE_CHECKING:
    from pathlib import Path


def rename(old: str, new: str, directory: Path | None) -> None:
    """Rename the session ``old`` to ``new``: both refs move in one transaction.

    The workspace's path in containers stays, and with it the conversation.  Raises
    :class:`UsageError` for a name that none can have, :class:`RealmError` when the new
    one is taken or a run is not over, and :class:`RefRaceError` when the session moved.
    """
    with claim.alone(old, directory) as (project, row):
        refs.check_new(project, new)
        session = record.read_session(project, old)
        own = homes.with_own_refs(project, session, session._replace(name=new), row.code)
        try:
            with record.Record(project, old) as there:
                made = there.amend(own.session)
            kept = branches.listed(project, old)
            moves = refs.rename_updates(old, refs.Tips(row.code, row.meta), new, made, kept)
            approvals.approve_alike(project, session, own.session)
            refs.transact(project, moves, f"realm: rename {old} to {new}")
        except (RealmError, OSError):
            homes.let_go(own.made)
            raise
        homes.let_go(own.had)
        claim.take(project, own.session)
