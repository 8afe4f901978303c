"""Stopping a session's agent from elsewhere, its work saved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.sandbox import engine, lookup
from realm.session import line, salvage, summary
from realm.session.find import find
from realm.session.grip import end
from realm.session.lock import RunLock, holder
from realm.session.requests import ResumeRequest
from realm.store import record

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project, Run, Session
    from realm.session.ui import UI

PATIENCE = 120.0
"""Seconds that a holder has to end the agent and save its work."""


def stop(name: str, directory: Path | None, ui: UI) -> None:
    """Interrupt, terminate, kill the agent, with time between; return when its work is in git.

    Raises :class:`RealmError` when nothing of the session is running, or when
    its holder does not finish.
    """
    project = find(name, directory)
    session = record.read_session(project, name)
    runs = record.read_runs(project, name)
    with ui.progress(f"stopping {name}"):
        asked = line.ask(session.id, {"op": "stop"})
        if asked is None:
            _without_holder(project, session, runs, ui)
            return
        asked.close()
        _wait(session)
    _tell(project, name, ui)


def _wait(session: Session) -> None:
    deadline = time.monotonic() + PATIENCE
    while (other := holder(session.id)) is not None:
        if time.monotonic() > deadline:
            raise RealmError(
                f"process {other.pid} has not saved the work of {session.name} yet",
                f"realm list, realm stop {session.name}",
            )
        time.sleep(0.05)


def _tell(project: Project, name: str, ui: UI) -> None:
    """Say what there is now, as the holder wrote it: it has no terminal to say it on."""
    from realm.store import refs

    row = refs.rows(project, [name])[0]
    for note in record.read_runs(project, name)[-1].notes:
        ui.warn(note)
    if not row.totals.turns:
        ui.info(f"{name}: stopped, nothing new   realm resume {name}   realm remove {name}")
        return
    ui.info(f"{name}: stopped ({summary.describe(row.totals)}) on refs/realm/{name}")
    ui.info(f"  realm resume {name}   realm push {name}")


def _without_holder(project: Project, session: Session, runs: list[Run], ui: UI) -> None:
    """Stop a box whose holder was killed, as its new holder."""
    from realm.session.resume import prepare, started_before

    number = runs[-1].number if runs else 0
    with RunLock(session.id, session.name, number):
        connection = engine.connect()
        lookup.clear(connection, session.id)
        boxes = [box for box in lookup.find(connection, session_id=session.id) if box.state() != "created"]
        if not boxes:
            raise RealmError(f"nothing of session {session.name} is running", f"realm resume {session.name}")
        launch = prepare(
            project, session, runs, ResumeRequest(session.name, project.root), local=connection.endpoint.local
        )
        for box in boxes:
            end(box)
            started = started_before(launch, runs[-1])
            outcome = salvage.save(connection, started, launch, box, box.wait())
            summary.tell(started, outcome, ui)
