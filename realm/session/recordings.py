"""The recording of a run: kept in the run's directory while it goes on, in its record afterwards.

``runs/<session id>/recording/<run>/`` below realm's directory holds what the
program writes, as it comes (:mod:`realm.terminal.recording.recorder`).  At the end it
becomes files of the record: ``screen.txt`` and ``screen.ans``, what the terminal
showed last, ``turns/…``, what it showed at the end of each turn
(:mod:`realm.session.stills`), and ``session.cast``, all of it as an asciicast.  With
``realm.record`` off only as much is kept as a screen is made of, and no cast; a
file ``unrecorded`` says so to whoever holds the run next.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from realm.errors import UsageError
from realm.paths import make_private, remove_tree
from realm.sandbox.dockerargs import setting
from realm.session.lock import run_directory
from realm.session.stills import Shown, missed
from realm.terminal.recording import segments
from realm.terminal.recording.recorder import Recorder, chunks, losses
from realm.terminal.recording.segments import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realm.config import Config
    from realm.terminal.ansi.modes import Modes
    from realm.terminal.emulator.screen import Screen
    from realm.terminal.recording.cast import Moment

CAST = "session.cast"
SCREEN = "screen.ans"
SCREEN_BYTES = 160 * 1024
"""Output that a screen is made of: some full redraws of a large terminal, a quarter of a second's work."""
_ON, _OFF = {"on", "true", "yes", "1"}, {"off", "false", "no", "0", ""}
_SMALLEST = 64 * 1024
_UNRECORDED = "unrecorded"


def wanted(config: Config, record: bool | None = None) -> bool:
    """Tell whether runs are recorded: ``record`` is what the command line says, if it does.

    Raises :class:`UsageError` when the setting is neither on nor off.
    """
    if record is not None:
        return record
    text = config.get("record").strip().lower()
    if text not in _ON | _OFF:
        raise UsageError(f"realm.record is {text!r}", "git config realm.record on (or off)")
    return text in _ON


def limit(config: Config) -> int:
    """Return how many bytes of a run are recorded; :class:`UsageError` for an invalid size."""
    found = setting("recordLimit", config.get("recordLimit"))
    if found < _SMALLEST:
        raise UsageError(f"realm.recordLimit is {config.get('recordLimit')!r}", "64k is the least")
    return found


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

    ``record`` is as in :func:`wanted`, ``state`` as in
    :class:`~realm.terminal.recording.recorder.Recorder`.  What is left of other runs of
    the session goes.  Raises :class:`UsageError` when a setting is wrong.
    """
    on, most = wanted(config, record), limit(config)
    directory = place(session_id, run)
    for other in _others(directory):
        remove_tree(other)
    if not on:
        _mark(directory)
    return Recorder(directory, limit=2 * SCREEN_BYTES if _is_marked(directory) else most, state=state)


def _mark(directory: Path) -> None:
    """Note that the run is not to be recorded; where that cannot be written nothing can."""
    with contextlib.suppress(OSError):
        make_private(directory)
        (directory / _UNRECORDED).touch(mode=0o600)


def _is_marked(directory: Path) -> bool:
    return (directory / _UNRECORDED).exists()


def _others(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.parent.iterdir() if path != directory]
    except OSError:
        return []


def discard(session_id: str) -> None:
    """Remove a session's recordings from realm's directory: the record has what is kept."""
    remove_tree(run_directory(session_id) / "recording")


def shown(
    directory: Path, size: tuple[int, int], config: Config, *, record: bool | None = None, title: str = ""
) -> Shown:
    """Return what goes into the record of a run that lost its holder; nothing where nothing was shown.

    Arguments as for :func:`cast_file`.
    """
    found, incomplete = last_screen(directory, size, ended=True)
    if not found:
        return Shown()
    files = found | cast_file(directory, size, config, record=record, title=title)
    return Shown(files, directory, missed(directory)[0], incomplete)


def cast_file(
    directory: Path, size: tuple[int, int], config: Config, *, record: bool | None = None, title: str = ""
) -> dict[str, bytes]:
    """Return a recording as ``session.cast``; nothing when there is none, or none is wanted.

    ``size`` is the terminal's rows and columns where the recording does not
    know; ``record`` is as in :func:`wanted`.  A setting that went wrong since the
    run began costs the recording, not the work.
    """
    with contextlib.suppress(UsageError):
        if wanted(config, record) and (data := cast(directory, size, limit(config), title)):
            return {CAST: data}
    return {}


def last_screen(
    directory: Path, size: tuple[int, int], *, ended: bool = False
) -> tuple[dict[str, bytes], bool]:
    """Return what a recording shows last as ``screen.txt`` and ``screen.ans``; none of no output.

    Of a run that has ``ended`` it is what a person saw last of the program
    (:meth:`realm.terminal.emulator.screen.Screen.parting`).  The other value tells
    whether the screen may lack something of what came before.
    """
    screen = _replayed(directory, size)
    if screen is None:
        return {}, False
    text, drawing = screen.parting() if ended else (screen.text(), screen.ansi())
    return {"screen.txt": text.encode(), SCREEN: drawing}, screen.lost


def drawing(directory: Path, size: tuple[int, int]) -> bytes:
    """Return what draws a recording's last screen in a fresh terminal and switches its modes on.

    ``size`` is the terminal's rows and columns.  Empty when nothing was shown.
    """
    from realm.terminal.ansi.modes import Modes

    modes = Modes()
    modes.resize(size[0])
    screen = _replayed(directory, size, modes)
    if screen is None:
        return b""
    screen.resize(*size)
    return modes.redo(screen.ansi())


def _replayed(directory: Path, size: tuple[int, int], modes: Modes | None = None) -> Screen | None:
    """Return the screen at a recording's end, ``None`` when nothing was shown; ``modes`` take the same."""
    from realm.terminal.emulator.screen import Screen

    pieces = [piece for _, piece in chunks(directory, last=SCREEN_BYTES)]
    length = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
    if not length:
        return None
    screen = Screen(*size, limit=SCREEN_BYTES)
    if segments.end(directory) > length:
        screen.doubt()
    for piece in pieces:
        if isinstance(piece, bytes):
            screen.feed(piece)
            if modes is not None:
                modes.feed(piece)
        else:
            screen.resize(*piece)
            if modes is not None:
                modes.resize(piece[0])
    return screen


def cast(directory: Path, size: tuple[int, int], most: int, title: str = "") -> bytes:
    """Return a recording as an asciicast of at most about ``most`` bytes, the newest of it; none is empty.

    Of output that costs much work the oldest is left out (:mod:`realm.terminal.recording.effort`).
    """
    from realm.terminal.recording import cast as format_
    from realm.terminal.recording.effort import newest

    if _is_marked(directory):
        return b""
    events, left_out = newest(list(chunks(directory)))
    if not events:
        return b""
    begin, event = events[0]
    shape = event if isinstance(event, Size) else Size(*size)
    env = {name: os.environ[name] for name in ("TERM",) if os.environ.get(name)}
    lost = losses(directory)
    moments = format_.moments(events)
    if lost.stopped:
        moments = _noted(moments, "the recording ends here: the disk took no more")
    return format_.cut(format_.Header(shape, begin, title, env), moments, most, lost.dropped + left_out)


def _noted(moments: Iterator[Moment], note: str) -> Iterator[Moment]:
    """Yield ``moments`` and a marker at their end."""
    last = None
    for last in moments:
        yield last
    if last is not None:
        yield last._replace(code="m", data=note)
