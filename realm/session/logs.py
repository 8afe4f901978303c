"""An agent's conversation or output as plain text, during its run or from its record."""

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
    from realm.session.screens import RunRequest

    Write = Callable[[str], object]

PERIOD = 0.2
"""Seconds between two looks at a growing recording."""
_MOST = 256 * 1024 * 1024
"""Bytes of a conversation that are read."""
_LOOK = 4096
"""Bytes that are searched to see whether a program draws."""
_SIZE = (24, 80)


def logs(asked: RunRequest, write: Write, ui: UI, *, follow: bool = False) -> None:
    """Write the conversation of a session's run; with ``follow``, go on until it ends.

    For an agent that keeps a conversation it is written from the container during the run, then, or where
    that is dead, from the record: prompts, answers, a line for each tool.  For others it is their output, or
    while a full-screen agent has not said anything, its screen.  Unless a run is given, it is the newest that
    has something.  Raises :class:`RealmError` when nothing was kept.
    """
    project, session, run = screens.chosen(asked, _has_log, ui)
    write = _without_secrets(project, session, write)
    place = recordings.place(session.id, run.number)
    talks = agents.find(session.agent).conversations is not None
    goes_on = place.is_dir()
    if goes_on and talks and follow and holder(session.id) is not None:
        _follow(project, session, run, write, ui)
    elif goes_on and talks and (said := _said_so_far(session) or _said(project, session, run)):
        for entry in said:
            write(_paragraph(entry))
    elif goes_on and talks and _draws(place):
        write(f"{recordings.text(place, _SIZE)}\n")
    elif goes_on:
        _write_live(project, session, run, write, ui, follow=follow)
    else:
        _write_record(project, session, run, write)


def _without_secrets(project: Project, session: Session, write: Write) -> Write:
    redactor = secrets.of_session(project, session)
    return lambda text: write(redactor.text(text))


def logs_of_turn(at: At, directory: Path | None, write: Write) -> None:
    """Write a turn's conversation.

    Raises :class:`RealmError` when there is no such turn, or nothing was kept.
    """
    whole = review.commit_range(at._replace(turn=None), directory)
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
    """Tell whether a run's conversation or output was kept."""
    path = f"{record.run_directory(run.number)}/{recordings.CAST}"
    kept = recordings.place(session.id, run.number).is_dir() or found.said(run.number)
    return bool(kept or found.file(path, screens.CAST_LIMIT))


def _draws(place: Path) -> bool:
    """Tell whether a program writes more than lines."""
    return any(isinstance(event, bytes) and ESC in event for _, event in tail(place, _LOOK).events)


def conversation_file(session: Session) -> str | None:
    """Return the path of the running run's conversation in its container."""
    now = account.read(session.id)
    conversation = (now.conversation if now else "") or session.conversation
    if not conversation:
        return None
    directory = posixpath.join(session.workspace, session.subdir).rstrip("/")
    path = agents.find(session.agent).conversation_file(directory, conversation)
    return f"{layout.STATE}/{path}" if path else None


def _container(session: Session) -> Sandbox | None:
    """Return the running run's container; ``None`` when no engine has it."""
    with suppress(EngineError):
        return lookup.running(docker.connect(), session.id)
    return None


def _said_so_far(session: Session) -> list[Said]:
    """Return the running run's conversation so far, if it can be read."""
    path, sandbox = conversation_file(session), _container(session)
    with suppress(EngineError):
        found = sandbox.read_file(path, _MOST) if sandbox and path else None
        return list(agents.find(session.agent).read((found or b"").splitlines()))
    return []


def _pauses(session: Session, ui: UI) -> Callable[[], None]:
    """Return a function that warns of a pause of the run, once."""
    said = ""

    def look() -> None:
        nonlocal said
        before, said = said, account.paused(session.name, session.id)
        if said and said != before:
            ui.warn(said)

    return look


def _follow(project: Project, session: Session, run: Run, write: Write, ui: UI) -> None:
    """Write the running run's conversation as it grows, until the run ends."""
    agent = agents.find(session.agent)
    written: set[Said] = set()
    look = _pauses(session, ui)

    def tell(lines: Iterable[bytes]) -> None:
        for said in agent.read(lines):
            if said not in written:
                written.add(said)
                write(_paragraph(said))

    while holder(session.id) is not None:
        path, sandbox = conversation_file(session), _container(session)
        look()
        if path is None or sandbox is None:
            time.sleep(PERIOD)
            continue
        with suppress(EngineError), sandbox.follow(path) as lines:
            while (heard := lines.read(PERIOD)) is not None:
                tell(heard)
                look()
                if not heard and conversation_file(session) != path:
                    break  # the agent began another
        time.sleep(PERIOD)
    with record.Record(project, session.name) as found:
        tell(found.said(run.number).splitlines())
    if not written:
        _write_record(project, session, run, write)


def _said(project: Project, session: Session, run: Run) -> list[Said]:
    """Return a run's conversation as the record has it."""
    with record.Record(project, session.name) as found:
        return list(agents.find(session.agent).read(found.said(run.number).splitlines()))


def _write_record(project: Project, session: Session, run: Run, write: Write) -> None:
    if said := _said(project, session, run):
        for entry in said:
            write(_paragraph(entry))
        return
    lines = Lines()
    write(lines.feed(_recorded(project, session, run)) + lines.end())


def _paragraph(said: Said) -> str:
    """Return one entry of a conversation for reading; a tool's is one line."""
    if said.who == "tool":
        return f"  * {clean(said.text, limit=200)}\n"
    text = clean(said.text, multiline=True).strip()
    if not text:
        return ""
    begin = "> " if said.who == "user" else ""
    lines = text.replace("\n", f"\n{begin}") if begin else text
    return trimmed(begin + lines) + "\n\n"


def _recorded(project: Project, session: Session, run: Run) -> bytes:
    """Return the output in a run's record."""
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


def _write_live(
    project: Project, session: Session, run: Run, write: Write, ui: UI, *, follow: bool
) -> None:  # fmt: skip
    """Write a recording, and with ``follow`` what is added while the run is held."""
    lines, last = Lines(), ""
    for data in _output(session, run, _pauses(session, ui), follow=follow):
        text = lines.feed(data)
        write(text)
        last = text or last
    write(lines.end())
    if not last and not recordings.place(session.id, run.number).is_dir():
        # It ended before anything could be read.
        _write_record(project, session, run, write)


def _output(session: Session, run: Run, look: Callable[[], None], *, follow: bool) -> Iterator[bytes]:
    follower = Follower(recordings.place(session.id, run.number))
    try:
        while True:
            going_on = follow and holder(session.id) is not None
            yield follower.read()
            if not going_on:
                return
            look()
            time.sleep(PERIOD)
    finally:
        follower.close()
