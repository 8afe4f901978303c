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
"""Seconds after a run's start during which the user is waiting."""
_NOT_NEEDED = ("realm.cli", "realm.__main__")
_DIRECTORIES = ("container", "container/egress", "hooks/claude")
_loading = threading.Lock()
_loaded = threading.Event()


def load() -> None:
    """Import everything that a holder may need, and read realm's own files, once; wait for it.

    When two threads import a package and one of its parts, either import may be refused: a caller that cannot
    handle this waits for this function first.
    """
    with _loading:
        if _loaded.is_set():
            return
        for module in pkgutil.walk_packages(realm.__path__, "realm."):
            if not module.name.startswith(_NOT_NEEDED):
                with suppress(ImportError):  # the error will come up where it is needed
                    importlib.import_module(module.name)
        for name in _DIRECTORIES:
            shipped(name)
        _loaded.set()


def load_later() -> None:
    """Call :func:`load` in a thread, once nobody is waiting any more."""

    def work() -> None:
        time.sleep(DELAY)
        load()

    threading.Thread(target=work, daemon=True).start()


def settled() -> threading.Lock:
    """Return a lock that excludes imports here: in a forked process, an unfinished import never ends."""
    return _loading
