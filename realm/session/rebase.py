"""Rebases a session onto the project's HEAD, in a sandbox; on failure nothing changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.config import LIMIT_SECONDS
from realm.errors import RealmError
from realm.model import Checkpoint, State
from realm.paths import scratched
from realm.sandbox import creation
from realm.sandbox.layout import LAYOUT
from realm.session import approvals, sandboxes, sight
from realm.session import run as running
from realm.session.lock import run_directory
from realm.session.plan import starting
from realm.store import ingest, record, refs, repo
from realm.text import clean

if TYPE_CHECKING:
    from realm.model import Session
    from realm.sandbox.docker import Engine
    from realm.sandbox.report import Report
    from realm.session.requests import UI
    from realm.session.run import Plan

_CONFLICTS = "conflicts"
"""A file in the session's directory that exists from a failed rebase until one succeeds."""


def rebase(connection: Engine, plan: Plan, image: str, ui: UI) -> Plan:
    """Rebase the session's commits onto HEAD; return the plan with its session's new base.

    The old commits stay reachable below ``refs/realm-trash/``.  Raises :class:`RealmError` naming the files
    when they conflict; nothing has changed then.
    """
    project, session = plan.project, plan.session
    tips = refs.tips(project, session.name)
    head = repo.resolve_commit(project, "HEAD")
    if tips.code is None or tips.meta is None or head == session.base:
        ui.info(f"{session.name} is on HEAD already")
        return plan
    quiet = plan._replace(run=starting(plan.run.number, tips.code), tty=False, stdin=False)
    conflicts = run_directory(session.id) / _CONFLICTS
    conflicts.touch(mode=0o600)
    with ui.progress(f"replaying {session.name} on {head[:10]}"):
        tip = head if tips.code == session.base else _replay(connection, quiet, image, head)
    conflicts.unlink()
    moved = session._replace(base=head)
    _write(plan, tips, moved, tip)
    approvals.approve_record(project, moved)  # what it asks for was approved before
    ui.info(f"{session.name} is now on {head[:10]}; before, it was at {tips.code}")
    return plan._replace(session=moved)


def to_merge(plan: Plan) -> list[str]:
    """Return the commits that the agent is to merge: HEAD, if the session was not rebased onto it."""
    if not (run_directory(plan.session.id) / _CONFLICTS).exists():
        return []
    return [repo.resolve_commit(plan.project, "HEAD")]


def _replay(connection: Engine, plan: Plan, image: str, head: str) -> str:
    """Run git's rebase in a sandbox and take in the result, verified like any other work."""
    command = ["run", "sh", f"{LAYOUT}/rebase", head, plan.session.base]
    with sandboxes.outfit(connection, plan, image, command, sight.find(plan, head), more=[head]) as made:
        spec = made.spec._replace(owner=made.spec.owner._replace(role="tool"))
        sandbox = creation.create(connection, spec, [*running.files(plan), *made.layout], made.checkout)
    with scratched("rebase") as directory:
        try:
            sandbox.start()
            code = sandbox.wait_at_most(plan.config.value(LIMIT_SECONDS))
            report = sandbox.collect(directory)
            if code != 0:
                raise _conflict(plan, report)
            return _take(plan, report, head)
        finally:
            sandbox.remove()


def _conflict(plan: Plan, report: Report) -> RealmError:
    name = plan.session.name
    paths = ", ".join(clean(path, limit=200) for path in report.conflicts[:10])
    if not paths:
        detail = "; ".join(clean(text, limit=200) for text in report.errors) or "git gave no reason"
        return RealmError(
            f"{name} could not be replayed on HEAD: {detail}", f"realm resume {name} continues as before"
        )
    return RealmError(
        f"{name} conflicts with HEAD in {paths}",
        f"nothing was changed; realm resume {name} continues from where it was, and the agent can merge "
        "there",
    )


def _take(plan: Plan, report: Report, head: str) -> str:
    now = time.time()
    points = [Checkpoint(point.head, point.head, 0, point.time) for point in report.points]
    taken = ingest.ingest(
        ingest.Intake(
            project=plan.project,
            session=plan.session.name,
            run=plan.run.number,
            tip=head,
            points=points,
            texts={},
            pack=report.pack,
            started=now,
            identity=repo.identity(plan.project),
            known=(plan.run.before,),
            replay=True,
        )
    )
    return taken.tip


def _write(plan: Plan, tips: refs.Tips, session: Session, tip: str) -> None:
    project, name = plan.project, session.name
    runs = record.read_runs(project, name)
    if not runs:
        raise RealmError(f"the record of {name} has no run", f"realm resume {name} starts one")
    turns = record.count_turns(project, tips.meta)
    meta = record.write(
        project, parent=tips.meta, previous=tips.meta, session=session,
        run=runs[-1]._replace(after=tip),
        totals=repo.diffstat(project, session.base, tip)._replace(turns=turns), state=State.EXITED, files={},
    )  # fmt: skip
    refs.transact(project, refs.replace_updates(project, name, tips, tip, meta), "realm: rebase")
