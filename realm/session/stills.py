"""What the terminal showed when each turn ended: kept while a run goes on, put into its record at its end.

The box marks the end of a turn in its output (:mod:`realm.terminal.relay.ears`).  What
the screen shows then, or at the last quiet moment of the second after it (an
agent still draws its prompt), is kept at once, as a file in
``recording/<run>/turns``: whoever holds the run next, or saves its work, finds it
there.  A file's name is the time of the mark in milliseconds since the epoch;
its first line is JSON, ``{"text": <bytes>, "incomplete": <true or false>}``, the
text follows, then the drawing.  A turn that was interrupted has no mark of its
own: it has ended when the next one begins.

When the run is over the box has said when which turn ended, and the stills get
the turns' numbers.  A mark can be forged: more than a wrong picture, in a record
whose text is the agent's anyway, does not come of it.  Without a mark (it was
lost in a flood, or nobody held the run) there is no picture; none is made up.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from realm.paths import make_private, replace
from realm.terminal.relay.ears import Sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from realm.model import Checkpoint
    from realm.terminal.emulator.screen import Screen, Taken

DIRECTORY = "turns"
SEEN = "seen.json"
"""What the screen has missed so far: ``{"dropped": <bytes>, "incomplete": <true or false>}``."""
MOST = 1000
"""Stills of a run that are kept, the newest."""
MOST_BYTES = 32 * 1024 * 1024
SETTLED = 1.0
"""Seconds after a turn's end in which an agent may still be drawing its end."""
EARLY, LATE = 1.0, 4.0
"""Seconds by which a mark may stand before or after the time that the box notes: whole seconds."""
_SUFFIX = ".still"
_ROWS = 4
"""Rows that are drawn at a time, beside a relay that must not wait."""
_TICKS = 1000
_HEAD = 200


class Album:
    """The stills in a directory, which is made when the first one comes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sizes = {path.name: path.stat().st_size for path in _files(directory)}

    def put(self, taken: Taken) -> None:
        """Keep what was shown at a moment, in place of what was kept for it; a full disk costs the still."""
        text, drawing = taken.picture.text().encode("utf-8", "replace"), taken.picture.ansi() + taken.cursor
        head = json.dumps({"text": len(text), "incomplete": taken.incomplete}).encode()
        content = b"\n".join((head, text + drawing))
        name = f"{int(taken.moment * _TICKS):016d}{_SUFFIX}"
        with contextlib.suppress(OSError):
            replace(make_private(self._directory) / name, content)
            self._sizes[name] = len(content)
            self._cut()

    def _cut(self) -> None:
        for name in sorted(self._sizes):
            if len(self._sizes) <= MOST and sum(self._sizes.values()) <= MOST_BYTES:
                return
            (self._directory / name).unlink(missing_ok=True)
            del self._sizes[name]


class Stills:
    """Takes stills of ``screen`` at the ends of turns, in time that nobody needs."""

    def __init__(self, screen: Screen, album: Album) -> None:
        self._screen, self._album = screen, album
        self._turning = False
        self._key = self._since = 0.0
        self._current: Taken | None = None

    def hear(self, sound: Sound) -> None:
        """Take what the agent let hear, between two pieces of its output."""
        if sound is Sound.RING:
            return
        if sound is Sound.ENDED or self._turning:
            self._key, self._since = time.time(), time.monotonic()
            self._screen.mark(self._key)
        if sound is Sound.BEGUN:
            self._key = 0.0
        self._turning = sound is Sound.BEGUN

    def work(self) -> bool:
        """Go on drawing, when the screen is up to date; return whether there is more to do."""
        if self._current is None:
            self._refresh()
            if not self._screen.taken:
                return False
            self._current = self._screen.taken.popleft()
        if self._current.picture.draw(_ROWS):
            return True
        self._album.put(self._current)
        self._current = None
        return bool(self._screen.taken)

    def _refresh(self) -> None:
        """Take the last turn's still anew while its end may not be drawn yet."""
        if self._key and time.monotonic() - self._since > SETTLED:
            self._key = 0.0
        if self._key:
            waiting = [taken for taken in self._screen.taken if taken.moment != self._key]
            self._screen.taken.clear()
            self._screen.taken.extend(waiting)
            self._screen.mark(self._key)
            self._screen.catch_up()

    def finish(self) -> None:
        """Draw all there is: another process may go on."""
        self._screen.catch_up()
        while self.work():
            pass


class Shown(NamedTuple):
    """What a run's terminal showed, for its record.

    ``files`` are those of the run itself, ``place`` the directory of its
    recording.  ``dropped`` is how many bytes of output no screen was made of,
    ``incomplete`` whether the last screen may lack some of them.
    """

    files: Mapping[str, bytes] = {}
    place: Path | None = None
    dropped: int = 0
    incomplete: bool = False

    def of_turns(self, points: Iterable[Checkpoint]) -> tuple[dict[str, bytes], list[str]]:
        """Return the turns' screens as files of the record, and the names of those that are incomplete.

        ``points`` are the states that the box reported; its last one is the
        run's end.
        """
        names = ["screen"] if self.incomplete and "screen.ans" in self.files else []
        found: dict[str, bytes] = {}
        ends, open_turn = _ends(list(points))
        for turn, path in _assign(ends, self.place).items():
            still = _read(path)
            if still is not None:
                text, drawing, incomplete = still
                found |= _named(turn, text, drawing)
                names += [f"{_name(turn)}.screen"] if incomplete else []
        if open_turn and "screen.ans" in self.files:
            found |= _named(open_turn, self.files["screen.txt"], self.files["screen.ans"])
            names += [f"{_name(open_turn)}.screen"] if self.incomplete else []
        return found, names


def drawing_path(turn: int) -> str:
    """Return the name of a turn's drawing, in the run's directory of the record."""
    return f"{_name(turn)}.screen.ans"


def _name(turn: int) -> str:
    return f"{DIRECTORY}/{turn:04d}"


def _named(turn: int, text: bytes, drawing: bytes) -> dict[str, bytes]:
    return {f"{_name(turn)}.screen.txt": text, drawing_path(turn): drawing}


def _ends(points: list[Checkpoint]) -> tuple[dict[int, float], int]:
    """Return when turns ended, and the number of the one that ended with the run, 0 if there is none."""
    ends: dict[int, float] = {}
    for point in points[:-1]:
        if point.turn > 0:
            ends.setdefault(point.turn, point.time)
    last = points[-1].turn if points else 0
    return dict(list(ends.items())[-MOST:]), last if last not in ends else 0


def _assign(ends: Mapping[int, float], place: Path | None) -> dict[int, Path]:
    """Give each turn the first still of its time that no earlier turn has."""
    files = [(int(path.stem) / _TICKS, path) for path in _files(place / DIRECTORY)] if place else []
    found: dict[int, Path] = {}
    next_ = 0
    for turn, end in sorted(ends.items()):
        while next_ < len(files) and files[next_][0] < end - EARLY:
            next_ += 1
        if next_ < len(files) and files[next_][0] <= end + LATE:
            found[turn] = files[next_][1]
            next_ += 1
    return found


def _files(directory: Path) -> list[Path]:
    """Return the stills in a directory, in order."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - half the time
    except OSError:
        return []
    return [directory / name for name in sorted(names) if name.endswith(_SUFFIX) and name[:-6].isdecimal()]


def _read(path: Path) -> tuple[bytes, bytes, bool] | None:
    """Return a still's text, drawing and whether it is incomplete; ``None`` when it is damaged."""
    try:
        head, _, rest = path.read_bytes().partition(b"\n")
        found = json.loads(head[:_HEAD])
        length = int(found["text"])
        return rest[:length], rest[length:], bool(found["incomplete"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


# What the screen has missed ------------------------------------------------------


def note_missed(place: Path, dropped: int, *, incomplete: bool) -> None:
    """Write down what the screen has missed so far, for whoever holds the run next."""
    content = json.dumps({"dropped": dropped, "incomplete": incomplete})
    with contextlib.suppress(OSError):
        replace(place / SEEN, content.encode())


def missed(place: Path) -> tuple[int, bool]:
    """Return what :func:`note_missed` wrote: bytes that no screen was made of, and whether it lacks them."""
    try:
        found = json.loads((place / SEEN).read_bytes()[:_HEAD])
        return max(0, int(found["dropped"])), bool(found["incomplete"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, False
