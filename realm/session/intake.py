"""The intake: turns a stopped sandbox into commits and a record, then removes it.

The order makes it safe to be killed anywhere: the sandbox is removed only after both refs have moved, and
they move together.  Whoever finds a stopped sandbox can start over, and what is in git already is not taken
in twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.config import LIMIT_SECONDS
from realm.errors import RealmError, RejectedError, RunningError, UnpreparedError
from realm.interrupts import telling
from realm.paths import realm_home, remove_tree, scratched
from realm.sandbox.report import Report
from realm.session import (
    account,
    approvals,
    bounds,
    budget,
    death,
    homes,
    inner,
    lending,
    recordings,
    sandboxes,
    sight,
    take,
)
from realm.session import plan as planning
from realm.session.lock import forget
from realm.session.run import kept
from realm.store import record, refs
from realm.terminal.relay.tty import FALLBACK
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.model import Run
    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.recordings import Shown
    from realm.session.requests import UI
    from realm.session.run import Outcome, Plan

_UNPREPARED = "the workspace could not be prepared"
"""The report of a sandbox that gave up before the agent was started."""
_REMOVED = "the agent removed its project's directory"
_NO_DOCKER = "Docker cannot run in it"
_NO_GIT, _NO_WAY = "the image has no git", "no socket leads to the proxies"
"""The reason, if its image or engine cannot run Docker."""
_ADVICE = {
    "realm.setup failed": "git config realm.setup COMMAND sets another, REALM_SETUP= realm new … runs none",
    _NO_DOCKER: "git config realm.docker off runs agents without it",
    _NO_GIT: "install git in the image, or build it FROM realm:latest",
    _NO_WAY: "git config realm.network open, where this engine or its runtime lets no sockets through",
}


def take_back(plan: Plan, outcome: Outcome) -> bool:
    """Remove a new session in which nothing happened, to free its name; return whether it was removed."""
    if plan.run.number != 1 or not outcome.is_nothing:
        return False
    name = plan.session.name
    gone = [refs.RefUpdate(refs.META + name, outcome.meta, None)]
    gone.append(refs.RefUpdate(refs.CODE + name, outcome.code, None))
    try:
        refs.transact(plan.project, gone, "realm: nothing happened")
    except RealmError:
        return False
    forget(plan.session.id)
    homes.release(plan.project, plan.session)
    approvals.forget_record(plan.project, plan.session)
    return True


def save(engine: Engine, plan: Plan, sandbox: Sandbox, code: int, shown: Shown | None = None,
         notes: Sequence[str] = (), *, asked: bool = False, undone: bool = False) -> Outcome:  # fmt: skip
    """Take in the work of a stopped sandbox, write the record, remove the sandbox.

    If it was killed before it could report, its workspace is saved first.  ``shown`` is what its terminal
    showed (default: what a killed holder recorded); ``notes`` go into the record before the intake's own;
    ``asked`` says whether the user had realm end it.  Raises :class:`RealmError` with the way out when the
    work cannot be taken in: the sandbox then stays.  A run whose workspace could not be prepared is recorded
    as failed; with ``undone``, for a caller who undoes it, it raises :class:`UnpreparedError`.
    """
    sandbox.limit = bounds.results(plan.config)
    if shown is None:
        place = recordings.place(plan.session.id, plan.run.number)
        title = f"{plan.session.name}, run {plan.run.number}"
        shown = recordings.shown(place, FALLBACK, plan.config, tty=sandbox.tty, title=title)
    try:
        died = death.of(sandbox, plan.run.number, code, reported=sandbox.reported(),
                        asked=asked or plan.run.stopped)  # fmt: skip
        if not sandbox.reported():
            _snapshot(engine, plan, sandbox)
        ending = take.Ending(code, shown, died.short if died else "", sandbox.conditions())
        used = [
            *budget.notes(plan.session.id, plan.run.number), *lending.notes(plan.session.id, plan.run.number),
        ]  # fmt: skip
        notes = [*notes, *used, *([died.text] if died else [])]
        try:
            outcome = _taken(plan, sandbox, ending, notes)
        except UnpreparedError as error:
            if not any(reason in error.message for reason in _ADVICE):
                sandboxes.forget(sandbox)
            if undone:
                raise
            outcome = take.take(plan, Report(), [*notes, f"{error.message}: {error.hint}"], ending=ending)
    except RejectedError as error:
        error.hint = error.hint or take.way_out(plan)
        raise
    except OSError as error:
        raise RealmError(
            f"the work of run {plan.run.number} could not be saved: {error.strerror or error}: "
            f"{error.filename or realm_home()}; it is still in its container",
            take.way_out(plan),
        ) from error
    sandbox.remove()
    remove_tree(take.earlier(plan.session.id))
    return outcome


def _snapshot(engine: Engine, plan: Plan, sandbox: Sandbox) -> None:
    """Take the snapshot with a second container on a dead sandbox's volumes."""
    from realm.sandbox import creation

    try:
        with sandboxes.outfit(
            engine, plan, sandbox.image, ["snapshot"], sight.find(plan), prefer=sandbox.owner.history
        ) as made:
            creation.snapshot(engine, sandbox, made.spec, made.layout, plan.config.value(LIMIT_SECONDS))
    except creation.UnsavedError as error:
        sandboxes.forget(sandbox)
        if _REMOVED in error.message:
            name = plan.session.name
            error.hint = (
                f"realm rescue {name} DIRECTORY writes all that is left, realm remove {name} --force gives "
                f"that up, and realm restore {name} then brings back the turns that are in git"
            )
        raise


def recover(connection: Engine, plan: Plan, last: Run | None, ui: UI) -> Sandbox | None:
    """Save the work in earlier sandboxes of the planned session; return one that is still running.

    ``last`` is the session's last run.  All commands come this way; the caller holds the run's lock.
    Sandboxes whose work is in git already, or that never ran, are removed.
    """
    from realm.sandbox import lookup

    has_strangers = refuse_strangers(connection, plan, ui)
    lookup.clear(connection, plan.session.id)
    running_one, left = None, False
    for sandbox in lookup.find(connection, session_id=plan.session.id):
        state = sandbox.state()
        left = left or state != "created"
        if state == "running":
            running_one = sandbox
        elif state == "created" or (run := recorded_run(sandbox, plan, last)).ended is not None:
            sandbox.remove()
        else:
            _recover_one(connection, planning.recorded(plan, run), sandbox, ui)
    if not left and not has_strangers and last is not None and _goes_on(plan, last):
        ui.warn(
            f"nothing is left of the container of run {last.number} of {plan.session.name} "
            "on this engine: what git has of it is all there is"
        )
    return running_one


def _goes_on(plan: Plan, last: Run) -> bool:
    """Tell whether the run still counts as running in git: its holder may have ended it meanwhile."""
    if last.ended is not None:
        return False
    with record.Record(plan.project, plan.session.name) as found:
        return found.run(last.number).ended is None


def refuse_strangers(connection: Engine, plan: Plan, ui: UI) -> bool:
    """Name a session's containers that this REALM_HOME did not make, if any; one that runs is in the way."""
    from realm.sandbox import lookup

    name = plan.session.name
    found = lookup.strangers(connection, session_id=plan.session.id)
    for stranger in found:
        if stranger.running:
            raise RunningError(
                f"session {name} is running, started with another REALM_HOME or user, "
                f"or by an earlier version of realm, in container {stranger.id[:12]}",
                f"realm attach {name} or realm stop {name} there; if that is gone: docker stop "
                f"{stranger.id[:12]}, then realm rescue {name} DIRECTORY",
            )
        ui.warn(
            f"{clean(stranger.what)} of {name} was made by an earlier version of realm or with "
            f"another REALM_HOME: realm rescue {name} DIRECTORY writes its files there; it stays until "
            f"{stranger.removal}"
        )
    return bool(found)


def recorded_run(sandbox: Sandbox, plan: Plan, last: Run | None) -> Run:
    """Return the recorded run of a sandbox; if the sandbox does not name one, the ``last``.

    Raises :class:`RealmError` when the record does not have it.
    """
    name, number = plan.session.name, sandbox.owner.run
    if last is not None and number in (0, last.number):
        return last
    with record.Record(plan.project, name) as found:
        if number in found.numbers():
            return found.run(number)
    raise RealmError(
        f"a container has work of run {number}, which the record of {name} does not know",
        f"realm rescue {name} DIRECTORY writes its files there",
    )


def _recover_one(connection: Engine, plan: Plan, sandbox: Sandbox, ui: UI) -> None:
    from realm.session import summary

    with ui.progress("saving what the last run left in its container"), telling(kept(plan)):
        outcome = save(connection, plan, sandbox, sandbox.wait())
        account.forget(plan.session.id)
    ui.info(f"recovered the unsaved work of run {plan.run.number} of {plan.session.name}")
    summary.tell(plan, outcome, ui)


def _taken(plan: Plan, sandbox: Sandbox, ending: take.Ending, before: Sequence[str]) -> Outcome:
    with scratched("collect") as directory:
        report = sandbox.collect(directory)
        _check(plan, report)
        try:
            return take.take(plan, report, before, ending=ending)
        except inner.BesideError:
            take.take(plan, report)
            raise


def _check(plan: Plan, report: Report) -> None:
    """Raise if the sandbox did not report the state of its workspace, and so must not be removed."""
    if report.complete and not report.points and _UNPREPARED in report.errors:
        raise _unprepared(report)
    reasons = "; ".join(clean(text, limit=200) for text in report.errors)
    if not report.complete or not report.points:
        raise RejectedError(
            f"the work of run {plan.run.number} cannot be taken out of its container: "
            f"{reasons or 'it gave no report'}",
            take.way_out(plan),
        )


def _unprepared(report: Report) -> UnpreparedError:
    others = [clean(text, limit=200) for text in report.errors if text != _UNPREPARED]
    message = ": ".join([f"the container's {_UNPREPARED.removeprefix('the ')}", *others[:1]])
    known = (advice for error, advice in _ADVICE.items() for text in report.errors if text.startswith(error))
    hint = next(known, "")
    return UnpreparedError(
        message, hint or "try again: its copy of the history is made anew; git fsck checks the project's own"
    )
