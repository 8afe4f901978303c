"""The recording of a run: kept in the run's directory while it goes on, in its record afterwards.

``runs/<session id>/recording/<run>/`` below realm's directory holds what the
program writes, as it comes (:mod:`realm.terminal.recording`).  It is all that is
kept of what was shown: screens are played from its end.  When the run is over it
becomes files of the record: ``screen.txt`` and ``screen.ans``, what the terminal
showed last, ``turns/…``, what it showed at the end of each turn, and
``session.cast``, all of it as an asciicast.  ``realm.record`` decides about the
last of them only; a file ``unrecorded`` says so to whoever holds the run next.
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
"""Seconds by which a mark may stand before or after the time that the container notes: whole seconds."""
_SETTLED, _STILL = 1.0, 0.02
"""Seconds after a turn's end in which an agent may still be drawing its end; a pause between two pictures."""
_PATIENCE = 3.0
"""Seconds that the screens of turns may take at the end of a run: the newest come first."""
_DRAWN = 1.5
"""Seconds from a turn's intake until its end has been drawn, and what was shown is on the disk."""
_FEW = 8
"""Turns whose ends are known while a run goes on, to tell their marks apart."""


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
    """Return what keeps a run's output, going on where another holder of the run left off.

    ``record`` is what the command line says about it, if it does, ``state`` as in
    :class:`~realm.terminal.recording.recorder.Recorder`.  What is left of other runs of
    the session goes.  Raises :class:`UsageError` when a setting is wrong.
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
    """What a run's output goes into on its way: the account of the terminal's modes, and the recording.

    ``size`` is rows and columns, ``directory`` where ``recorder`` writes; what is
    shown is played from there.  A run without a terminal (``tty`` false) has no screen.
    """

    def __init__(
        self, size: tuple[int, int], modes: Modes, recorder: Recorder, directory: Path, *, tty: bool
    ) -> None:
        self.modes = modes
        self.size = size
        """Rows and columns of the terminal that shows it, or showed it last."""
        self._tty, self._recorder, self._directory = tty, recorder, directory
        recorder.resize(*size)

    def hear(self, event: Event) -> None:
        """Take what the agent let hear, before the output that follows it."""
        marker = {Event.BEGUN: Marker.BEGUN, Event.ENDED: Marker.ENDED}.get(event)
        if marker is not None:
            self._recorder.mark(marker)

    def feed(self, data: bytes) -> None:
        """Record output, on the relay's path."""
        # Without a terminal nothing has turned line feeds into a screen's line ends.
        self._recorder.feed(data if self._tty else data.replace(b"\n", b"\r\n"))

    def keep(self, data: bytes) -> None:
        """Take output that no terminal takes account of."""
        self.modes.feed(data)
        self.feed(data)

    def flush(self) -> None:
        """Write all that came so far: others may read it, or go on with it."""
        self._recorder.flush()

    def resize(self, rows: int, columns: int) -> None:
        """Take account of a new size."""
        self.size = (rows, columns)
        self._recorder.resize(rows, columns)

    def doubt(self) -> None:
        """Take it that some output did not come."""
        self._recorder.mark(Marker.GAP)

    def text(self) -> str:
        """Return what a person would read."""
        self.flush()
        return text(self._directory, self.size) if self._tty else ""

    def below(self) -> int:
        """Return how many rows under the cursor nothing is written any more."""
        self.flush()
        return below(self._directory, self.size) if self._tty else 0

    def drawing(self, size: tuple[int, int] | None = None) -> bytes:
        """Return what draws the screen in a fresh terminal, of ``size`` if given, with its modes."""
        self.flush()
        return drawing(self._directory, size or self.size) if self._tty else b""


def discard(session_id: str) -> None:
    """Remove a session's recordings from realm's directory: the record has what is kept."""
    remove_tree(run_directory(session_id) / "recording")


class Screens(NamedTuple):
    """Screens of turns as files of a run's record, and the names of those that are incomplete."""

    files: Mapping[str, bytes] = {}
    incomplete: Sequence[str] = ()


class TurnScreens:
    """The screens of a run's turns while it goes on, each once its end has been drawn.

    ``directory`` is that of the recording, ``size`` rows and columns where that does not know.
    """

    def __init__(self, directory: Path, size: tuple[int, int]) -> None:
        self._directory, self._size = directory, size
        self._ends: dict[int, float] = {}
        self._due: dict[int, float] = {}

    def ended(self, turn: int, end: float) -> None:
        """Take it that a turn ended, at ``end`` in seconds since the epoch; it may do so again."""
        if turn > 0 and self._ends.get(turn) != end:
            self._ends[turn] = end
            self._due[turn] = time.monotonic() + _DRAWN
            for old in sorted(self._ends)[:-_FEW]:
                del self._ends[old]

    def wait(self) -> float | None:
        """Return the seconds until there is one to be had, ``None`` where none is to come."""
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    def drawn(self) -> Screens:
        """Return those that there are by now, each once; a turn whose mark was not heard has none."""
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

    ``files`` are those of the run itself, ``place`` the directory of its
    recording, ``size`` rows and columns where that does not know.  ``dropped`` is
    how many bytes of output were not kept, ``incomplete`` whether the last screen
    may lack some of them.
    """

    files: Mapping[str, bytes] = {}
    place: Path | None = None
    size: tuple[int, int] = (24, 80)
    dropped: int = 0
    incomplete: bool = False

    def of_turns(self, points: Iterable[Checkpoint], known: Container[int] = ()) -> Screens:
        """Return the turns' screens but those that are ``known``, and the names of incomplete ones.

        ``points`` are the states that the container reported; the last one is the
        run's end.  A turn whose mark was not heard has no screen, nor has an old
        one where there are more than can be played in a moment.
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
            if turn in known and turn != max(ends):  # that one may have ended once more
                continue
            screen = _played(self.place, self.size, moment)
            if screen is not None:
                found |= _named(turn, *screen[:2])
                names += [f"{_name(turn)}.screen"] if screen[2] else []
        return Screens(found, names)


def drawing_path(turn: int) -> str:
    """Return the name of a turn's drawing, in the run's directory of the record."""
    return f"{_name(turn)}.{SCREEN}"


def _name(turn: int) -> str:
    return f"{_TURNS}/{turn:04d}"


def _named(turn: int, text: bytes, drawing: bytes) -> dict[str, bytes]:
    return {f"{_name(turn)}.{TEXT}": text, drawing_path(turn): drawing}


def _ends(points: list[Checkpoint]) -> tuple[dict[int, float], int]:
    """Return when turns ended, and the number of the one that ended with the run, 0 if there is none."""
    ends: dict[int, float] = {}
    for point in points[:-1]:
        if point.turn > 0:
            ends.setdefault(point.turn, point.time)
    last = points[-1].turn if points else 0
    return ends, last if last not in ends else 0


def _moments(ends: Mapping[int, float], directory: Path, since: float = 0.0) -> dict[int, float]:
    """Return when each turn's end was on the screen: the first mark of its time that no earlier turn has.

    An agent still draws after it: its last quiet moment before the next turn
    counts.  A turn that was interrupted has no mark of its own: it ended when the
    next one began.  A mark can be forged: more than a wrong picture, in a record
    whose text is the agent's anyway, does not come of it.
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
    """Return the ends of turns, each with the time until which it counts, and the times of all output."""
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
    """Return the last moment from ``mark`` to ``until`` that was followed by a pause."""
    window = [mark, *times[bisect_right(times, mark) : bisect_right(times, until)], until]
    quiet = [before for before, after in itertools.pairwise(window) if after - before >= _STILL]
    return quiet[-1] if quiet else mark


def shown(
    directory: Path, size: tuple[int, int], config: Config, *, tty: bool = True, record: bool | None = None,
    title: str = "",
) -> Shown:  # fmt: skip
    """Return what goes into the record of a run: screens of one with a terminal, and the recording.

    ``size`` is the terminal's rows and columns where the recording does not know,
    ``record`` as in :func:`recorder`.  A setting that went wrong since the run began
    costs the recording, not the work.
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
    """Return the drawing of what a recording shows last, and whether it may lack something."""
    screen = _played(directory, size)
    return screen[1:] if screen else None


def text(directory: Path, size: tuple[int, int]) -> str:
    """Return what a person would read at a recording's end."""
    screen = _played(directory, size)
    return screen[0].decode() if screen else ""


def drawing(directory: Path, size: tuple[int, int]) -> bytes:
    """Return what draws a recording's last screen in a fresh terminal and switches its modes on.

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
    """Return how many rows under the cursor nothing is written any more on a recording's last screen."""
    from realm.terminal.recording.playback import play

    played = play(directory, size)
    if played is None or played.screen.alternate:
        return 0
    from realm.terminal.render import drawing as rendering

    return rendering.below(played.screen)


def _played(
    directory: Path, size: tuple[int, int], until: float = math.inf, *, ended: bool = False
) -> tuple[bytes, bytes, bool] | None:
    """Return text and drawing of a screen, and whether it may lack something; ``None`` of no output.

    Of a run that has ``ended`` it is what a person saw last of the program: one
    that left its alternate screen and said a few parting words is remembered by
    that screen, if there was anything on it.
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
