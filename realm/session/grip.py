"""What the holder of a run has in its hands, and what every holder does, with a terminal or without."""

from __future__ import annotations

import base64
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.terminal.relay.protocols import Ended, Reason
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.sandbox.box import Box
    from realm.sandbox.engine import Engine
    from realm.sandbox.stream import BoxStream
    from realm.session.begin import Started
    from realm.session.launch import Launch
    from realm.session.line import Call, Line
    from realm.session.lock import RunLock
    from realm.session.notices import Caller
    from realm.session.stills import Shown
    from realm.session.ui import UI
    from realm.session.view import View
    from realm.terminal.relay.ears import Sound

GRACE = 7.0
"""Seconds that an agent has to end after being told to terminate."""
PAUSE = 3.0
"""Seconds that it has before that, after an interrupt."""


class HandedOverError(Exception):
    """Somebody else asks for the run."""

    def __init__(self, call: Call) -> None:
        super().__init__("handed over")
        self.call = call


class StoppedError(Exception):
    """Somebody asks to stop the run."""


class Grip:
    """What the holder of a run has in its hands; no dataclass, whose making a user would wait for."""

    def __init__(
        self, engine: Engine, started: Started, launch: Launch, box: Box, lock: RunLock, view: View, ui: UI,
        stream: BoxStream, caller: Caller,
    ) -> None:  # fmt: skip
        self.engine, self.box, self.stream = engine, box, stream
        self.started, self.launch, self.lock = started, launch, lock
        self.view, self.ui, self.caller = view, ui, caller
        self.joined = time.monotonic()
        """When the stream was made, on the clock that never goes back."""

    def hear(self, sound: Sound) -> None:
        """Take what the agent let hear."""
        self.view.hear(sound)
        self.caller.hear(sound)


def take(
    engine: Engine, started: Started, launch: Launch, box: Box, lock: RunLock, ui: UI, stream: BoxStream,
    drawing: bytes = b"",
) -> Grip:  # fmt: skip
    """Take a run in hand; ``drawing`` is what it shows already.

    Raises :class:`UsageError` when a setting of the recording or of the bell is wrong.
    """
    from realm.session import recordings
    from realm.session.notices import Caller
    from realm.session.view import View
    from realm.terminal.relay.tty import Terminal

    caller = Caller(launch.config, started.session)
    view = View(Terminal().size(), tty=launch.tty)
    if drawing:
        view.keep(drawing)
    session, number = started.session, started.run.number
    view.record(
        recordings.recorder(session.id, number, launch.config, record=launch.record, state=view.modes.redo),
        recordings.place(session.id, number),
    )
    return Grip(engine, started, launch, box, lock, view, ui, stream, caller)


def answering(line: Line, *, attached: bool) -> Callable[[], bool]:
    """Return what answers a call: it raises what the holder has to do."""

    def answer() -> bool:
        call = line.take()
        if call is None:
            return True
        operation = call.request.get("op")
        if operation == "attach" and (call.request.get("take") or not attached):
            raise HandedOverError(call)
        if operation == "stop":
            call.answer({"ok": True})
            call.close()
            raise StoppedError
        call.answer({"ok": False, "why": "attached" if operation == "attach" else "unknown"})
        call.close()
        return True

    return answer


def give(grip: Grip, call: Call) -> bool:
    """Hand stream and lock to whoever called; return whether they were taken."""
    grip.view.flush()
    answer = {
        "ok": True,
        "tty": grip.stream.tty,
        "drawing": base64.b64encode(grip.view.drawing()).decode(),
        "ahead": base64.b64encode(grip.stream.ahead()).decode(),
    }
    call.answer(answer, [grip.stream.fileno(), grip.lock.fileno()])
    taken = call.confirmed()
    call.close()
    return taken


def end(box: Box) -> None:
    """End a box step by step: interrupt, terminate, kill, with time between."""
    box.signal(signal.SIGINT.name)
    deadline = time.monotonic() + PAUSE
    while time.monotonic() < deadline and box.state() == "running":
        time.sleep(0.1)
    box.stop(GRACE)


def halt(grip: Grip) -> None:
    """End the box of a run in hand."""
    with _engine_may_go(grip):
        end(grip.box)


def conclude(grip: Grip, ended: Ended) -> int:
    """Take in the work of a run whose relay has ended; return the exit code."""
    with _engine_may_go(grip):
        return _conclude(grip, ended)


@contextmanager
def _engine_may_go(grip: Grip) -> Iterator[None]:
    """Say where the work is when the engine cannot be reached any more; what it refuses says its own."""
    try:
        yield
    except EngineError as error:
        from realm.sandbox.engine import ApiError

        if isinstance(error, ApiError):
            raise
        name = grip.started.session.name
        raise EngineError(
            f"{error.message}; the work of run {grip.started.run.number} of {name} is still in its box",
            f"{error.hint}; then realm attach {name} goes back to the agent if it still runs, "
            f"realm stop {name} ends it and saves the work, realm resume {name} saves it and goes on",
        ) from error


def _conclude(grip: Grip, ended: Ended) -> int:
    from realm.session import boxes, recordings, salvage, summary

    number = _number(ended)
    code = _end_of_box(grip, stop=bool(number))
    grip.stream.close()
    code = 128 + number if number else code
    with grip.ui.progress("saving the work"):
        _, outcome = together(
            lambda: boxes.sweep(grip.engine),
            lambda: salvage.save(grip.engine, grip.started, grip.launch, grip.box, code, _shown(grip)),
        )
    recordings.discard(grip.started.session.id)
    summary.tell(grip.started, outcome, grip.ui)
    return code


def _end_of_box(grip: Grip, *, stop: bool) -> int:
    """End a box whose output has ended, or that is to ``stop``; return its exit code, its results at hand."""
    results = None if stop else grip.stream.results()
    told = grip.box.accept(results)
    if told is not None:
        return told
    # One that said that it was at its end has no more time than that.
    if stop or results is not None:
        grip.box.stop(GRACE)
    code: int = together(grip.box.wait, grip.box.prefetch)[0]
    return code


def _shown(grip: Grip) -> Shown:
    """Return the screens and the recording for the record."""
    from realm.session import recordings

    grip.view.flush()
    shown = grip.view.shown()
    session, number = grip.started.session, grip.started.run.number
    if not shown.files:
        return shown
    cast = recordings.cast_file(
        recordings.place(session.id, number),
        grip.view.size,
        grip.launch.config,
        record=grip.launch.record,
        title=f"{session.name}, run {number}",
    )
    return shown._replace(files={**shown.files, **cast})


def _number(ended: Ended) -> int:
    """Return the signal that stands for a relay's end, 0 when the box ended first."""
    if ended.reason is Reason.SIGNAL:
        return ended.signal or signal.SIGTERM
    return int(signal.SIGPIPE) if ended.reason is Reason.CLOSED else 0
