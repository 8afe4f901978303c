"""Another name for a session: its refs, and what its record and this machine say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.model import State
from realm.session import approvals, claim, homes
from realm.session.find import locate, state
from realm.session.lock import RunLock
from realm.store import branches, listing, record, refs

if TYPE_CHECKING:
    from pathlib import Path


def rename(old: str, new: str, directory: Path | None) -> None:
    """Rename the session ``old`` to ``new``: both refs move in one transaction.

    The workspace's path in containers stays, and with it the conversation.  Raises
    :class:`UsageError` for a name that none can have, :class:`RealmError` when the new
    one is taken or a run is not over, and :class:`RefRaceError` when the session moved.
    """
    found = locate(old, directory).sound()
    project = found.project
    refs.check_new(project, new)
    session = record.read_session(project, old)
    claim.check(project, session)
    with RunLock(session.id, old, 0):
        row = next(iter(listing.rows(project, [old])), found.row)
        if row.summary.state is not State.EXITED or state(row) is State.INTERRUPTED:
            raise RealmError(
                f"the last run of {old} was cut off: its work is still in its container",
                f"realm stop {old} saves it",
            )
        own = homes.with_own_refs(project, session, session._replace(name=new), row.code)
        try:
            with record.Record(project, old) as there:
                meta = there.commit()
                made = there.amend(own.session)
            kept = branches.listed(project, old)
            moves = refs.rename_updates(old, refs.Tips(row.code, meta), new, made, kept)
            approvals.approve_alike(project, session, own.session)
            refs.transact(project, moves, f"realm: rename {old} to {new}")
        except (RealmError, OSError):
            homes.let_go(own.made)
            raise
        homes.let_go(own.had)
        claim.take(project, own.session)
