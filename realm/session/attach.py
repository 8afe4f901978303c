"""Attaching to a run in progress: taken over from its holder, or from a sandbox that lost its holder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realm.errors import RealmError, RunningError
from realm.interrupts import telling
from realm.sandbox import docker, lookup
from realm.session import background, claim, untold
from realm.session import plan as planning
from realm.session.find import find
from realm.session.lock import RunLock, holder
from realm.session.requests import ResumeRequest
from realm.session.run import kept
from realm.store import record
from realm.together import Begun

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import UI


def attach(name: str, directory: Path | None, ui: UI, *, take: bool = False) -> int:
    """Show the session's running agent in this terminal; return its exit code, 0 if it was left running.

    One terminal at a time shows a run: with ``take`` the other one lets go.
    Raises :class:`RunningError` when another terminal has it and
    :class:`RealmError` when nothing is running.
    """
    engine = Begun(docker.connect)
    project = find(name, directory)
    with record.Record(project, name) as known:
        session, last = known.session(), known.last()
    claim.check(project, session)
    request = ResumeRequest(name, project.root)
    plan = planning.following(project, session, last, request)
    # Git runs while the engine's library is imported.
    held = planning.recorded(plan, last) if last and holder(session.id) is not None else None
    connection = engine.result()
    sandbox = lookup.running(connection, session.id)
    if sandbox is None:
        other = holder(session.id)
        if other is not None and other.run:
            raise RunningError(
                f"the agent of {name} was started by another version of realm, or is just ending",
                f"realm stop {name} ends it and saves its work",
            )
        from realm.session import intake

        with RunLock(session.id, name, plan.run.number):
            claim.take(project, session)
            untold.tell(session.id, ui)
            sandbox = intake.recover(connection, plan, last, ui)
        if sandbox is None:
            raise RealmError(f"session {name} is not running", f"realm resume {name}")
    if held is not None and holder(session.id) is not None:
        plan = planning.still_with_ssh(held, ui)
        taken = background.take_over(plan, connection, sandbox, ui, take=take)
        if taken is not None:
            with contextlib.closing(taken.lock), telling(kept(plan)):
                return background.attend(taken)
    from realm.session.resume import resume  # somebody is waiting for the screen of a run in progress

    return resume(request, ui, connection)
