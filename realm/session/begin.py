"""The beginning of a run: its record and its box are made side by side, then the box is started.

The refs come before the agent: no box runs whose session git does not know.
Killed in between, a run leaves a record without a box, which is a run that
ended, or a box that never ran, which the next run clears away.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError, UnpreparedError
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.model import Project, Run, Session, Totals
    from realm.sandbox.box import Box
    from realm.sandbox.engine import Engine
    from realm.session.grip import Grip
    from realm.session.launch import Launch
    from realm.session.lock import RunLock
    from realm.session.ui import UI
    from realm.store.refs import RefUpdate


class Started(NamedTuple):
    """A run as it was recorded when it began: ``meta`` is that record's commit, ``parent`` the one before."""

    project: Project
    session: Session
    run: Run
    meta: str
    parent: str | None


class Before(NamedTuple):
    """What a run follows: the record of the run before, ``None`` for a new session, and its totals."""

    meta: str | None = None
    totals: Totals | None = None


def _nothing() -> None:
    """Refuse nothing."""


def go(
    connection: Engine, launch: Launch, chosen: str, before: Before, lock: RunLock, ui: UI,
    *, check: Callable[[], object] = _nothing, aside: Callable[[], object] = _nothing,
) -> int:  # fmt: skip
    """Record a run, run the agent in a box of the image ``chosen``; return the agent's exit code.

    ``check`` may still refuse, before anything is recorded; ``aside`` is done
    before the box is started.  When the box cannot be made, or the run cannot
    be recorded, neither is there afterwards; raises what stood in the way.
    """
    started, box = _made(connection, launch, chosen, before, check, aside)
    try:
        return _held(connection, started, launch, box, lock, ui)
    except BaseException as error:
        with suppress(RealmError):
            if isinstance(error, UnpreparedError) or box.state() == "created":
                _undo([started], [box])
        raise


def _made(
    connection: Engine, launch: Launch, chosen: str, before: Before,
    check: Callable[[], object], aside: Callable[[], object],
) -> tuple[Started, Box]:  # fmt: skip
    """Make record and box at the same time, or none of them."""
    begun: list[Started] = []
    boxes: list[Box] = []

    def record() -> None:
        check()
        begun.append(_written(launch, before))
        _begin(begun[0])

    def make() -> None:
        from realm.session.boxes import create

        boxes.append(create(connection, launch, chosen))

    try:
        together(record, aside, _import_hold, make)
    except BaseException:
        _undo(begun, boxes)
        raise
    return begun[0], boxes[0]


def _undo(begun: list[Started], boxes: list[Box]) -> None:
    """Leave nothing of what never ran, as far as git and the engine let us.

    What stood in the way of the run is what the user is told; the next run
    clears away a box that the engine does not remove now.
    """
    for started in begun:
        with suppress(RealmError):
            _back(started)
    for box in boxes:
        with suppress(RealmError):
            box.remove()


def _written(launch: Launch, before: Before) -> Started:
    """Write the record of a run that starts."""
    from realm.model import State, Totals
    from realm.store import record

    meta = record.write(
        launch.project, parent=before.meta, previous=None, session=launch.session, run=launch.run,
        totals=before.totals or Totals(), state=State.RUNNING, files={},
    )  # fmt: skip
    return Started(launch.project, launch.session, launch.run, meta, before.meta)


def _updates(started: Started) -> list[RefUpdate]:
    """Return how the refs move when a run starts."""
    from realm.store import refs

    name = started.session.name
    updates = [refs.RefUpdate(refs.META + name, started.parent, started.meta)]
    if started.parent is None:
        updates.append(refs.RefUpdate(refs.CODE + name, None, started.run.before))
    return updates


def _begin(started: Started) -> None:
    """Move the refs to the record of a run that starts, together."""
    from realm.session import registry
    from realm.store import refs

    refs.transact(started.project, _updates(started), f"realm: run {started.run.number} begins")
    registry.remember_project(started.project)


def _back(started: Started) -> None:
    """Undo :func:`_begin`: nothing ran, so nothing stays.

    Refs that are not at this very record are somebody else's.
    """
    from realm.store import refs

    if refs.tips(started.project, started.session.name).meta != started.meta:
        return
    back = [refs.RefUpdate(update.ref, update.new, update.old) for update in _updates(started)]
    refs.transact(started.project, back, "realm: the box could not be started")


def _import_hold() -> None:
    """Import, while the engine makes the box, what holds it."""
    import realm.session.hold
    import realm.session.recordings
    import realm.session.view
    import realm.terminal.recording.recorder  # noqa: F401


def _held(connection: Engine, started: Started, launch: Launch, box: Box, lock: RunLock, ui: UI) -> int:
    from realm.session import hold
    from realm.session.grip import take

    grip = take(connection, started, launch, box, lock, ui, box.attach())
    if not launch.detach:
        return hold.attend(grip, begin=lambda: _start(grip))
    from realm.session import keeper

    return keeper.start(grip)


def _start(grip: Grip) -> None:
    """Start the box, and import meanwhile what the end of the run needs."""

    def load() -> None:
        import realm.session.salvage
        import realm.session.summary  # noqa: F401

    def start() -> None:
        grip.box.start()
        grip.box.deliver(grip.stream)

    together(load, start)
