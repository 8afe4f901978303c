"""Prompts sent to a running agent: queued, and typed when it is at its prompt.

The holder types them, as a bracketed paste with Enter after it, and only where the screen
shows the agent's own empty field: never into a menu, never behind what somebody began to
write.  Questions are answered a key at a time, each where the screen shows what it is for.
Those that wait are in ``runs/<session id>/queue.json``: ``{"run": …, "prompts": [text, …]}``,
so that they outlive their holder.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

from realm.agents.base import Field
from realm.model import Activity
from realm.paths import replace
from realm.session import recordings
from realm.session.lock import run_directory
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realm.sandbox.stream import Attachment
    from realm.session.account import Account
    from realm.session.bookkeeper import Bookkeeper
    from realm.session.recordings import TerminalState
    from realm.session.run import Plan

LIMIT = 256 * 1024
"""Characters of a prompt."""
_MOST = 50
"""The most prompts in the queue."""
_FILE = "queue.json"
_WAITS = (Activity.READY, Activity.STUCK, Activity.DONE)
_STEP = 0.25
"""Seconds between two looks at the screen: each plays the end of the recording."""
_SUBMITTED = 5.0
"""Seconds until an agent gets the next prompt though it did not confirm the one before."""
_LONG = 20.0
"""Seconds after which a screen without an empty field is read only when it changes."""
_DROPPED = 3.0
"""Seconds after which an answer's key is pressed again if the screen has not changed."""


class Prompter:
    """Types prompts and answers for the agent of one run; ``stream`` returns the holder's current stream.

    ``interrupted`` is called when the user has ended a turn; ``paused`` returns why the agent can take
    nothing at all, usually nothing.
    """

    def __init__(
        self, plan: Plan, books: Bookkeeper, state: TerminalState, stream: Callable[[], Attachment],
        interrupted: Callable[[], object] = lambda: None, paused: Callable[[], str] = str,
    ) -> None:  # fmt: skip
        self._plan, self._books, self._state, self._stream = plan, books, state, stream
        self._interrupted, self._paused = interrupted, paused
        self._path = run_directory(plan.session.id) / _FILE
        self.queue = self._read()
        self._looked = self._given = self._since = 0.0
        self._turns = -1
        self._pressed = ("", 0.0)
        self._typed = b""
        self.renew()

    def renew(self) -> None:
        """Go on in another process, in which no thread of this one lives."""
        self._lock = threading.RLock()

    # -- who asks ----------------------------------------------------------------

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Handle a request from the control socket, and return the answer.

        It reads the screen, which takes a moment, so it runs in a thread.
        """
        if not self._plan.tty or self._plan.agent.paste("") is None:
            return _no("it takes prompts from its terminal only" if self._plan.tty else "it has no terminal")
        if why := self._paused():
            return _no(why)
        with self._lock:
            if request.get("op") == "answer":
                return self._choose(request.get("picks"), request.get("told"))
            return self._prompt(str(request.get("text", "")))

    def _prompt(self, text: str) -> dict[str, Any]:
        account = self._books.account
        if account.activity is Activity.ASKS:
            return _no(f"it asks: {account.question}", "answer")
        waits = account.activity in _WAITS and not account.paused and not self.queue
        field = self._field() if waits else Field.BUSY
        if field is Field.DRAFT:
            return _no("somebody has begun to write a prompt there")
        if field is Field.EMPTY and not self._typed:
            self._type(text)
            return {"ok": True, "turns": account.turns}
        if len(self.queue) >= _MOST:
            return _no(f"{_MOST} prompts wait already")
        self.queue.append(text)
        self._write()
        self._since = time.monotonic()
        return {"ok": True, "queued": len(self.queue)}

    def _choose(self, given: object, told: object) -> dict[str, Any]:
        account, picks = self._books.account, _picks(given)
        if account.paused:
            return _no(f"it is paused: {account.paused}")
        if account.activity is not Activity.ASKS:
            return _no("it asks nothing")
        if wrong := _wrong(account, picks, told):
            return _no(wrong, "answer")
        press = self._plan.agent.press(self._rows(), account.parts, picks)
        if press is None:
            return _no("its screen does not show that question", "again")  # not drawn yet, perhaps
        if not press.key:
            return _no("its screen shows other answers than these")
        state, since = self._pressed
        now = f"{account.told} {press.state}"
        if now != state or time.monotonic() - since > _DROPPED:
            self._pressed = (now, time.monotonic())
            self._push(press.key)
        return {"ok": True}

    # -- when nothing moves ------------------------------------------------------

    def idle(self, *, interrupted: bool = False) -> bool:
        """Type the next prompt if the agent waits for one; return whether to call again soon.

        ``interrupted`` means that the user pressed a key that ends a turn, which the agent does not report.
        """
        if not self._lock.acquire(blocking=False):
            return True  # a request is typing just now
        try:
            self._push()
            return self._give_next(interrupted=interrupted) or bool(self._typed)
        finally:
            self._lock.release()

    def _give_next(self, *, interrupted: bool) -> bool:
        now = time.monotonic()
        account = self._books.account
        waits = account.activity in _WAITS and bool(self.queue) and not account.paused
        given = account.turns == self._turns and now - self._given < _SUBMITTED
        if not (waits or interrupted) or now - self._looked < _STEP:
            return waits or interrupted
        if given:
            return True
        self._looked = now
        field = self._field()
        if interrupted and field in {Field.EMPTY, Field.DRAFT}:
            self._books.become(Activity.DONE)
            self._interrupted()
        if waits and field is Field.EMPTY:
            text = self.queue.pop(0)
            self._type(text)
            self._write()
            self._turns, self._given, self._since = account.turns, now, now
        return waits and now - self._since < _LONG

    def rest(self) -> str:
        """Return a sentence about prompts still queued when the run ends; empty if there are none."""
        if not self.queue:
            return ""
        first = clean(self.queue[0], limit=80)
        return f"{plural(len(self.queue), 'prompt')} still queued at the end was not sent, the first: {first}"

    # -- how it is done ----------------------------------------------------------

    def _rows(self) -> list[list[tuple[str, str]]]:
        """Return the screen's rows, each a list of texts with their renditions."""
        from realm.terminal.render.drawing import Drawing

        self._state.flush()
        place = recordings.place(self._plan.session.id, self._plan.run.number)
        shown = recordings.last_screen(place, self._state.size)
        return [[(run.text, run.codes) for run in row] for row in Drawing(shown[0]).rows] if shown else []

    def _field(self) -> Field:
        return self._plan.agent.field(self._rows())

    def _type(self, text: str) -> None:
        self._push(self._plan.agent.paste(clean(text, multiline=True, joined=True)) or b"")

    def _push(self, keys: bytes = b"") -> None:
        """Type keys after earlier ones that are still queued, as far as the sandbox takes them."""
        self._typed += keys
        try:
            while self._typed:
                self._typed = self._typed[self._stream().send(self._typed) :]
        except BlockingIOError:
            pass
        except OSError:  # the sandbox is gone, or its connection: whoever reads from it sees to that
            self._typed = b""

    def _read(self) -> list[str]:
        try:
            found = json.loads(self._path.read_bytes())
            prompts = found["prompts"] if found["run"] == self._plan.run.number else []
            return [str(text) for text in prompts][:_MOST]
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def _write(self) -> None:
        content = {"run": self._plan.run.number, "prompts": self.queue}
        with contextlib.suppress(OSError):
            replace(self._path, json.dumps(content).encode())


def _no(why: str, hint: str = "attach") -> dict[str, Any]:
    return {"ok": False, "why": why, "hint": hint}


def _picks(given: object) -> list[list[int]]:
    """Return the requested numbers by question; empty if they are malformed."""
    rows = given if isinstance(given, list) else []
    return [[n for n in row if type(n) is int] if isinstance(row, list) else [] for row in rows]


def _wrong(account: Account, picks: Sequence[Sequence[int]], told: object) -> str:
    """Return why ``picks`` do not answer the current question; empty if they do."""
    parts = account.parts
    if told != account.told:
        return "it is asking something else by now"
    if not parts:
        return f"cannot be answered by number: {account.question}"
    if len(picks) != len(parts):
        return f"it asks {plural(len(parts), 'question')}, and that is {plural(len(picks), 'answer')}"
    for part, picked in zip(parts, picks, strict=True):
        if not picked or not all(1 <= number <= len(part.options) for number in picked):
            return f"the answers of {part.text} are 1 to {len(part.options)}: {', '.join(part.options)}"
        if len(picked) > 1 and not part.several:
            return f"only one answer may be given to: {part.text}"
    return ""
