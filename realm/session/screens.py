"""A session's terminal output: one screen as a picture, a whole run as a recording.

It is read from the record or, for a run not recorded yet, from its holder's files in the run's directory.
Either may be hostile: only text, positions and colours are ever shown.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import NothingShownError, RealmError
from realm.session import account, recordings, review, secrets
from realm.session.find import find
from realm.store import record, refs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from realm.model import Project, Run, Session
    from realm.session.requests import UI, At
    from realm.store.turns import Turn
    from realm.terminal.recording.cast import Header, Moment
    from realm.terminal.recording.recorder import Event
    from realm.terminal.render.drawing import Drawing

CAST_LIMIT = 256 * 1024 * 1024
"""Most bytes of a recording that are read from a record."""
DRAWING_LIMIT = 16 * 1024 * 1024
_SIZE = (24, 80)
_SECOND = 1.0
"""Commits have times in whole seconds, so the whole second in which a turn ended is shown."""


class RunRequest(NamedTuple):
    """A request for a run of a session, by default the last one.

    Without ``directory`` the session is looked for in the current project, then in others.
    """

    name: str
    directory: Path | None = None
    run: int | None = None


class Picture(NamedTuple):
    """A screen; ``title`` names its session and run, ``incomplete`` is whether some of it may be missing."""

    drawing: Drawing
    title: str
    incomplete: bool = False

    def svg(self) -> bytes:
        """Return it as a self-contained SVG picture."""
        from realm.terminal.render.pictures import svg

        return svg(self.drawing, self.title)

    def html(self) -> bytes:
        """Return it as a self-contained HTML page."""
        from realm.terminal.render.pictures import html

        return html(self.drawing, self.title)


class Recording(NamedTuple):
    """A recorded run; ``events`` can be iterated once, which may raise :class:`RealmError`."""

    header: Header
    events: Iterator[Moment]

    def part(self, begin: float, end: float) -> Recording:
        """Return the part from ``begin`` to ``end``, seconds since the epoch."""
        start = self.header.timestamp or 0.0
        skipped = max(0.0, begin - start)
        header = self.header._replace(timestamp=start + skipped)
        return Recording(header, _part(self, skipped, end - start))

    def text(self) -> Iterator[str]:
        """Yield its whole output, made harmless."""
        from realm.terminal.recording import replay

        return replay.text(self.events)

    def play(self, ui: UI, *, speed: float = 1.0, idle_limit: float = math.inf) -> int:
        """Replay it on this terminal; return the number of the signal that ended that, else 0.

        A ``speed`` above one is faster; ``idle_limit`` is the longest pause in seconds.
        """
        from realm.terminal.recording import replay
        from realm.terminal.relay.tty import Terminal

        terminal, size = Terminal(), self.header.size
        rows, columns = terminal.size()
        if rows < size.rows or columns < size.columns:
            wanted = f"{size.columns} columns and {size.rows} rows"
            ui.warn(f"recorded on {wanted}; this terminal has {columns} and {rows}")
        return replay.play(self.events, terminal, speed=speed, idle_limit=idle_limit)

    def cast(self) -> Iterator[bytes]:
        """Yield the lines of an asciicast for any player."""
        from realm.terminal.recording import cast

        return cast.lines(self.header, cast.harmless(self.events))


def picture(asked: RunRequest, ui: UI, turn: int | None = None) -> Picture:
    """Return the last screen of a run, or its screen at the end of ``turn``.

    By default the run is the newest that has a screen.  Raises :class:`NothingShownError` if there was none,
    :class:`RealmError` if it was not kept.
    """
    from realm.terminal.render.drawing import Drawing

    project, session, run = chosen(asked, _has_screen, ui)
    title = f"{session.name}, run {run.number}" + (f", turn {turn}" if turn is not None else "")
    name = recordings.SCREEN if turn is None else recordings.drawing_path(turn)
    path = f"{record.run_directory(run.number)}/{name}"
    kept = record.read_file(project, session.name, path, DRAWING_LIMIT)
    incomplete = name.removesuffix(".ans") in run.incomplete
    if kept is None and turn is not None:
        kept, incomplete = _at_turn(project, session, run.number, turn), False
    elif kept is None:
        live = recordings.last_screen(recordings.place(session.id, run.number), _SIZE)
        kept, incomplete = live or (None, False)
        if why := account.paused(session.name, session.id):
            ui.warn(why)
    if kept is None:
        raise NothingShownError(
            f"run {run.number} of {session.name} showed nothing on a terminal",
            f"realm logs {session.name} --run {run.number} prints what it wrote",
        )
    return Picture(Drawing(secrets.of_session(project, session).data(kept)), title, incomplete)


def recording(asked: RunRequest, ui: UI) -> Recording:
    """Return the recording of a run, by default the newest that has one.

    Raises :class:`RealmError` if there is none, or it is damaged.
    """
    project, session, run = chosen(asked, _has_recording, ui)
    return _recording(project, session, run.number)


def recording_of_turn(at: At, directory: Path | None) -> Recording:
    """Return a turn's part of a recording; raises as :func:`recording` does.

    It begins shortly before the prompt, with the screen at that time.
    """
    whole = review.commit_range(at._replace(turn=None), directory)
    every = review.turns(whole)
    turn = review.picked(whole, every, at.turn or 0)
    found = _recording(whole.project, record.read_session(whole.project, at.name), turn.run)
    own = [other for other in every if other.run == turn.run]
    begin, end = _span(turn, [other for other in own if other.number < turn.number], own)
    if found.header.timestamp is None or end < found.header.timestamp:
        raise RealmError(
            f"the recording of run {turn.run} begins after turn {turn.number}",
            f"realm show {at.name}@{turn.number} has what was kept of it",
        )
    return found.part(begin, end)


def _span(turn: Turn, before: Sequence[Turn], own: Sequence[Turn]) -> tuple[float, float]:
    """Return when a turn began and ended, seconds since the epoch, as well as its run's turns show.

    Without a noted end it is taken to fill the time between its neighbours.
    """
    last = max((other.ended for other in before if other.ended is not None), default=0.0)
    if turn.ended is not None:
        begun = turn.ended - turn.took - _SECOND if turn.took is not None else 0.0
        return max(begun, last), turn.ended + _SECOND
    after = [other for other in own if other.number > turn.number and other.ended is not None]
    next_ = after[0].ended - (after[0].took or 0.0) if after and after[0].ended is not None else math.inf
    return last, next_


def chosen(
    asked: RunRequest, has: Callable[[record.Record, Session, Run], bool], ui: UI
) -> tuple[Project, Session, Run]:
    """Return the requested run, or the newest for which ``has`` is true, with a message which one it is."""
    project = find(asked.name, asked.directory)
    with record.Record(project, asked.name) as found:
        session, runs = found.session(), found.runs()
        if not runs:
            raise RealmError(f"session {asked.name} has no runs", f"realm resume {asked.name}")
        wanted = reversed(runs) if asked.run is None else (run for run in runs if run.number == asked.run)
        run = next((run for run in wanted if asked.run is not None or has(found, session, run)), None)
    if run is None and asked.run is not None:
        known = str(runs[0].number) if len(runs) == 1 else f"{runs[0].number} to {runs[-1].number}"
        raise RealmError(f"session {asked.name} has no run {asked.run}", f"its runs: {known}")
    if run is not None and run is not runs[-1] and asked.run is None:
        ui.info(f"run {runs[-1].number} of {asked.name} has none; this is run {run.number}")
    return project, session, run or runs[-1]


def _has_screen(found: record.Record, session: Session, run: Run) -> bool:
    path = f"{record.run_directory(run.number)}/{recordings.SCREEN}"
    return bool(found.file(path, DRAWING_LIMIT)) or (
        recordings.last_screen(recordings.place(session.id, run.number), _SIZE) is not None
    )


def _has_recording(found: record.Record, session: Session, run: Run) -> bool:
    path = f"{record.run_directory(run.number)}/{recordings.CAST}"
    return bool(found.file(path, CAST_LIMIT)) or bool(
        recordings.cast(recordings.place(session.id, run.number), _SIZE, CAST_LIMIT)
    )


def _recording(project: Project, session: Session, number: int) -> Recording:
    from realm.terminal.recording import cast

    path = f"{record.run_directory(number)}/{recordings.CAST}"
    data = record.read_file(project, session.name, path, CAST_LIMIT)
    if data is None:
        directory = recordings.place(session.id, number)
        data = recordings.cast(directory, _SIZE, CAST_LIMIT, f"{session.name}, run {number}")
        data = cast.changed(data, secrets.of_session(project, session).pieces)
    if not data:
        hint = (
            "runs are, unless realm.record or --no-record says otherwise (realm config); of a run that was "
            f"rewound or forked from, realm screen {session.name} shows the screens that were kept"
        )
        raise NothingShownError(f"run {number} of {session.name} has no recording", hint)
    return Recording(*cast.read(data, f"the recording of run {number} of {session.name}"))


def _at_turn(project: Project, session: Session, number: int, turn: int) -> bytes:
    """Return output that draws the screen at the end of a turn, by the time of its commit or the record.

    This is for turns without a recorded screen: in an older record, or if output came too fast.
    """
    from realm.store import turns

    tip = refs.tips(project, session.name).code or session.base
    every = turns.turns(project, session.base, tip, record.read_runs(project, session.name))
    ends = {(one.run, one.turn): one.ended for one in every if one.ended is not None}
    if (number, turn) not in ends:
        known = ", ".join(str(other) for run, other in sorted(ends) if run == number)
        elsewhere = max((run for run, other in ends if other == turn), default=0)
        if known:
            hint = f"those of run {number}: {known}"
        elif elsewhere:
            hint = (
                f"realm screen {session.name} --run {elsewhere} --turn {turn} shows that of run {elsewhere}"
            )
        else:
            hint = _look(session)
        raise NothingShownError(f"run {number} of {session.name} has no turn {turn} that ended", hint)
    found, end = _recording(project, session, number), ends[number, turn] + _SECOND
    if found.header.timestamp is None or found.header.timestamp > end:
        raise NothingShownError(f"the recording of run {number} begins after turn {turn}", _look(session))
    return _until(found, end - found.header.timestamp)


def _until(found: Recording, end: float) -> bytes:
    """Return output that draws the screen ``end`` seconds after a recording's beginning."""
    from realm.terminal.recording.playback import play_events
    from realm.terminal.render.drawing import draw

    before = itertools.takewhile(lambda event: event.time <= end, found.events)
    played = play_events(_as_recorded(before), found.header.size)
    return draw(played.screen) if played is not None else b""


def _as_recorded(events: Iterable[Moment]) -> list[Event]:
    """Convert a cast's events to those of a recording."""
    from realm.terminal.recording.cast import OUTPUT, RESIZE, parse_size

    made: list[Event] = []
    for event in events:
        if event.code == OUTPUT:
            made.append((event.time, event.data.encode("utf-8", "replace")))
        elif event.code == RESIZE and (size := parse_size(event.data)):
            made.append((event.time, size))
    return made


def _part(found: Recording, begin: float, end: float) -> Iterator[Moment]:
    """Yield the events from ``begin`` to ``end``, after one that draws the screen at ``begin``."""
    from realm.terminal.recording.cast import OUTPUT, RESIZE, Moment
    from realm.terminal.recording.playback import play_events
    from realm.terminal.render.drawing import draw

    before: list[Moment] = []
    drawn = False
    for event in found.events:
        if event.time > end:
            break
        if event.time < begin:
            before.append(event)
            continue
        if not drawn:
            drawn = True
            if played := play_events(_as_recorded(before), found.header.size):
                screen = played.modes.redo(draw(played.screen)).decode("utf-8", "replace")
                yield Moment(0.0, RESIZE, f"{played.screen.columns}x{played.screen.lines}")
                yield Moment(0.0, OUTPUT, screen)
        yield event._replace(time=event.time - begin)


def _look(session: Session) -> str:
    return f"git show {refs.META}{session.name} lists what was kept"
