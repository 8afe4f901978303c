"""Holding a run, with a terminal or in the background, until the agent ends and its work is taken in.

One process at a time holds a run, in the foreground with a terminal or in the
background (:mod:`realm.session.background`).  Whoever holds it answers on the
run's control socket.
"""

from __future__ import annotations

import base64
import math
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from realm.config import DETACH_KEYS
from realm.errors import EngineError, RealmError
from realm.model import Activity
from realm.sandbox.sandbox import STOPPING
from realm.session import bounds, egress, lending, loaded, logins, recordings, reserve, uploads
from realm.session.bookkeeper import Bookkeeper
from realm.session.control import HandedOverError, StoppedError, answering
from realm.session.impatience import Impatience
from realm.session.keys import followed
from realm.session.live import Taker
from realm.session.notices import Attention, Caller, plain
from realm.session.prompts import Prompter
from realm.session.recordings import TerminalState
from realm.session.rewriting import rewriter
from realm.session.waker import Waker
from realm.terminal.ansi.modes import Modes
from realm.terminal.relay.events import Event, Observed, Scanner
from realm.terminal.relay.loop import drain, relay
from realm.terminal.relay.protocols import Ended, OutputError, Reason
from realm.terminal.relay.rewrite import Closing
from realm.terminal.relay.tty import Terminal
from realm.together import Begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.sandbox.stream import Attachment
    from realm.session.control import Call, Control
    from realm.session.lock import RunLock
    from realm.session.recordings import Shown
    from realm.session.requests import UI
    from realm.session.run import Plan
    from realm.terminal.relay.protocols import Stream
    from realm.terminal.relay.rewrite import Rewriter

_LAST = 2.0
"""Seconds to wait for the last output of a sandbox that has ended."""
_SETTLE = 2.0
"""Seconds after the end of its stream within which the engine knows that a sandbox has ended."""
_STEP = 0.02
_LEAST = 1.0
"""Seconds a stream must last to be rejoined: a program that closed its terminal has none."""
_AWAKE = 0.5
"""Seconds within which a key that stops the agent has done so."""
_INTERRUPTED = 3.0
"""Seconds within which the screen shows whether a key ended the turn."""
_TURNING = (Activity.WORKING, Activity.ASKS, Activity.RANG)
_GONE = {Reason.HANGUP, Reason.DETACHED, Reason.SUSPENDED}


class Holder:
    """Holds a run: its sandbox, its stream, its screen, and the lock that says so.

    ``drawing`` is the current screen, drawn for the user's terminal.
    """

    def __init__(
        self, engine: Engine, plan: Plan, sandbox: Sandbox, lock: RunLock, ui: UI, stream: Attachment,
        drawing: bytes = b"",
    ) -> None:  # fmt: skip
        self.engine, self.plan, self.sandbox = engine, plan, sandbox
        self.lock, self.ui, self.stream = lock, ui, stream
        sandbox.limit = bounds.results(plan.config)
        self.caller = Caller(plan.config, plan.session)
        self.notes: list[str] = []
        """Notes for the run's record besides those of the intake."""
        session_id, number, modes = plan.session.id, plan.run.number, Modes()
        modes.feed(drawing)
        self.drawing = drawing
        recorder = recordings.recorder(session_id, number, plan.config, record=plan.record, state=modes.redo)
        place = recordings.place(session_id, number)
        self.state = TerminalState(Terminal().size(), modes, recorder, place, tty=plan.tty)
        self.books = Bookkeeper(plan, sandbox)
        self._asked = self.books.account.told
        """The hook's message when the agent last asked, for which the user was notified."""
        self.taker = Taker(engine, plan, sandbox)
        self.prompts = Prompter(
            plan, self.books, self.state, lambda: self.stream, self.taker.interrupted, self._paused
        )
        self._joined = time.monotonic()
        self.waker = Waker(engine, sandbox)
        self._refusals: egress.Listener
        self._reserve: reserve.Reserve
        self._impatience = Impatience(sandbox)
        self._observed: Observed | None = None
        self._at_end: Callable[[], object] = self.caller.ended
        self._attended = False

    def hear(self, event: Event) -> None:
        """Handle an event of the agent's output."""
        self.books.hear(event)
        if event is not Event.TOLD:
            self.state.hear(event)
            self.caller.hear(event)

    # -- with a terminal, and without -----------------------------------------

    def attend(self, control: Control, *, begin: Callable[[], None] | None = None) -> Ended | None:
        """Connect the user's terminal to the sandbox until either ends.

        ``None`` when the run was handed over.  ``begin`` starts the sandbox; without it the sandbox is
        running.
        """
        attention = Attention(self.plan, self.state, self.caller, self._observe())
        self._at_end, self._attended = attention.ended, True
        loaded.load_later()
        return self._answering(
            lambda: self._relayed(attention, control, begin, self.drawing),
            again=lambda: self._relayed(attention, control, None, self.state.drawing()),
        )

    def _relayed(
        self, attention: Attention, control: Control, begin: Callable[[], None] | None, drawing: bytes
    ) -> Ended:
        plan = self.plan
        terminal = Terminal(tty=plan.tty, stdin=plan.stdin)
        terminal.modes = self.state.modes
        keys = plan.config.value(DETACH_KEYS) if plan.tty else ()
        sizes = _Sizes(self, redraw=begin is None)
        brought: list[str] = []

        def again() -> Stream | None:
            if not self.rejoin():
                return None
            sizes.redraw = True
            return attention.listen(self._observe())

        with (
            self._minding(control, attached=True) as watch,
            terminal.raw(self.state, title=_rewriter(self.plan, self.state.modes).title()),
        ):
            if begin is None:
                self.waker.wake()  # the previous holder may have left it stopped
            if drawing:
                terminal.draw(drawing)
            try:
                ended = relay(
                    attention.stream,
                    terminal,
                    tap=self.state.feed,
                    resize=sizes,
                    begin=self.taker.beginning(begin),
                    interrupt=self._interrupt,
                    idle=lambda: attention.idle() | self._idle(),
                    watch=watch,
                    alive=self.is_alive,
                    again=again,
                    detach=keys,
                    suspend=self._suspends if plan.tty else None,
                    stalled=self.waker.stalled,
                    paste=uploads.Uploads(self.sandbox, plan, brought.append) if plan.tty else None,
                )
            except HandedOverError:
                terminal.is_left = True
                raise
            except OutputError as error:
                self.notes.append(f"the agent was ended: {error.message}")
                ended = Ended(Reason.CLOSED, signal.SIGPIPE)
            terminal.is_left = is_left(ended)
        for text in brought:
            self.ui.info(text)
        return ended

    def drain(self, control: Control) -> Ended | None:
        """Take the sandbox's output until it ends; ``None`` when the run was handed over."""
        self.caller.leave()
        self._at_end, self._attended = self.caller.ended, False

        def drained() -> Ended:
            stream, tap = self._listening()
            with self._minding(control, attached=False) as watch:
                self.taker.start()
                return drain(
                    stream,
                    tap=tap,
                    idle=self._idle,
                    watch=watch,
                    alive=self.is_alive,
                    again=lambda: self._listening()[0] if self.rejoin() else None,
                    stalled=self.waker.wake,
                )

        return self._answering(drained, again=drained)

    @contextmanager
    def _minding(self, control: Control, *, attached: bool) -> Iterator[dict[int, Callable[[], bool]]]:
        """Handle everything besides the stream until the context ends; yield the descriptors to watch."""
        self._refusals = egress.Listener(self.engine, self.plan, self.sandbox)
        self._reserve = reserve.Reserve(
            self.engine,
            self.plan,
            self.sandbox,
            heard=self.state.heard,
            paused=bool(self.books.account.paused),
        )
        with (
            self.taker,
            logins.in_step(self.sandbox, self.plan, self.ui),
            followed(self.engine, self.plan, self.sandbox, self.ui, self._refusals.stale),
            lending.lent(self.engine, self.plan.ssh, self.sandbox.owner),
            self._refusals,
            self._reserve,
            self._impatience,
        ):
            yield {
                control.fileno(): answering(control, attached=attached, prompt=self.prompts.answer),
                self.taker.fileno(): self._told,
                self._reserve.fileno(): self._room,
                self._impatience.fileno(): self._impatience.end,
            }

    def _answering(self, hold: Callable[[], Ended], *, again: Callable[[], Ended]) -> Ended | None:
        """Run ``hold``, handle calls, continue with ``again``; ``None`` when the run was handed over."""
        while True:
            try:
                return hold()
            except StoppedError:
                self.plan = self.plan._replace(run=self.plan.run._replace(stopped=True))
                self.halt()
                return Ended(Reason.EOF)
            except HandedOverError as over:
                if self._give(over.call):
                    return None
                hold = again

    def _listening(self) -> tuple[Stream, Callable[[bytes], object]]:
        """Return the stream to drain and the function for its output, which may notify the user."""
        if self.stream.tty:
            return Observed(
                self.stream, self.hear, rewriter=_rewriter(self.plan, self.state.modes)
            ), self.state.keep
        scanner = Scanner(self.hear)

        def tap(data: bytes) -> None:
            scanner.feed(data)
            self.state.keep(data)

        return self.stream, tap

    def _observe(self) -> Observed:
        """Return the wrapper of the current stream, always the same one."""
        if self._observed is None or self._observed.stream is not self.stream:
            changes = _rewriter(self.plan, self.state.modes)
            self._observed = Observed(self.stream, self.hear, changes)
            self._observed.pressed = self._impatience.pressed
        return self._observed

    def _room(self) -> bool:
        """Report that the run was paused, or goes on; the user is called if they did not do that."""
        why = self._reserve.news()
        if why == reserve.FULL:
            self.notes.append("the run was paused: the engine's disk was nearly full (realm.diskReserve)")
            self.caller.paused()
        self.books.pause(why)
        return True

    def _paused(self) -> str:
        """Return that the user has paused the container; nothing where it goes on, or will by itself."""
        with suppress(EngineError):
            if not self._reserve.paused and self.engine.is_paused(self.sandbox.id):
                return f"its container is paused (docker unpause {self.sandbox.id[:12]})"
        return ""

    def _idle(self) -> bool:
        """Do deferred work; return whether there is more."""
        self.state.flush()
        for host in self._refusals.news():
            self.caller.refused(host)
        account = self.books.account
        if account.activity is Activity.ASKS and account.told != self._asked:
            self._asked = account.told
            self.caller.asks()
        ago = time.monotonic() - (self._observed.interrupted if self._observed else -math.inf)
        turning = account.activity in _TURNING
        return self.prompts.idle(interrupted=turning and ago < _INTERRUPTED) | self.books.looking

    def _told(self) -> bool:
        """Note that the hook of an agent without a terminal has reported something."""
        self.taker.drain()
        self.hear(Event.TOLD)
        return True

    def _give(self, call: Call) -> bool:
        """Hand stream and lock to the caller; return whether it took them."""
        size = call.size() or self.state.size
        self.state.flush()
        answer = {
            "ok": True,
            "confirms": True,
            "tty": self.stream.tty,
            "drawing": base64.b64encode(self.state.drawing(size)).decode(),
            "size": size,
            "ahead": base64.b64encode(self._observe().unread + self.stream.ahead()).decode(),
        }
        call.answer(answer, [self.stream.fileno(), self.lock.fileno()])
        taken = call.is_confirmed()
        call.close()
        return taken

    def _interrupt(self) -> None:
        """Pass on a Ctrl-C that came as a signal, without waiting."""

        def work() -> None:
            with suppress(EngineError):
                self.sandbox.signal(signal.SIGINT.name)

        threading.Thread(target=work, daemon=True).start()
        self._impatience.pressed()

    def _suspends(self) -> bool:
        """Tell whether Ctrl-Z returns to the user's shell.

        For other agents the key is passed on and they are continued.
        """
        if self.plan.agent.suspends_to_background:
            return True
        self.waker.wake(after=_AWAKE)
        return False

    # -- a connection that breaks ----------------------------------------------

    def is_alive(self) -> bool:
        """Return whether the sandbox may still produce output; if the engine does not answer, it may."""
        try:
            return self.sandbox.state() == "running"
        except EngineError:
            return True

    def rejoin(self) -> bool:
        """Attach again if the sandbox runs though its stream has ended; return whether that succeeded.

        The screen may lack what was output meanwhile.  The engine has as long to come back as a sandbox's end
        takes to become known.
        """
        began = time.monotonic()
        if began - self._joined < _LEAST:
            return False
        while time.monotonic() - began < _SETTLE:
            if not self.is_alive():
                return False
            time.sleep(_STEP)
        try:
            stream = self.sandbox.attach()
        except EngineError:
            return False  # the intake reports it
        self.stream.close()
        self.stream, self._joined = stream, time.monotonic()
        self.state.doubt()
        return True

    # -- its end ---------------------------------------------------------------

    def halt(self, *, interrupt: bool = True) -> None:
        """End the sandbox, and take its agent's last output."""
        problems: list[RealmError] = []
        gone = threading.Event()

        def work() -> None:
            try:
                self.sandbox.stop(interrupt=interrupt)
            except RealmError as error:
                problems.append(error)
            finally:
                gone.set()

        threading.Thread(target=work, daemon=True).start()
        stream, tap = self._listening()
        with suppress(RealmError):
            drain(stream, tap=tap, idle=self.state.flush, seconds=STOPPING + _LAST)
        gone.wait()
        if problems:
            with self._engine_may_go():
                raise problems[0]

    def conclude(self, how: Ended) -> int:
        """Take in the work of a run whose stream has ended; return the agent's exit code."""
        from realm.session import account, intake, sandboxes, summary

        number = _signal(how)
        if waiting := self.prompts.rest():
            self.notes.append(waiting)
        with self._engine_may_go():
            if number:
                self.halt(interrupt=False)
            # After Ctrl-C, do not wait for what the next command can also do.
            ended = Begun(self.sandbox.wait)
            settled = Begun(lambda: egress.settle(self.engine, self.sandbox))
            self.sandbox.prefetch()
            code = ended.result()
            settled.result()
            self.stream.close()
            code = 128 + number if number else code
            with self.ui.progress("saving the work"):
                swept = Begun(lambda: sandboxes.sweep(self.engine))
                outcome = intake.save(
                    self.engine, self.plan, self.sandbox, code, self._shown(), self.notes,
                    asked=bool(number), undone=self._attended,
                )  # fmt: skip
                swept.result()
        recordings.discard(self.plan.session.id)
        account.forget(self.plan.session.id)
        if self._attended and intake.take_back(self.plan, outcome):
            self.ui.info(
                f"nothing happened in {self.plan.session.name}: it was undone, and the name is free again"
            )
        else:
            summary.tell(self.plan, outcome, self.ui)
        self._at_end()
        return code

    def _shown(self) -> Shown:
        """Return the screens and the recording for the record."""
        self.state.flush()
        plan = self.plan
        place = recordings.place(plan.session.id, plan.run.number)
        title = f"{plan.session.name}, run {plan.run.number}"
        return recordings.shown(
            place, self.state.size, plan.config, tty=plan.tty, record=plan.record, title=title
        )

    @contextmanager
    def _engine_may_go(self) -> Iterator[None]:
        """Name where the work is if the engine cannot be reached; its own refusals are clear enough."""
        try:
            yield
        except EngineError as error:
            if error.kind != "unreachable":
                raise
            name = self.plan.session.name
            raise EngineError(
                f"{error.message}; the work of run {self.plan.run.number} of {name} "
                "is still in its container",
                f"{error.hint}; then realm attach {name} returns to the agent if it is still running, "
                f"realm stop {name} ends it and saves the work, realm resume {name} saves it and continues",
            ) from error


def is_left(ended: Ended) -> bool:
    """Tell whether the user has left a running agent, by the detach keys or with the terminal."""
    return ended.reason in _GONE or ended.signal == signal.SIGHUP


def _signal(ended: Ended) -> int:
    """Return the signal that ended a relay, 0 when the sandbox ended first."""
    ended_by = ended.reason in {Reason.SIGNAL, Reason.CLOSED}
    return (ended.signal or signal.SIGTERM) if ended_by else 0


def _rewriter(plan: Plan, modes: Modes) -> Rewriter:
    """Return the rewriter of the agent's output: for the window's title, and a command it leaves."""
    pattern = plan.agent.closing
    closing = None
    if pattern is not None:
        ours = f"realm resume {plain(plan.session.name)}"
        closing = Closing(pattern, ours.encode(), lambda: not modes.talking)
    return rewriter(plan.session.name, plan.config, closing)


class _Sizes:
    """Passes sizes on; with ``redraw`` the next one differs briefly, so that the program redraws."""

    def __init__(self, holder: Holder, *, redraw: bool) -> None:
        self._holder = holder
        self.redraw = redraw

    def __call__(self, rows: int, columns: int) -> None:
        """Tell the sandbox its size."""
        if self.redraw and self._holder.plan.tty:
            self._holder.sandbox.resize(max(1, rows - 1), columns)
        self.redraw = False
        self._holder.sandbox.resize(rows, columns)
        self._holder.state.resize(rows, columns)
