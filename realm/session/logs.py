"""What an agent said, as plain text, during its run or from its record."""

from __future__ import annotations

import posixpath
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm import agents
from realm.agents.base import Said
from realm.errors import EngineError, RealmError
from realm.sandbox import docker, layout, lookup
from realm.session import account, recordings, review, screens, secrets, words
from realm.session.lock import holder
from realm.store import record
from realm.terminal.ansi.lexer import ESC
from realm.terminal.recording.recorder import Follower, tail
from realm.terminal.render.lines import Lines
from realm.text import clean, trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from realm.model import Project, Run, Session
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI, At
    from realm.session.screens import Asked

    Write = Callable[[str], object]

PERIOD = 0.2
"""Seconds between two looks at a recording that grows."""
_MOST = 256 * 1024 * 1024
"""Bytes of a conversation that are read."""
_LOOK = 4096
"""Bytes that are looked at to see whether a program draws."""
_SIZE = (24, 80)


def logs(asked: Asked, write: Write, ui: UI, *, follow: bool = False) -> None:
    """Write what was said in a run of a session; with ``follow``, go on until it ends.

    Where the agent keeps a conversation that is written, from its container while it
    runs, then from the record: prompts, answers, a line for each tool.  Otherwise it is
    what the agent printed, or while it draws on a screen and has said nothing yet, that
    screen.  Unless a run is asked for, it is the newest that has something.  Raises
    :class:`RealmError` when nothing was kept.
    """
    project, session, run = screens.chosen(asked, _has_log, ui)
    write = _without_secrets(project, session, write)
    place = recordings.place(session.id, run.number)
    talks = agents.find(session.agent).conversations is not None
    runs = place.is_dir() and holder(session.id) is not None
    if runs and talks and follow:
        _follow(project, session, run, write)
    elif runs and talks and (said := _said_so_far(session)):
        for entry in said:
            write(_paragraph(entry))
    elif runs and talks and _draws(place):
        write(f"{recordings.text(place, _SIZE)}\n")
    elif place.is_dir():
        _write_live(project, session, run, write, follow=follow)
    else:
        _write_record(project, session, run, write)


def _without_secrets(project: Project, session: Session, write: Write) -> Write:
    redactor = secrets.of_session(project, session)
    return lambda text: write(redactor.text(text))


def logs_of_turn(at: At, directory: Path | None, write: Write) -> None:
    """Write what was said in a turn; raises :class:`RealmError` where there is none, or nothing was kept."""
    whole = review.place(at._replace(turn=None), directory)
    turn = review.picked(whole, review.turns(whole), at.turn or 0)
    with record.Record(whole.project, at.name) as found:
        session, run = found.session(), found.run(turn.run)
        path = found.talk(run.number).get(turn.turn)
        agent = agents.find(session.agent)
        said = list(agent.read((found.file(path) or b"").splitlines())) if path else []
        if not said and (exchange := words.of_turn(found, session, run, turn.turn)) is not None:
            said = [Said("user", exchange.prompt), Said("agent", exchange.answer)]
    if not said:
        raise RealmError(
            f"nothing that was said in turn {turn.number} of {at.name} was kept",
            f"realm logs {at.name} --run {turn.run} writes what its run printed",
        )
    write = _without_secrets(whole.project, session, write)
    for entry in said:
        write(_paragraph(entry))


def _has_log(found: record.Record, session: Session, run: Run) -> bool:
    """Tell whether anything that was said in a run was kept."""
    path = f"{record.run_directory(run.number)}/{recordings.CAST}"
    kept = recordings.place(session.id, run.number).is_dir() or found.said(run.number)
    return bool(kept or found.file(path, screens.CAST_LIMIT))


def _draws(place: Path) -> bool:
    """Tell whether a program writes anything but lines."""
    return any(isinstance(event, bytes) and ESC in event for _, event in tail(place, _LOOK).events)


def conversation_file(session: Session) -> str | None:
    """Return where the conversation of the run that goes on lies in its container."""
    now = account.read(session.id)
    conversation = (now.conversation if now else "") or session.conversation
    if not conversation:
        return None
    directory = posixpath.join(session.workspace, session.subdir).rstrip("/")
    path = agents.find(session.agent).conversation_file(directory, conversation)
    return f"{layout.STATE}/{path}" if path else None


def _container(session: Session) -> Sandbox | None:
    """Return the container of the run that goes on; ``None`` where no engine tells of one."""
    with suppress(EngineError):
        return lookup.running(docker.connect(), session.id)
    return None


def _said_so_far(session: Session) -> list[Said]:
    """Return what was said in the run that goes on, as far as it can be had."""
    path, sandbox = conversation_file(session), _container(session)
    with suppress(EngineError):
        found = sandbox.read_file(path, _MOST) if sandbox and path else None
        return list(agents.find(session.agent).read((found or b"").splitlines()))
    return []


def _follow(project: Project, session: Session, run: Run, write: Write) -> None:
    """Write the conversation of the run that goes on as it is said, until it ends."""
    agent = agents.find(session.agent)
    written: set[Said] = set()

    def tell(lines: Iterable[bytes]) -> None:
        for said in agent.read(lines):
            if said not in written:
                written.add(said)
                write(_paragraph(said))

    while holder(session.id) is not None:
        path, sandbox = conversation_file(session), _container(session)
        if path is None or sandbox is None:
            time.sleep(PERIOD)
            continue
        with suppress(EngineError), sandbox.follow(path) as lines:
            while (heard := lines.read(PERIOD)) is not None:
                tell(heard)
                if not heard and conversation_file(session) != path:
                    break  # the agent began another
        time.sleep(PERIOD)
    with record.Record(project, session.name) as found:
        tell((found.said(run.number) or b"").splitlines())
    if not written:
        _write_record(project, session, run, write)


def _write_record(project: Project, session: Session, run: Run, write: Write) -> None:
    with record.Record(project, session.name) as found:
        transcript = found.said(run.number)
    if transcript:
        for said in agents.find(session.agent).read(transcript.splitlines()):
            write(_paragraph(said))
        return
    lines = Lines()
    write(lines.feed(_recorded(project, session, run)) + lines.end())


def _paragraph(said: Said) -> str:
    """Return one entry of a conversation as it is read; a tool's is one line."""
    if said.who == "tool":
        return f"  * {clean(said.text, limit=200)}\n"
    text = clean(said.text, multiline=True).strip()
    if not text:
        return ""
    begin = "> " if said.who == "user" else ""
    lines = text.replace("\n", f"\n{begin}") if begin else text
    return trimmed(begin + lines) + "\n\n"


def _recorded(project: Project, session: Session, run: Run) -> bytes:
    """Return the output that a run's record holds."""
    from realm.terminal.recording import cast

    path = f"{record.run_directory(run.number)}/{recordings.CAST}"
    found = record.read_file(project, session.name, path, screens.CAST_LIMIT)
    if found is None:
        raise RealmError(
            f"run {run.number} of {session.name} has no log: nothing that it printed was kept, "
            "and it left no conversation",
            "realm config shows realm.record, which says whether runs are recorded",
        )
    _, moments = cast.read(found, path)
    return "".join(moment.data for moment in moments if moment.code == cast.OUTPUT).encode("utf-8", "replace")


def _write_live(project: Project, session: Session, run: Run, write: Write, *, follow: bool) -> None:
    """Write a recording, and what is added to it while somebody holds the run."""
    lines, last = Lines(), ""
    for data in _output(session, run, follow=follow):
        text = lines.feed(data)
        write(text)
        last = text or last
    write(lines.end())
    if not last and not recordings.place(session.id, run.number).is_dir():
        # It ended before anything could be read.
        _write_record(project, session, run, write)


def _output(session: Session, run: Run, *, follow: bool) -> Iterator[bytes]:
    follower = Follower(recordings.place(session.id, run.number))
    try:
        while True:
            going_on = follow and holder(session.id) is not None
            yield follower.read()
            if not going_on:
                return
            time.sleep(PERIOD)
    finally:
        follower.close()
