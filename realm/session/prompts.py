"""Prompts from elsewhere for the agent of a run: given when it is at its prompt, kept until then.

The holder types them, as a bracketed paste with Enter after it, and only where the screen
shows the agent's own empty field: never into a menu, never behind what somebody began to
write.  Those that wait are in ``runs/<session id>/queue.json``: ``{"run": …, "prompts": [text, …]}``,
so that they outlive their holder.
"""

from __future__ import annotations

import contextlib
import json
import select
import time
from typing import TYPE_CHECKING, Any

from realm.agents.base import Field
from realm.model import Activity
from realm.paths import replace
from realm.session import recordings
from realm.session.lock import run_directory
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.sandbox.stream import Attachment
    from realm.session.bookkeeper import Bookkeeper
    from realm.session.recordings import TerminalState
    from realm.session.run import Plan

LIMIT = 256 * 1024
"""Characters of a prompt."""
_MOST = 50
"""Prompts that may wait."""
_FILE = "queue.json"
_WAITS = (Activity.READY, Activity.DONE)
_STEP = 0.25
"""Seconds between two looks at the screen: each plays the end of the recording."""
_SUBMITTED = 5.0
"""Seconds until an agent that was given a prompt is given the next, though it did not say that it began."""
_LONG = 20.0
"""Seconds after which a screen that shows no empty field is only looked at when it changes."""
_PATIENCE = 5.0
"""Seconds that the sandbox may take to take what is typed."""


class Prompter:
    """What is given to the agent of one run for its holder; ``stream`` returns the one that is held now."""

    def __init__(
        self, plan: Plan, books: Bookkeeper, state: TerminalState, stream: Callable[[], Attachment]
    ) -> None:
        self._plan, self._books, self._state, self._stream = plan, books, state, stream
        self._path = run_directory(plan.session.id) / _FILE
        self.queue = self._read()
        self._looked = self._given = self._since = 0.0
        self._turns = -1

    # -- who asks ----------------------------------------------------------------

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what somebody asks over the control socket, and return what they are told."""
        number = request.get("answer")
        if not self._plan.tty or self._plan.agent.paste("") is None:
            return _no("it takes prompts from its terminal only" if self._plan.tty else "it has no terminal")
        return self._choose(number) if isinstance(number, int) else self._prompt(str(request.get("text", "")))

    def _prompt(self, text: str) -> dict[str, Any]:
        account = self._books.account
        if account.activity is Activity.ASKS:
            return _no(f"it asks: {account.question}", "answer")
        field = self._field() if account.activity in _WAITS and not self.queue else Field.BUSY
        if field is Field.DRAFT:
            return _no("somebody has begun to write a prompt there")
        if field is Field.EMPTY:
            self._type(text)
            return {"ok": True, "turns": account.turns}
        if len(self.queue) >= _MOST:
            return _no(f"{_MOST} prompts wait already")
        self.queue.append(text)
        self._write()
        self._since = time.monotonic()
        return {"ok": True, "queued": len(self.queue)}

    def _choose(self, number: int) -> dict[str, Any]:
        account = self._books.account
        if account.activity is not Activity.ASKS:
            return _no("it asks nothing")
        if not account.options:
            return _no(f"no number answers: {account.question}")
        if not 1 <= number <= len(account.options):
            return _no(f"the answers are 1 to {len(account.options)}: {', '.join(account.options)}")
        label = account.options[number - 1]
        if not self._plan.agent.offers(self._rows(), number, label):
            return _no("its screen does not show that question", "again")  # not drawn yet, perhaps
        self._stream_all(self._plan.agent.choose(number))
        return {"ok": True, "told": account.told, "chosen": label}

    # -- when nothing moves ------------------------------------------------------

    def idle(self, *, interrupted: bool = False) -> bool:
        """Give the next prompt if the agent waits for one; return whether to be called again soon.

        ``interrupted``: the user pressed a key that ends a turn of which the agent then says nothing.
        """
        now = time.monotonic()
        account = self._books.account
        waits = account.activity in _WAITS and bool(self.queue)
        given = account.turns == self._turns and now - self._given < _SUBMITTED
        if not (waits or interrupted) or now - self._looked < _STEP:
            return waits or interrupted
        if given:
            return True
        self._looked = now
        field = self._field()
        if interrupted and field in {Field.EMPTY, Field.DRAFT}:
            self._books.become(Activity.DONE)
        if waits and field is Field.EMPTY:
            text = self.queue.pop(0)
            self._type(text)
            self._write()
            self._turns, self._given, self._since = account.turns, now, now
        return waits and now - self._since < _LONG

    def rest(self) -> str:
        """Return a sentence about what was not given when the run ends; empty where nothing waits."""
        if not self.queue:
            return ""
        first = clean(self.queue[0], limit=80)
        return f"{plural(len(self.queue), 'prompt')} that waited came too late, the first: {first}"

    # -- how it is done ----------------------------------------------------------

    def _rows(self) -> list[list[tuple[str, str]]]:
        """Return what the screen shows: rows of texts with their renditions."""
        from realm.terminal.render.drawing import Drawing

        self._state.flush()
        place = recordings.place(self._plan.session.id, self._plan.run.number)
        shown = recordings.last_screen(place, self._state.size)
        return [[(run.text, run.codes) for run in row] for row in Drawing(shown[0]).rows] if shown else []

    def _field(self) -> Field:
        return self._plan.agent.field(self._rows())

    def _type(self, text: str) -> None:
        self._stream_all(self._plan.agent.paste(clean(text, multiline=True)) or b"")

    def _stream_all(self, keys: bytes) -> None:
        deadline = time.monotonic() + _PATIENCE
        stream = self._stream()
        while keys and time.monotonic() < deadline:
            select.select([], [stream.fileno()], [], _PATIENCE)
            with contextlib.suppress(BlockingIOError):
                keys = keys[stream.send(keys) :]

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
