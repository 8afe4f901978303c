"""Keeping the host's login and a box's copy of it in step while a run goes on."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from realm.agents import login as logins
from realm.errors import RealmError
from realm.paths import realm_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.agents.login import Login
    from realm.sandbox.box import Box
    from realm.session.ui import UI

BOX_PATH = "/realm/claude/.credentials.json"


class Match(Enum):
    """What became of the host's login: as it was, renewed, or kept from a box that offered another."""

    SAME = 1
    RENEWED = 2
    REFUSED = 3


INTERVAL = 20.0
"""Seconds between looks; tokens live for hours, so a renewal is rare."""


@contextmanager
def in_step(box: Box, login: Login, ui: UI) -> Iterator[None]:
    """Copy a login that either side renews to the other one until the context ends.

    Nothing happens for a run that uses keys of the environment.  ``ui`` is told
    at the end when the host's login was changed, or when the box's was refused.
    """
    if login.credentials is None:
        yield
        return
    stop = threading.Event()
    matched: set[Match] = set()
    thread = threading.Thread(target=_watch, args=(box, stop, matched), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)
        matched.add(match(box))
        _tell(matched, ui)


def _watch(box: Box, stop: threading.Event, matched: set[Match]) -> None:
    while not stop.wait(INTERVAL):
        matched.add(match(box))


def _tell(matched: set[Match], ui: UI) -> None:
    if Match.RENEWED in matched:
        ui.info(
            "Claude Code's login on this machine was renewed from the box; the one before is in "
            f"{realm_home() / logins.BEFORE}"
        )
    if Match.REFUSED in matched:
        ui.warn("the login in the box was changed to one that is no renewal of yours: it was not taken")


def match(box: Box) -> Match:
    """Copy the newer login over the older one, once; an engine that fails is asked again later."""
    try:
        inside = box.read_file(BOX_PATH, limit=logins.CREDENTIALS_LIMIT)
        outside = logins.read_host()
        if inside is not None and logins.newer(outside, inside):
            if not logins.may_be_taken(outside, inside):
                return Match.REFUSED
            return Match.RENEWED if logins.store_on_host(inside) else Match.SAME
        if outside is not None and logins.newer(inside, outside):
            box.write_file(BOX_PATH, outside, mode=0o600)
    except (RealmError, OSError):
        return Match.SAME
    return Match.SAME
