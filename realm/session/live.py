"""Takes in turns during a run, in a child process of the holder, so that the terminal never waits.

The child runs a command in the sandbox that prints a number for each hand-over at the end of a turn
(``container/turns``), fetches that and takes it into git.  Anything in the sandbox can print there too, so a
number only means that there may be something to fetch.

The child shares the run's lock with its holder and ends with it: when told so, as the holder hands the run
over or takes in the end; at once, when the holder was killed.  Wherever that interrupts it, the next holder
continues from the state in git.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Self

from realm.errors import EngineError, RealmError, RejectedError
from realm.paths import make_private, scratched
from realm.sandbox.report import NOTHING
from realm.session import loaded, recordings
from realm.session.lock import run_directory
from realm.terminal.relay.tty import FALLBACK

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.sandbox.docker import Engine
    from realm.sandbox.report import Report
    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan

LOG = "holder.log"
_GO, _SOON, _STOP, _INTERRUPTED = b"g", b"s", b".", b"i"
_TOLD = b"told"
"""The line that announces a hook's message in a sandbox without a terminal."""
_PATIENCE = 5.0
"""Seconds that the child may take to finish its work when it is to end."""
_DELAY = 1.0
"""Seconds after a sandbox's start before it is queried: no turn ends so soon, and the user is waiting."""
_LOOK = 1.0
"""Seconds between two checks of the recording's length."""
_BREATH = 0.2
"""Seconds after a turn's end within which a finished run ends; then the end takes in everything."""
_AGAIN, _LATER, _LATEST = 2.0, 20.0, 300.0
"""Seconds until the next try when the sandbox's output ends, doubled each time.

The second is the limit after an error, a full disk say; the last is used when there was none.
"""
_MOST, _MOST_BYTES = 10_000, 8 * 1024**3
"""Number of hand-overs and their bytes taken in during a run; the rest is left for its end."""
_SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGWINCH", "SIGCONT", "SIGTSTP")


class Taker:
    """Takes in the turns of a running run; a context manager that ends it.

    Enter it before the holder starts threads: a child forked while another thread imports something would
    wait for that for ever.  :meth:`start` begins the work, once the sandbox runs.  For an agent that does not
    report its turns, the workspace is taken in whenever it has been quiet for some seconds.
    """

    def __init__(self, engine: Engine, plan: Plan, sandbox: Sandbox) -> None:
        self._engine, self._plan, self._sandbox = engine, plan, sandbox
        self._child = 0
        self._pipe = -1
        self._told = (-1, -1)

    def __enter__(self) -> Self:
        self._told = os.pipe()
        for end in self._told:
            os.set_blocking(end, False)
        self._fork()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for end in self._told:
            os.close(end)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a hook has left a message in the sandbox."""
        return self._told[0]

    def drain(self) -> None:
        """Read the notice of that message."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._told[0], 4096)

    def beginning(self, begin: Callable[[], None] | None) -> Callable[[], None] | None:
        """Return a function that starts the sandbox and then this; without ``begin``, start now."""
        if begin is None:
            self.start()
            return None

        def both() -> None:
            begin()
            self._say(_SOON)

        return both

    def start(self) -> None:
        """Tell the child to begin."""
        self._say(_GO)

    def _fork(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        read, write = os.pipe()
        with loaded.settled():
            self._child = os.fork()
        if self._child == 0:
            os.close(write)
            _Child(self._engine, self._plan, self._sandbox, read, self._told[1]).run()
        os.close(read)
        self._pipe = write

    def interrupted(self) -> None:
        """Note that the user interrupted a turn, for which the agent has no hook."""
        self._say(_INTERRUPTED)

    def _say(self, word: bytes) -> None:
        if self._child:
            with contextlib.suppress(OSError):
                os.write(self._pipe, word)

    def stop(self) -> None:
        """End the child, after its current work unless that takes too long."""
        if self._child == 0:
            return
        self._say(_STOP)
        os.close(self._pipe)
        deadline = time.monotonic() + _PATIENCE
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self._child, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    os.kill(self._child, signal.SIGKILL)
                    os.waitpid(self._child, 0)
                    break
                time.sleep(0.005)
        self._child, self._pipe = 0, -1


class _Child:
    """The child's own life; it never returns."""

    def __init__(self, engine: Engine, plan: Plan, sandbox: Sandbox, pipe: int, told: int = -1) -> None:
        self._engine, self._plan, self._sandbox = engine, plan, sandbox
        self._pipe, self._told = pipe, told
        self._busy = threading.Lock()
        place = recordings.place(plan.session.id, plan.run.number)
        self._screens = recordings.TurnScreens(place, FALLBACK)
        self._next = 1
        self._brought = 0
        self._missed: list[str] = []
        self._untold = NOTHING

    def run(self) -> None:
        """Take in turns from the command to begin until the command to end."""
        try:
            self._leave_the_holder()
            word = os.read(self._pipe, 1)
            if word not in (_GO, _SOON):
                os._exit(0)
            threading.Thread(target=self._mind_the_holder, daemon=True).start()
            time.sleep(_DELAY if word == _SOON else 0)
            self._engine.renew()
            loaded.load_later()
            threading.Thread(target=self._keep_screens, daemon=True).start()
            threading.Thread(target=self._keep_within_the_budget, daemon=True).start()
            self._take_turns()
        except BaseException:  # noqa: BLE001 - the last place where it can be said
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            # What fails now is taken in at the run's end.
            with contextlib.suppress(BaseException):
                threading.Event().wait()
            os._exit(1)

    def _leave_the_holder(self) -> None:
        """Detach from the terminal, its signals, and the holder's handlers for them."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for name in _SIGNALS:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        place = make_private(run_directory(self._plan.session.id)) / LOG
        written = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for target, source in ((0, nothing), (1, nothing), (2, written)):
            os.dup2(source, target)

    def _mind_the_holder(self) -> None:
        """End with the holder: at once when it is gone, after the current work when it says so."""
        while (word := os.read(self._pipe, 1)) == _INTERRUPTED:
            threading.Thread(target=self._end_turn, daemon=True).start()
        if word == _STOP:
            self._busy.acquire()
        os._exit(0)

    def _end_turn(self) -> None:
        with contextlib.suppress(EngineError):
            self._sandbox.end_turn()

    def _keep_screens(self) -> None:
        """Make a keyframe of the screen now and then, in at most a twentieth of the time."""
        from realm.terminal.recording import playback, segments

        place = recordings.place(self._plan.session.id, self._plan.run.number)
        seen = 0
        while self._plan.tty:
            time.sleep(_LOOK)
            grown = sum(segments.length_of(path) for path in segments.paths(place)[-2:])
            if abs(grown - seen) < playback.KEEP_EVERY:
                continue
            began = time.monotonic()
            with contextlib.suppress(OSError):
                if playback.keep(place, FALLBACK):
                    seen = grown
            time.sleep(20 * (time.monotonic() - began))

    def _keep_within_the_budget(self) -> None:
        from realm.session import budget

        budget.watch(self._plan, self._sandbox)

    def _take_turns(self) -> None:
        self._go_on()
        pause = _AGAIN
        said = ""
        while not self._is_enough():
            before, latest = self._next, _LATEST
            try:
                if self._sandbox.state() == "running":
                    self._follow()
            except EngineError:
                pass  # it may be there again later
            except (RealmError, OSError) as error:
                latest = _LATER
                if str(error) != said:
                    traceback.print_exc()
                    sys.stderr.flush()
                said = str(error)
                with contextlib.suppress(RealmError, OSError):
                    self._go_on()
            # Sandboxes of earlier versions do not have this command.
            pause = _AGAIN if self._next > before else min(2 * pause, latest)
            time.sleep(pause)
        sys.stderr.write("more was handed over than is taken in during a run\n")
        sys.stderr.flush()

    def _go_on(self) -> None:
        """Continue from the state in git, which may lack the last turn's screen."""
        from realm.store import record

        number = self._plan.run.number
        with record.Record(self._plan.project, self._plan.name) as found:
            taken = found.run(number).taken
            if taken is not None and self._plan.tty and taken.turn not in found.screens(number):
                self._screens.ended(taken.turn, taken.ended)
        self._next = (taken.number if taken else 0) + 1

    def _is_enough(self) -> bool:
        """Tell whether a sandbox has handed over so much that it may be trying to fill the disk."""
        return self._next > _MOST or self._brought > _MOST_BYTES

    def _follow(self) -> None:
        """Take in hand-overs as long as the sandbox announces them."""
        quiet = not self._plan.agent.tells_turns
        with self._sandbox.watch(self._next, quiet=quiet) as lines:
            while (heard := lines.read(self._screens.wait())) is not None:
                self._keep_drawn()
                if _TOLD in heard:
                    with contextlib.suppress(BlockingIOError):
                        os.write(self._told, _TOLD[:1])
                    heard = [line for line in heard if line != _TOLD]
                if heard and lines.read(_BREATH) is None:
                    return
                while heard and self._take(self._next):
                    self._next += 1
                    if self._is_enough():
                        return

    def _take(self, number: int) -> bool:
        """Take in a turn, then pause as long as that took; return whether there was one."""
        loaded.load()
        began = time.monotonic()
        with self._busy, scratched("turn") as directory:
            try:
                report = self._sandbox.handed_over(number, directory)
                if report is not None:
                    self._brought += sum(path.lstat().st_size for path in directory.iterdir())
                    self._take_in(report, number)
            except RejectedError as refused:
                report = NOTHING
                self._leave(refused)
        # Without a pause, a sandbox could keep announcing turns that do not exist.
        time.sleep(time.monotonic() - began if report is not None else _BREATH)
        return report is not None

    def _take_in(self, report: Report, number: int) -> None:
        from realm.session import take

        self._untold = report = report._replace(
            prompts={**self._untold.prompts, **report.prompts},
            stops={**self._untold.stops, **report.stops},
        )
        outcome = take.take(self._plan, report, self._missed, number=number)
        self._missed, self._untold = [], NOTHING
        if outcome.is_partial:
            self._sandbox.ask_for_all()
        for point in report.points if self._plan.tty else ():
            self._screens.ended(point.turn, point.time)

    def _leave(self, refused: RejectedError) -> None:
        """Leave a refused hand-over to the next one, which includes it."""
        self._missed = [f"what a turn handed over was refused, and came in later: {refused.message}"]
        with contextlib.suppress(EngineError):
            self._sandbox.ask_for_all()

    def _keep_drawn(self) -> None:
        """Add the turns' screens drawn by now to the record."""
        from realm.session import take

        if self._screens.wait() == 0:
            with self._busy:
                screens = self._screens.drawn()
                if screens.files:
                    take.take(self._plan, NOTHING, screens=screens)
