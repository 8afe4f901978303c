"""Stops a session's agent from another terminal, and saves its work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.errors import RealmError, RunningError
from realm.model import State
from realm.sandbox import docker, lookup
from realm.session import claim, control, intake, summary, untold
from realm.session import plan as planning
from realm.session.find import state
from realm.session.lock import RunLock, holder
from realm.session.requests import ResumeRequest
from realm.store import listing, record

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project, Session
    from realm.session.requests import UI

PATIENCE = 120.0
"""Seconds for a holder to end the agent and save its work."""


def stop(name: str, directory: Path | None, ui: UI) -> None:
    """Interrupt, terminate, kill the agent, with pauses; return when its work is in git.

    What its holder could not save is saved here, as for a run that lost its holder.  Raises
    :class:`RealmError` when the session is not running, when its holder does not finish, or when the work
    cannot be saved.
    """
    project, session = claim.checked(name, directory)
    with ui.progress(f"stopping {name}"):
        goes_on = listing.rows(project, [name])[0].summary.state is not State.EXITED
        was_held = _told(session)
        row = listing.rows(project, [name])[0]
        saved = state(row) is not State.INTERRUPTED
        if not (goes_on and was_held and saved):
            _without_holder(project, session, ui)
    if saved:
        untold.drop(row.summary.id)
        summary.tell_recorded(project, row, "stopped", ui)


def _told(session: Session) -> bool:
    """Tell the run's holder to stop the agent, and wait until it has; return whether there was one.

    A holder that is beginning or ending does not listen.
    """
    deadline, asked, was_held = time.monotonic() + PATIENCE, None, False
    while (other := holder(session.id)) is not None:
        was_held = True
        if asked is None and (asked := control.ask(session, {"op": "stop"})) is not None:
            asked.close()
        if time.monotonic() > deadline:
            raise RealmError(
                f"process {other.pid} has not saved the work of {session.name} yet",
                f"realm list, realm stop {session.name}",
            )
        time.sleep(0.05)
    return was_held


def _without_holder(project: Project, session: Session, ui: UI) -> None:
    """Take over a sandbox whose holder is gone, stop it, and save its work."""
    name = session.name
    with record.Record(project, name) as found:
        last = found.last()
    plan = planning.following(project, session, last, ResumeRequest(name, project.root))
    with RunLock(session.id, name, plan.run.number):
        claim.take(project, session)
        connection = docker.connect()
        sandboxes = lookup.find(connection, session_id=session.id)
        untold.tell(session.id, ui)
        if not [sandbox for sandbox in sandboxes if sandbox.state() != "created"]:
            intake.recover(connection, plan, last, ui)
            raise RealmError(f"session {name} is not running", f"realm resume {name}")
        for sandbox in sandboxes:
            if sandbox.state() == "running":
                sandbox.stop()
                last = last._replace(stopped=last.ended is None) if last else None
        if intake.recover(connection, plan, last, ui) is not None:
            raise RunningError(f"a container of {name} does not stop", "docker ps; realm doctor")
