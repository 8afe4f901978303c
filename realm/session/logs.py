"""What an agent printed, as plain text: while it runs, or from its record."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.session import recordings
from realm.session.find import find
from realm.session.lock import holder
from realm.store import record
from realm.terminal.recording.recorder import chunks, losses
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realm.model import Project, Session

PERIOD = 0.3
"""Seconds between two looks at a recording that grows."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])"
)
_SIDEWAYS = re.compile(r"\x1b\[[0-9;]*[CDGHdf]")
_LINE_ENDS = re.compile(rb"(\n)|\x1b\[(\d*)(?:;\d*)?([ABEFHdf])|\x1b[DEM]")
_ABSOLUTE = b"Hdf"
_OVERWRITTEN = re.compile(r"^.*\r(?=\x1b\[[02]?K|[^\x1b\r])", re.DOTALL)
_OPEN_LIMIT = 1 << 20
"""Bytes that may wait for the end of their line."""
_SHORTEST = 3
_REMEMBERED = 500


class Plain:
    """Makes readable lines of what came from a program, piece by piece.

    A program that draws on its screen ends no lines: there a line ends where the
    cursor goes to another row.  Such programs draw the same again and again and
    let single signs turn: what was written lately, and what is no word, is left out.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._row = b""
        self._drawing = False
        self._drawn: dict[str, None] = {}

    def feed(self, data: bytes) -> str:
        """Return the lines that are complete now."""
        data, self._rest = self._rest + data, b""
        begin, found = 0, []
        for end in _LINE_ENDS.finditer(data):
            if not self._stays(end):
                self._drawing = end[1] is None
                found.append(self._line(data[begin : end.start()]))
                begin = end.end()
        self._rest = data[begin:]
        if len(self._rest) > _OPEN_LIMIT:
            found.append(self.end())
        return "".join(found)

    def end(self) -> str:
        """Return what is left, as a last line."""
        rest, self._rest = self._rest, b""
        return self._line(rest) if plain(rest) else ""

    def _stays(self, move: re.Match[bytes]) -> bool:
        """Tell whether the cursor was in that row already, and note where it is."""
        kind = move[3] or b""
        row, before = (move[2] or b"1") if kind and kind in _ABSOLUTE else b"", self._row
        self._row = row
        return bool(row) and row == before

    def _line(self, line: bytes) -> str:
        text = plain(line)
        if not self._drawing:
            return f"{text}\n"
        key = text.strip()
        if len(key) < _SHORTEST or not any(char.isalnum() for char in key) or key in self._drawn:
            return ""
        self._drawn[key] = None
        if len(self._drawn) > _REMEMBERED:
            del self._drawn[next(iter(self._drawn))]
        return f"{text}\n"


def plain(line: bytes) -> str:
    """Return a line as a person would read it: what moves the cursor is a blank, colours are nothing."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    text = _OVERWRITTEN.sub("", text)
    return clean(_ESCAPES.sub("", _SIDEWAYS.sub(" ", text))).rstrip()


def logs(name: str, directory: Path | None, write: Callable[[str], object], *, follow: bool = False) -> None:
    """Write what the session's last run printed; with ``follow``, go on until it ends.

    Full-screen programs print pictures, not lines: ``realm screen`` shows them
    better.  Raises :class:`RealmError` when nothing was kept.
    """
    project = find(name, directory)
    session = record.read_session(project, name)
    runs = record.read_runs(project, name)
    number = runs[-1].number if runs else 1
    place = recordings.place(session.id, number)
    lines = Plain()
    if holder(session.id) is None and not place.is_dir():
        write(lines.feed(_recorded(project, session, number)) + lines.end())
        return
    for data in _live(place, session, follow=follow):
        write(lines.feed(data))
    write(lines.end())


def _recorded(project: Project, session: Session, number: int) -> bytes:
    """Return the output that a run's record holds."""
    from realm.terminal.recording import cast

    path = f"runs/{number:04d}/{recordings.CAST}"
    found = record.read_file(project, session.name, path)
    if found is None:
        raise RealmError(
            f"run {number} of {session.name} has no recording: only output on a terminal is kept",
            f"git show refs/realm-meta/{session.name}:runs/{number:04d}/run.json",
        )
    _, moments = cast.read(found, path)
    return "".join(moment.data for moment in moments if moment.code == "o").encode("utf-8", "replace")


def _live(place: Path, session: Session, *, follow: bool) -> Iterator[bytes]:
    """Yield a recording's output, and what is added to it while somebody holds the run."""
    seen = 0
    while True:
        going_on = follow and holder(session.id) is not None
        whole = [piece for _, piece in chunks(place) if isinstance(piece, bytes)]
        # What is shown is counted from the run's beginning: the oldest output may be gone by now.
        at = losses(place).dropped
        for piece in whole:
            if at + len(piece) > seen:
                yield piece[max(0, seen - at) :]
            at += len(piece)
        seen = max(seen, at)
        if not going_on:
            return
        time.sleep(PERIOD)
