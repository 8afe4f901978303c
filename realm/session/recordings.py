"""The recording of a run: kept in the run's directory while it goes on, then in its record.

``runs/<session id>/recording/<run>/`` below realm's directory holds the program's output as it comes
(:mod:`realm.terminal.recording`).  Nothing else is kept of what was shown: screens are played from its end.
When the run is over it becomes files of the record: ``screen.txt`` and ``screen.ans``, the terminal's last
screen; ``turns/…``, the screen at the end of each turn; and ``session.cast``, all of it as an asciicast.
``realm.record`` decides only about the last of these; a file ``unrecorded`` tells the run's next holder so.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from realm.config import RECORD, RECORD_LIMIT
from realm.errors import UsageError
from realm.paths import make_private, remove_tree
from realm.session.lock import run_directory
from realm.terminal.recording.recorder import Recorder, chunks, losses
from realm.terminal.recording.segments import Marker, Size
from realm.terminal.relay.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from pathlib import Path

    from realm.config import Config
    from realm.model import Checkpoint
    from realm.terminal.ansi.modes import Modes

CAST = "session.cast"
SCREEN = "screen.ans"
TEXT = "screen.txt"
_UNRECORDED = "unrecorded"
_TURNS = "turns"
_EARLY, _LATE = 1.0, 4.0
"""Seconds by which a mark may differ from the container's time, which has whole seconds."""
_SETTLED, _STILL = 1.0, 0.02
"""Seconds after a turn's end in which an agent may still draw; the pause between two pictures."""
_PATIENCE = 3.0
"""Seconds for the screens of turns at a run's end: the newest are made first."""
_DRAWN = 1.5
"""Seconds from a turn's intake until its end has been drawn and recorded."""
_FEW = 8
"""Turns whose ends are remembered during a run, to tell their marks apart."""


def place(session_id: str, run: int) -> Path:
    """Return the directory of a run's recording; it may not exist."""
    return run_directory(session_id) / "recording" / f"{run:04d}"


def recorder(
    session_id: str,
    run: int,
    config: Config,
    *,
    record: bool | None = None,
    state: Callable[[], bytes] | None = None,
) -> Recorder:
    """Return the recorder of a run's output, which continues where another holder of the run stopped.

    ``record`` is the command line's choice, if any; ``state`` is as in
    :class:`~realm.terminal.recording.recorder.Recorder`.  Recordings of the session's other runs are removed.
    Raises :class:`UsageError` when a setting is wrong.
    """
    on = config.value(RECORD) if record is None else record
    most = config.value(RECORD_LIMIT)
    directory = place(session_id, run)
    with contextlib.suppress(OSError):
        for other in [path for path in directory.parent.iterdir() if path != directory]:
            remove_tree(other)
    if not on:
        with contextlib.suppress(OSError):  # where that cannot be written nothing can
            make_private(directory)
            (directory / _UNRECORDED).touch(mode=0o600)
    return Recorder(directory, limit=most, state=state)


class TerminalState:
    """Receives a run's output on its way: tracks the terminal's modes, and records.

    ``size`` is rows and columns, ``directory`` is where ``recorder`` writes and from where the screen is
    played. A run without a terminal (``tty`` false) has no screen.
    """

    def __init__(
        self, size: tuple[int, int], modes: Modes, recorder: Recorder, directory: Path, *, tty: bool
    ) -> None:
        self.modes = modes
        self.size = size
        """Rows and columns of the terminal that shows it, or did last."""
        self._tty, self._recorder, self._directory = tty, recorder, directory
        recorder.resize(*size)

    def hear(self, event: Event) -> None:
        """Handle an event, before the output that follows it."""
        marker = {Event.BEGUN: Marker.BEGUN, Event.ENDED: Marker.ENDED}.get(event)
        if marker is not None:
            self._recorder.mark(marker)

    def feed(self, data: bytes) -> None:
        """Record output, on the relay's path."""
        # Without a terminal, line feeds are not yet a screen's line ends.
        self._recorder.feed(data if self._tty else data.replace(b"\n", b"\r\n"))

    def keep(self, data: bytes) -> None:
        """Record output that no terminal shows."""
        self.modes.feed(data)
        self.feed(data)

    def flush(self) -> None:
        """Write everything so far, so that others can read it or continue."""
        self._recorder.flush()

    def resize(self, rows: int, columns: int) -> None:
        """Note a new size."""
        self.size = (rows, columns)
        self._recorder.resize(rows, columns)

    def heard(self) -> int:
        """Return the number of bytes of output so far."""
        return self._recorder.offset

    def doubt(self) -> None:
        """Note that some output was lost."""
        self._recorder.mark(Marker.GAP)

    def text(self) -> str:
        """Return the screen's text."""
        self.flush()
        return text(self._directory, self.size) if self._tty else ""

    def below(self) -> int:
        """Return how many rows below the cursor everything is empty."""
        self.flush()
        return below(self._directory, self.size) if self._tty else 0

    def drawing(self, size: tuple[int, int] | None = None) -> bytes:
        """Return the bytes that draw the screen and its modes in a fresh terminal, of ``size`` if given."""
        self.flush()
        return drawing(self._directory, size or self.size) if self._tty else b""


def discard(session_id: str) -> None:
    """Remove a session's recordings from realm's directory, once the record has them."""
    remove_tree(run_directory(session_id) / "recording")


class Screens(NamedTuple):
    """Screens of turns as files of a run's record, and the names of those that are incomplete."""

    files: Mapping[str, bytes] = {}
    incomplete: Sequence[str] = ()


class TurnScreens:
    """The screens of a running run's turns, each once its end has been drawn.

    ``directory`` is the recording's, ``size`` is rows and columns if that has none.
    """

    def __init__(self, directory: Path, size: tuple[int, int]) -> None:
        self._directory, self._size = directory, size
        self._ends: dict[int, float] = {}
        self._due: dict[int, float] = {}

    def ended(self, turn: int, end: float) -> None:
        """Note that a turn ended, at ``end`` in seconds since the epoch; it may end again."""
        if turn > 0 and self._ends.get(turn) != end:
            self._ends[turn] = end
            self._due[turn] = time.monotonic() + _DRAWN
            for old in sorted(self._ends)[:-_FEW]:
                del self._ends[old]

    def wait(self) -> float | None:
        """Return the seconds until the next one is ready; ``None`` if none is expected."""
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    def drawn(self) -> Screens:
        """Return those ready by now, each once; a turn whose mark is missing has none."""
        ready = [turn for turn, due in self._due.items() if due <= time.monotonic()]
        moments = _moments(self._ends, self._directory, min(self._ends.values())) if ready else {}
        found: dict[str, bytes] = {}
        lacking = []
        for turn in ready:
            del self._due[turn]
            screen = _played(self._directory, self._size, moments[turn]) if turn in moments else None
            if screen is not None:
                found |= _named(turn, *screen[:2])
                lacking += [f"{_name(turn)}.screen"] if screen[2] else []
        return Screens(found, lacking)


class Shown(NamedTuple):
    """What a run's terminal showed, for its record.

    ``files`` are those of the run itself, ``place`` is the recording's directory, ``size`` rows and columns
    if that has none.  ``dropped`` is the number of bytes of output that were not kept, ``incomplete`` whether
    the last screen may lack some of them.
    """

    files: Mapping[str, bytes] = {}
    place: Path | None = None
    size: tuple[int, int] = (24, 80)
    dropped: int = 0
    incomplete: bool = False

    def of_turns(self, points: Iterable[Checkpoint], known: Container[int] = ()) -> Screens:
        """Return the turns' screens except those ``known``, and the names of incomplete ones.

        ``points`` are the states that the container reported; the last is the run's end.  A turn whose mark
        is missing has no screen, nor have the oldest ones if there are too many to play quickly.
        """
        names = ["screen"] if self.incomplete and SCREEN in self.files else []
        if SCREEN not in self.files or self.place is None:
            return Screens({}, names)
        found: dict[str, bytes] = {}
        ends, open_turn = _ends(list(points))
        if open_turn:
            found |= _named(open_turn, self.files[TEXT], self.files[SCREEN])
            names += [f"{_name(open_turn)}.screen"] if self.incomplete else []
        deadline = time.monotonic() + _PATIENCE
        for turn, moment in reversed(_moments(ends, self.place).items()):
            if time.monotonic() > deadline:
                break
            if turn in known and turn != max(ends):  # the last turn may have ended again
                continue
            screen = _played(self.place, self.size, moment)
            if screen is not None:
                found |= _named(turn, *screen[:2])
                names += [f"{_name(turn)}.screen"] if screen[2] else []
        return Screens(found, names)


def drawing_path(turn: int) -> str:
    """Return the path of a turn's drawing, in the run's directory of the record."""
    return f"{_name(turn)}.{SCREEN}"


def _name(turn: int) -> str:
    return f"{_TURNS}/{turn:04d}"


def _named(turn: int, text: bytes, drawing: bytes) -> dict[str, bytes]:
    return {f"{_name(turn)}.{TEXT}": text, drawing_path(turn): drawing}


def _ends(points: list[Checkpoint]) -> tuple[dict[int, float], int]:
    """Return when turns ended, and the number of the turn that ended with the run, 0 if none."""
    ends: dict[int, float] = {}
    for point in points[:-1]:
        if point.turn > 0:
            ends.setdefault(point.turn, point.time)
    last = points[-1].turn if points else 0
    return ends, last if last not in ends else 0


def _moments(ends: Mapping[int, float], directory: Path, since: float = 0.0) -> dict[int, float]:
    """Return when each turn's end was on the screen: the first mark at its time that no earlier turn has.

    An agent still draws after its mark: its last quiet moment before the next turn counts.  An interrupted
    turn has no mark: it ended when the next one began.  A mark can be forged, with no worse effect than a
    wrong picture in a record whose text is the agent's anyway.
    """
    marks, times = _marks(directory, since)
    found: dict[int, float] = {}
    next_ = 0
    for turn, end in sorted(ends.items()):
        while next_ < len(marks) and marks[next_][0] < end - _EARLY:
            next_ += 1
        if next_ < len(marks) and marks[next_][0] <= end + _LATE:
            found[turn] = _settled(*marks[next_], times)
            next_ += 1
    return found


def _marks(directory: Path, since: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Return the turns' ends, each with the time until which it counts, and the times of all output."""
    marks: list[tuple[float, float]] = []
    times: list[float] = []
    turning = False
    for moment, marker in chunks(directory, since):
        if isinstance(marker, bytes):
            times.append(moment)
        if not isinstance(marker, Marker) or marker is Marker.GAP:
            continue
        if marks and marker is Marker.BEGUN:
            marks[-1] = (marks[-1][0], min(marks[-1][1], moment))
        if marker is Marker.ENDED or turning:
            until = moment + (_SETTLED if marker is Marker.ENDED else 0.0)
            marks.append((moment, until))
        turning = marker is Marker.BEGUN
    return marks, times


def _settled(mark: float, until: float, times: list[float]) -> float:
    """Return the last moment from ``mark`` to ``until`` that a pause followed."""
    window = [mark, *times[bisect_right(times, mark) : bisect_right(times, until)], until]
    quiet = [before for before, after in itertools.pairwise(window) if after - before >= _STILL]
    return quiet[-1] if quiet else mark


def shown(
    directory: Path, size: tuple[int, int], config: Config, *, tty: bool = True, record: bool | None = None,
    title: str = "",
) -> Shown:  # fmt: skip
    """Return the files for a run's record: screens if it had a terminal, and the recording.

    ``size`` is rows and columns if the recording has none, ``record`` as in :func:`recorder`.  A setting that
    has become wrong since the run began costs the recording, not the work.
    """
    screen = _played(directory, size, ended=True) if tty else None
    files = {TEXT: screen[0], SCREEN: screen[1]} if screen else {}
    with contextlib.suppress(UsageError):
        on = config.value(RECORD) if record is None else record
        if on and (data := cast(directory, size, config.value(RECORD_LIMIT), title)):
            files[CAST] = data
    if not files:
        return Shown()
    return Shown(files, directory, size, losses(directory).dropped, bool(screen and screen[2]))


def last_screen(directory: Path, size: tuple[int, int]) -> tuple[bytes, bool] | None:
    """Return the drawing of a recording's last screen, and whether it may be incomplete."""
    screen = _played(directory, size)
    return screen[1:] if screen else None


def text(directory: Path, size: tuple[int, int]) -> str:
    """Return the text of a recording's last screen."""
    screen = _played(directory, size)
    return screen[0].decode() if screen else ""


def drawing(directory: Path, size: tuple[int, int]) -> bytes:
    """Return the bytes that draw a recording's last screen in a fresh terminal and switch its modes on.

    ``size`` is the terminal's rows and columns.  Empty when nothing was shown.
    """
    from realm.terminal.recording.playback import play

    played = play(directory, size)
    if played is None:
        return b""
    from realm.terminal.render.drawing import draw

    played.screen.resize(*size)
    return played.modes.redo(draw(played.screen))


def below(directory: Path, size: tuple[int, int]) -> int:
    """Return how many rows below the cursor everything is empty on a recording's last screen."""
    from realm.terminal.recording.playback import play

    played = play(directory, size)
    if played is None or played.screen.alternate:
        return 0
    from realm.terminal.render import drawing as rendering

    return rendering.below(played.screen)


def _played(
    directory: Path, size: tuple[int, int], until: float = math.inf, *, ended: bool = False
) -> tuple[bytes, bytes, bool] | None:
    """Return text and drawing of a screen, and whether it may be incomplete; ``None`` without output.

    For a run that has ``ended`` it is the program's last screen as a person remembers it: the alternate
    screen of one that left that with a few parting words, unless it was empty.
    """
    from realm.terminal.recording.playback import play

    played = play(directory, size, until)
    if played is None:
        return None
    from realm.terminal.render.drawing import draw, read

    screen = played.screen
    left = screen.left() if ended else None
    rows = left if left and read(screen, left) else None
    return read(screen, rows).encode("utf-8", "replace"), draw(screen, rows), played.lacking


def cast(directory: Path, size: tuple[int, int], most: int, title: str = "") -> bytes:
    """Return a recording as an asciicast of at most about ``most`` bytes, the newest of it; none is empty."""
    from realm.terminal.recording import cast as format_

    events = [] if (directory / _UNRECORDED).exists() else list(chunks(directory))
    if not any(isinstance(event, bytes) for _, event in events):
        return b""
    begin, event = events[0]
    shape = event if isinstance(event, Size) else Size(*size)
    env = {name: os.environ[name] for name in ("TERM",) if os.environ.get(name)}
    lost = losses(directory)
    note = "the recording ends here: the disk took no more" if lost.stopped else ""
    return format_.convert(format_.Header(shape, begin, title, env), events, most, lost.dropped, note)
