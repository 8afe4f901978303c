"""Keeps the host's login and a sandbox's copy of it in sync during a run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.agents import BEFORE, Match
from realm.errors import RealmError
from realm.paths import realm_home
from realm.sandbox.layout import STATE
from realm.session import keys
from realm.together import Beside

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from realm.agents import Agent
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI
    from realm.session.run import Plan

INTERVAL = 20.0
"""Seconds between looks; tokens live for hours, so a renewal is rare."""
_PATIENCE = 3.0
"""Seconds that the end of a run waits for another process that renews the host's login."""


@contextmanager
def in_step(sandbox: Sandbox, plan: Plan, ui: UI) -> Iterator[None]:
    """Copy a login that either side renews to the other until the context ends.

    Does nothing for a run with keys from the environment, or without a login inside.  ``ui`` is told at the
    end if the host's login was changed, or the sandbox's refused.
    """
    agent = plan.agent
    if plan.login.credentials is None or agent.credentials is None or plan.api is not None:
        yield
        return
    path = f"{STATE}/{agent.credentials}"
    matched: set[Match] = set()

    def watch(stop: threading.Event) -> None:
        while not stop.wait(INTERVAL):
            matched.add(match(sandbox, agent, path))

    beside = Beside(watch)
    try:
        yield
    finally:
        beside.end(5)
        matched.add(match(sandbox, agent, path, _PATIENCE))
        _tell(agent, matched, ui)


def _tell(agent: Agent, matched: set[Match], ui: UI) -> None:
    if Match.RENEWED in matched:
        ui.info(
            f"{agent.name}'s login on this machine was renewed from the container; the one before is in "
            f"{realm_home() / BEFORE}"
        )
    if Match.REFUSED in matched:
        ui.warn("the login in the container was replaced by one that does not renew yours: it was ignored")


def match(sandbox: Sandbox, agent: Agent, path: str, patience: float = 0) -> Match:
    """Copy the newer login over the older one, once; after an engine's error the next call tries again.

    So it does when another process changes the host's login for more than ``patience`` seconds.
    """
    try:
        inside = sandbox.read_file(path, limit=agent.credentials_limit)
        with keys.renewing(patience):
            renewal = agent.renew(inside or b"")
        if renewal.inside is not None:
            sandbox.write_file(path, renewal.inside, mode=0o600)
    except (RealmError, OSError):
        return Match.SAME
    return renewal.match
