"""The beginning of a run: its record and its sandbox are created in parallel, then the sandbox is started.

The refs come before the agent: no sandbox runs whose session git does not know.  If realm is killed in
between, what remains is a record without a sandbox, which counts as a run that ended, or a sandbox that never
ran, which the next run removes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import RealmError, UnpreparedError
from realm.session import homes
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.holder import Holder
    from realm.session.lock import RunLock
    from realm.session.requests import UI
    from realm.session.run import Plan
    from realm.store.history import History
    from realm.store.refs import RefUpdate
    from realm.together import Begun


def begin(
    connection: Engine, plan: Plan, image: str, seen: Begun[History], lock: RunLock, ui: UI,
    *, check: Callable[[], object] = lambda: None, meanwhile: Callable[[], object] = lambda: None,
) -> int:  # fmt: skip
    """Record the planned run and run its agent in a sandbox of ``image``; return the agent's exit code.

    ``seen`` is the history that the sandbox may see.  ``check`` may still refuse before anything is recorded;
    ``meanwhile`` is called before the sandbox is started.  If the sandbox cannot be created or the run cannot
    be recorded, neither remains, and the error is raised.
    """
    from realm.session import run as running

    plan, sandbox = _made(connection, plan, image, seen, ui, check, meanwhile)
    try:
        from realm.session import background
        from realm.session.holder import Holder

        holder = Holder(connection, plan, sandbox, lock, ui, sandbox.attach())
        if plan.detach:
            return background.start(holder)
        return background.attend(holder, begin=lambda: _start(holder))
    except BaseException as error:
        is_undone = False
        with suppress(RealmError):
            if isinstance(error, UnpreparedError) or sandbox.state() == "created":
                is_undone = True
                _undo([plan], [sandbox])
        if isinstance(error, KeyboardInterrupt) and not is_undone:
            error.add_note(running.kept(plan))
        raise


def _made(
    connection: Engine, plan: Plan, image: str, seen: Begun[History], ui: UI,
    check: Callable[[], object], meanwhile: Callable[[], object],
) -> tuple[Plan, Sandbox]:  # fmt: skip
    """Create record and sandbox in parallel, or neither."""
    begun: list[Plan] = []
    sandboxes: list[Sandbox] = []

    def record() -> None:
        check()
        begun.append(_recorded(connection, plan, image))
        _move_refs(begun[0])
        # If killed before this, the session exists and its next run makes them: no ref lacks an owner.
        homes.reserve(plan.session, plan.neighbours)
        # Not before: until about now this would only keep the other thread from the processor.
        _import_holder()

    def make() -> None:
        from realm.session.sandboxes import create

        sandboxes.append(create(connection, plan, image, seen.result(), ui))

    try:
        with ui.progress("making the container"):
            together(record, meanwhile, make)
    except BaseException:
        _undo(begun or [plan], sandboxes)
        raise
    return begun[0], sandboxes[0]


def _recorded(connection: Engine, plan: Plan, image: str) -> Plan:
    """Write the run's record, with the flags and settings that weaken its sandbox."""
    from realm.session import run as running

    unlimited = (f"no limit on {what}" for what in connection.machine().unlimited)
    plan = plan._replace(run=plan.run._replace(weakened=(*running.weakened(plan), *unlimited)))
    return plan._replace(meta=_written(plan, image, _labels(connection, image)))


def _labels(connection: Engine, image: str) -> Mapping[str, str]:
    found = connection.images_seen.get(image)
    return found.labels if found is not None else {}


def _undo(begun: list[Plan], sandboxes: list[Sandbox]) -> None:
    """Remove everything of a run that never ran, as far as git and the engine allow.

    Errors here are not reported, since the user is told the one that prevented the run; the next run removes
    a sandbox that the engine does not remove now.
    """
    for plan in begun:
        with suppress(RealmError):
            _move_back(plan)
            if plan.run.number == 1:
                homes.release(plan.project, plan.session)
    for sandbox in sandboxes:
        with suppress(RealmError):
            sandbox.remove()


def _written(plan: Plan, image: str, labels: Mapping[str, str]) -> str:
    """Write the record of a run that starts in a container of ``image``, whose labels are ``labels``."""
    from realm.model import State
    from realm.session import audit
    from realm.store import record

    return record.write(
        plan.project, parent=plan.parent, previous=None, session=plan.session, run=plan.run,
        totals=plan.totals, state=State.RUNNING, files={audit.FILE: audit.begun(plan, image, labels)},
    )  # fmt: skip


def _updates(plan: Plan) -> list[RefUpdate]:
    """Return the updates of the refs at a run's start."""
    from realm.store import refs

    name = plan.session.name
    updates = [refs.RefUpdate(refs.META + name, plan.parent, plan.meta)]
    if plan.parent is None:
        updates.append(refs.RefUpdate(refs.CODE + name, None, plan.run.before))
    return updates


def _move_refs(plan: Plan) -> None:
    """Move the refs to the run's record in one transaction."""
    from realm.session import registry
    from realm.store import refs

    refs.transact(plan.project, _updates(plan), f"realm: run {plan.run.number} begins")
    registry.remember_project(plan.project)


def _move_back(plan: Plan) -> None:
    """Undo :func:`_move_refs`, as nothing ran.

    Refs that have moved on since belong to someone else and stay.
    """
    from realm.store import refs

    if not plan.meta or refs.tips(plan.project, plan.session.name).meta != plan.meta:
        return
    back = [refs.RefUpdate(update.ref, update.new, update.old) for update in _updates(plan)]
    refs.transact(plan.project, back, "realm: the container could not be started")


def _import_holder() -> None:
    """Import the modules that hold a run, while the engine fills the sandbox."""
    import realm.session.background
    import realm.session.recordings
    import realm.terminal.recording.recorder  # noqa: F401


def _start(holder: Holder) -> None:
    """Start the sandbox, and meanwhile import the modules for the end of the run."""

    def load() -> None:
        import realm.session.intake
        import realm.session.summary  # noqa: F401

    together(load, holder.sandbox.start)
