"""Keeps a run's account (:mod:`realm.session.account`) from the stream's marks and the hooks' messages."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.model import Activity, Question
from realm.sandbox import layout
from realm.session import account as accounts
from realm.session.account import Account
from realm.terminal.relay.events import Event
from realm.text import clean, first_line

if TYPE_CHECKING:
    from realm.agents.base import News
    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan

_TOLD_LIMIT = 4 * 1024 * 1024
"""Bytes of a hook's message that are read: a prompt may contain whole files."""
_TEXT, _LABEL = 200, 80
"""Characters kept of a question or an answer, and of one option."""
_FIRST_PROMPT = f"{layout.OUT}/turns/0001.prompt.json"
_PAUSE = 0.2
"""Seconds between two reads from the sandbox, which may send any number of marks."""


class Bookkeeper:
    """Keeps the account of one run for its holder.

    Marks in the stream take effect at once; the hook's message that comes with one is read from the sandbox
    in a thread, so that nobody waits for the engine.
    """

    def __init__(self, plan: Plan, sandbox: Sandbox) -> None:
        self._plan, self._sandbox = plan, sandbox
        found = accounts.read(plan.session.id)
        going_on = found is not None and found.run == plan.run.number
        # An agent without a screen, or an unknown one, counts as working from the start.
        waits = plan.tty and plan.agent.options is not None and plan.agent.wants_screen(plan.agent_args)
        fresh = Account(
            plan.run.number, Activity.READY if waits else Activity.WORKING, time.time(),
            prompt=first_line(plan.agent.prompt(plan.agent_args)),
        )  # fmt: skip
        self.account = found if found is not None and going_on else fresh
        self.renew()
        if going_on:
            self._look()  # a mark may have come while nobody held the run
        else:
            self._note(self.account)

    def renew(self) -> None:
        """Go on in another process, in which no thread of this one lives."""
        self._lock = threading.Lock()
        self._looking = self._again = False

    @property
    def looking(self) -> bool:
        """Whether a message is still being read, so that the account may change soon."""
        return self._looking

    def hear(self, event: Event) -> None:
        """Handle an event of the agent's output."""
        if event is Event.TOLD:
            self._look()
            return
        with self._lock:
            now = self.account.activity
            if event is Event.BEGUN:
                self._become(Activity.WORKING)
                self._note(self.account._replace(turns=self.account.turns + 1))
            elif event is Event.ENDED:
                self._become(Activity.DONE)
            elif now is Activity.WORKING:
                self._become(Activity.RANG)

    def become(self, activity: Activity) -> None:
        """Note a new activity of the agent's."""
        with self._lock:
            self._become(activity)

    def pause(self, why: str) -> None:
        """Note why the agent's container is paused; empty if it is not."""
        with self._lock:
            if self.account.paused != why:
                self._note(self.account._replace(paused=why, since=time.time()))

    def _become(self, activity: Activity) -> None:
        if self.account.activity is not activity:
            self._note(_changed(self.account, activity))

    def _note(self, account: Account) -> None:
        self.account = account
        accounts.write(self._plan.session.id, account)

    def _look(self) -> None:
        with self._lock:
            self._again = True
            if self._looking:
                return
            self._looking = True
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._again:
                    self._looking = False
                    return
                self._again = False
            with contextlib.suppress(RealmError, OSError):
                # Earlier states that came in quick succession are gone; the first prompt is kept longest.
                for path in ([] if self.account.prompt else [_FIRST_PROMPT]) + [layout.NOW]:
                    told = self._sandbox.read_file(path, _TOLD_LIMIT)
                    digest = hashlib.sha256(told or b"").hexdigest()
                    if told and digest != self.account.told and (news := self._plan.agent.news(told)):
                        self._take(news, digest)
            time.sleep(_PAUSE)

    def _take(self, news: News, told: str) -> None:
        with self._lock:
            account = _changed(self.account, news.activity)
            self._note(
                account._replace(
                    question=first_line(news.question, _TEXT),
                    parts=tuple(_part(part) for part in news.parts),
                    prompt=account.prompt or first_line(news.prompt),
                    words=first_line(news.words, _TEXT) or account.words,
                    conversation=news.conversation or account.conversation,
                    told=told,
                )
            )


def _part(part: Question) -> Question:
    labels = tuple(clean(label, limit=_LABEL) for label in part.options)
    return Question(clean(part.text, limit=_TEXT).strip(), labels, part.several)


def _changed(account: Account, activity: Activity) -> Account:
    """Return the account of an agent that does something else now, if it is something else."""
    if account.activity is activity:
        return account
    return account._replace(activity=activity, since=time.time(), question="", parts=())
