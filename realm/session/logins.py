"""Keeping the host's login and a box's copy of it in step while a run goes on."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.agent import login as logins
from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.agent.login import Login
    from realm.box.container import Box
    from realm.box.engine import Engine

BOX_PATH = "/realm/claude/.credentials.json"

INTERVAL = 20.0
"""Seconds between looks; tokens live for hours, so a renewal is rare."""


@contextmanager
def in_step(engine: Engine, box: Box, login: Login) -> Iterator[None]:
    """Copy a login that either side renews to the other one until the context ends.

    Nothing happens for a run that uses keys of the environment.
    """
    if login.credentials is None:
        yield
        return
    stop = threading.Event()
    # A connection of its own: the engine's client is not made for two threads.
    thread = threading.Thread(target=_watch, args=(box.reconnected(engine.clone()), stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)
        match(box)


def _watch(box: Box, stop: threading.Event) -> None:
    while not stop.wait(INTERVAL):
        match(box)


def match(box: Box) -> None:
    """Copy the newer login over the older one, once; an engine that fails is asked again later."""
    try:
        inside = box.read_file(BOX_PATH, limit=logins.CREDENTIALS_LIMIT)
        outside = logins.read_host()
        if inside is not None and logins.newer(outside, inside):
            logins.store_on_host(inside)
        elif outside is not None and logins.newer(inside, outside):
            box.write_file(BOX_PATH, outside, mode=0o600)
    except (RealmError, OSError):
        return
