"""Which session owns the files on this machine that are named by a session's id.

A record can come from anywhere, and so can the id in it: another session's, to
have that one's container stopped or its files removed.  So
``runs/<session id>/session`` below realm's directory says which session had a run
here last: ``{"name": …, "project": <work tree>, "repository": <common directory>}``.
Another one with that id has to wait until the first has no work left outside git.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.model import State
from realm.paths import make_private, replace
from realm.session.find import find, locate
from realm.session.lock import CLAIM, Claim, RunLock, noted_of, run_directory
from realm.store import listing, record
from realm.store.repo import discover
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.model import Project, Session
    from realm.session.find import Located
    from realm.store.listing import MetaRow


def take(project: Project, session: Session) -> None:
    """Note that this session has a run here; the caller holds the run's lock.  Raises as :func:`check`."""
    check(project, session)
    replace(
        make_private(run_directory(session.id)) / CLAIM,
        json.dumps(_whose(project, session)._asdict()).encode(),
    )


def check(project: Project, session: Session) -> None:
    """Raise :class:`RealmError` when another session with the same id has work here that is not in git."""
    found = _other(project, session)
    if found is not None and found[1].summary.state is not State.EXITED:
        place, row = found
        raise RealmError(
            f"the record of {session.name} has the id of another session, {row.name} in {clean(str(place))}, "
            "whose last run is not over",
            f"realm -C {clean(str(place))} stop {row.name}; realm new NAME --base refs/realm/{session.name} "
            "goes on with the commits alone",
        )


def checked(name: str, directory: Path | None) -> tuple[Project, Session]:
    """Return the session ``name`` and its project; raises as :func:`find` and :func:`check`."""
    project = find(name, directory)
    session = record.read_session(project, name)
    check(project, session)
    return project, session


@contextmanager
def alone(name: str, directory: Path | None) -> Iterator[Located]:
    """Yield a session whose last run is over, while no run and no other command can begin on it.

    Raises :class:`RunningError` if one has begun, and :class:`RealmError` if a run is not over.
    """
    found = locate(name, directory).sound()
    with RunLock(found.row.summary.id, name, 0):
        now = locate(name, found.project.root).sound().ended()
        check(now.project, record.read_session(now.project, name))
        yield now


def is_anothers(project: Project, session: Session) -> bool:
    """Tell whether another session that is still there has the same id, and had a run here last."""
    return _other(project, session) is not None


def is_own(project: Project, name: str, session_id: str) -> bool:
    """Tell whether the session ``name`` had the last run here with that id."""
    noted = noted_of(session_id)
    return noted is not None and (noted.name, noted.repository) == (name, str(project.common_dir.resolve()))


def _whose(project: Project, session: Session) -> Claim:
    return Claim(session.name, str(project.root), str(project.common_dir.resolve()))


def _other(project: Project, session: Session) -> tuple[Path, MetaRow] | None:
    """Return the other session that the id belongs to, and its work tree."""
    own, noted = _whose(project, session), noted_of(session.id)
    if noted is None or (noted.name, noted.repository) == (own.name, own.repository):
        return None
    name, root, repository = noted
    try:
        home = project if repository == own.repository else discover(Path(root))
        rows = listing.rows(home, [name]) if str(home.common_dir.resolve()) == repository else []
    except RealmError:  # it is not there any more
        return None
    return next(((home.root, row) for row in rows if row.summary.id == session.id), None)
