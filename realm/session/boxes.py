"""Making the box of a run, and clearing away what was made for none."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.paths import scratched
from realm.sandbox import creation, lookup
from realm.session import run as running
from realm.session.lock import holder
from realm.store import stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan


def create(engine: Engine, plan: Plan, image: str) -> Sandbox:
    """Make the box of a run, ready to be started."""
    spec = running.spec(plan, image, ["run", *running.argv(plan)])
    with packs(plan, plan.run.before) as history:
        return creation.create(engine, spec, running.files(plan, history))


@contextmanager
def packs(plan: Plan, *tips: str) -> Iterator[list[Path]]:
    """Give the history of ``tips`` as files, for a box without the object store; else nothing."""
    if not plan.history:
        yield []
        return
    with scratched("history") as directory:
        yield stores.history_pack(plan.project, tips, directory)


def sweep(engine: Engine) -> None:
    """Remove what was made for a run and never used: whoever made it was killed and holds its lock no more.

    Only a holder starts a box, or fills a base volume: what has none, and after
    that is not ready yet, never will be.
    """
    with suppress(EngineError):
        for box in lookup.unready(engine):
            if holder(box.owner.id) is None and lookup.is_unready(box):
                with suppress(EngineError):
                    box.remove()
