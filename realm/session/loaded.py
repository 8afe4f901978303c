"""Loading all of realm into memory, so that a run survives an upgrade or removal of the package.

Modules are imported, and files read, when they are first needed, which spares whoever starts
a run the time.  A holder, which may live for days, loads the rest soon after its start.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
import time
from contextlib import suppress

import realm
from realm.paths import shipped

DELAY = 3.0
"""Seconds after the start of a run in which somebody waits for it."""
_NOT_NEEDED = ("realm.cli", "realm.__main__")
_DIRECTORIES = ("container", "container/egress", "hooks/claude")
_loading = threading.Lock()
_loaded = threading.Event()


def load() -> None:
    """Import what a holder may come to need, and read realm's own files, unless that was done; wait for it.

    Of two threads that import a package and a part of it one is refused, which may be any: who cannot
    bear that has all of it loaded first.
    """
    with _loading:
        if _loaded.is_set():
            return
        for module in pkgutil.walk_packages(realm.__path__, "realm."):
            if not module.name.startswith(_NOT_NEEDED):
                with suppress(ImportError):  # it says so where it is needed
                    importlib.import_module(module.name)
        for name in _DIRECTORIES:
            shipped(name)
        _loaded.set()


def load_later() -> None:
    """Have all that a holder may come to need in memory, from a thread, once nobody waits any more."""

    def work() -> None:
        time.sleep(DELAY)
        load()

    threading.Thread(target=work, daemon=True).start()


def settled() -> threading.Lock:
    """Return a lock during which no module is being imported here: a fork would never see the end of that."""
    return _loading
