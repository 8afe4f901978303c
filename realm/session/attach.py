"""Going back to a run that goes on: from its keeper, or from a box that lost its holder."""

from __future__ import annotations

import base64
import os
import socket
import sys
from typing import TYPE_CHECKING

from realm.errors import RealmError, RunningError
from realm.sandbox import engine, lookup
from realm.session import hold, line
from realm.session.find import find
from realm.session.grip import take as take_in_hand
from realm.session.lock import RunLock
from realm.session.requests import ResumeRequest
from realm.store import record

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project, Run, Session
    from realm.sandbox.box import Box
    from realm.session.line import Asked
    from realm.session.ui import UI


def attach(name: str, directory: Path | None, ui: UI, *, take: bool = False) -> int:
    """Show the session's running agent in this terminal; return its exit code, 0 when left again.

    One terminal at a time shows a run: with ``take`` the other one lets go.
    Raises :class:`RunningError` when another terminal has it and
    :class:`RealmError` when nothing is running.
    """
    project = find(name, directory)
    session = record.read_session(project, name)
    runs = record.read_runs(project, name)
    asked = line.ask(session.id, {"op": "attach", "take": take})
    if asked is None:
        return _orphan(project, session, ui)
    try:
        return _handed_over(project, session, runs[-1], asked, ui)
    finally:
        asked.close()


def _orphan(project: Project, session: Session, ui: UI) -> int:
    """Attach to a box whose holder was killed, if there is one."""
    from realm.session.resume import resume

    boxes = lookup.find(engine.connect(), session_id=session.id)
    if not any(box.state() == "running" for box in boxes):
        left = "; its last run's work is still in its box" if boxes else ""
        raise RealmError(
            f"nothing of session {session.name} is running{left}", f"realm resume {session.name}"
        )
    return resume(ResumeRequest(session.name, project.root), ui)


def _handed_over(project: Project, session: Session, run: Run, asked: Asked, ui: UI) -> int:
    from realm.session.resume import prepare, started_before

    if not asked.answer.get("ok"):
        raise RunningError(
            f"session {session.name} is attached in another terminal",
            f"realm attach {session.name} --take shows it here instead",
        )
    stream_fd, lock_fd = asked.fds
    lock = RunLock.adopt(lock_fd, session.id, session.name, run.number)
    tty = bool(asked.answer.get("tty"))
    if tty and not (sys.stdin.isatty() and sys.stdout.isatty()):
        os.close(stream_fd)
        os.close(lock_fd)
        raise RealmError(
            "a terminal is needed to attach to one", f"realm screen {session.name} shows what it shows"
        )
    ahead = base64.b64decode(asked.answer.get("ahead", ""))
    connection = engine.connect()
    launch = prepare(
        project, session, [run], ResumeRequest(session.name, project.root), local=connection.endpoint.local
    )
    launch = launch._replace(run=run, tty=tty)
    drawing = base64.b64decode(asked.answer.get("drawing", ""))
    box = _box(lookup.find(connection, session_id=session.id), session)
    stream = box.stream(socket.socket(fileno=stream_fd), ahead, tty=tty)
    grip = take_in_hand(connection, started_before(launch, run), launch, box, lock, ui, stream, drawing)
    asked.confirm()
    lock.write()
    try:
        return hold.attend(grip, drawing=drawing)
    finally:
        os.close(lock_fd)


def _box(boxes: list[Box], session: Session) -> Box:
    for box in boxes:
        if box.state() == "running":
            return box
    raise RealmError(
        f"the box of session {session.name} has just ended", f"realm list, then: realm resume {session.name}"
    )
