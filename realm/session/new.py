"""A new session: everything is checked before anything is written or started."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.config import Config
from realm.errors import GitError, RealmError
from realm.paths import remove_tree
from realm.sandbox import docker, flags
from realm.session import approvals, claim, egress, images, neighbours, sight
from realm.session import plan as planning
from realm.session import run as running
from realm.session.begin import begin
from realm.session.lock import RunLock, run_directory
from realm.session.requests import FURTHER
from realm.store import refs, repo, stores, worktree
from realm.store.turns import WIP
from realm.text import clean
from realm.together import Begun

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.session.requests import UI, NewRequest
    from realm.session.run import Plan


_LARGE = 50e6
"""Bytes of a file that git needs seconds for."""


def new(request: NewRequest, ui: UI) -> int:
    """Create a session, run the agent in a sandbox, keep its work; return the agent's exit code.

    Raises :class:`RealmError` (and its kinds) if the name, project, login, engine or image is unsuitable;
    then nothing was created.
    """
    refs.check_name(request.name)
    # Whatever needs only git is done while the engine's library is imported.
    engine = Begun(docker.connect)
    project = repo.discover(request.directory)
    named = Begun(lambda: refs.check_new(project, request.name))
    config = Config(project.root)
    config.check()
    planning.mention_removed(config, ui)
    if not os.environ.get(FURTHER):
        approvals.settle_patterns(project, ui)
    plan = _with_wip(planning.new(request, project, config), request, ui)
    egress.refuse_none(plan)
    seen = Begun(lambda: sight.find(plan))
    left_out = Begun(lambda: [] if request.wip else worktree.dirty(project))
    named.result()
    connection = engine.result()
    chosen = images.ensure(connection, plan, request.image, ui)
    approvals.announce(plan.include, plan.dotfiles.notes, ui)
    try:
        approvals.approve_record(project, plan.session)
        plan = planning.with_neighbours(plan)
        neighbours.announce(plan, ui)
        with RunLock(plan.session.id, request.name, 1) as lock:
            claim.take(project, plan.session)
            return begin(
                connection, plan, chosen, seen, lock, ui,
                check=_checked(plan, ui), meanwhile=lambda: _warn(plan, left_out, ui),
            )  # fmt: skip
    except BaseException:
        _forget(plan)
        raise


def _checked(plan: Plan, ui: UI) -> Callable[[], None]:
    """Return a function that checks the base's objects, or do it now where creating the sandbox needs them.

    A partial clone fetches missing ones.
    """

    def check() -> None:
        stores.ensure_readable(plan.project, plan.run.before, plan.session.base, running.outline(plan))

    if not stores.is_partial(plan.project):
        return check
    with ui.progress("looking for what this partial clone lacks"):
        check()
    return lambda: None


def _forget(plan: Plan) -> None:
    """Remove this machine's notes about a session that was not created in the end."""
    with suppress(RealmError):
        if refs.tips(plan.project, plan.session.name).code is None or _is_taken(plan):
            remove_tree(run_directory(plan.session.id))
            approvals.forget_record(plan.project, plan.session)


def _is_taken(plan: Plan) -> bool:
    """Tell whether another session has the name."""
    from realm.store import record

    with suppress(RealmError):
        return record.read_session(plan.project, plan.session.name).id != plan.session.id
    return False


def _warn(plan: Plan, uncommitted: Begun[list[str]], ui: UI) -> None:
    if os.environ.get(FURTHER):
        return
    for warning in (*flags.risks(plan.args, plan.project.root), *egress.warnings(plan)):
        ui.warn(warning)
    for warning in plan.agent.warnings(plan.login):
        ui.warn(warning)
    if approvals.devcontainer_changed(plan.project):
        ui.warn(
            "devcontainer.json has changed since realm init took its settings; "
            "git config --unset-all realm.setup (or realm.image), then realm init looks again"
        )
    subdir = plan.session.subdir
    if subdir and not repo.is_there(plan.project, f"{plan.run.before}:{subdir}"):
        root = clean(str(plan.project.root), limit=200)
        ui.warn(f"nothing in {clean(subdir, limit=200)} is committed: the agent starts at the top of {root}")
    for mirrored in plan.config.mirrors():
        shown = clean(mirrored, limit=100)
        ui.warn(
            f"git fetch --prune {shown} deletes sessions, since this clone mirrors it; "
            f"git config --add remote.{shown}.fetch '^refs/realm*' keeps them"
        )
    try:
        left_out = uncommitted.result()
    except GitError as error:  # a filter of the user's that fails, say
        left_out = []
        ui.warn(
            f"uncommitted changes stay out of the container; git cannot tell how many there are: "
            f"{error.message}"
        )
    if left_out:
        one = len(left_out) == 1
        files = f"{clean(left_out[0], limit=200)} is" if one else f"{len(left_out)} changed files are"
        stay = "stays" if one else "stay"
        ui.warn(f"{files} not committed and {stay} out of the container (--wip includes such changes)")


def _with_wip(plan: Plan, request: NewRequest, ui: UI) -> Plan:
    """Commit the uncommitted changes as the session's first commit."""
    if not request.wip:
        return plan
    message = f"{WIP}{request.name} began\n\nRealm-Session: {request.name}\n"
    large = worktree.largest(plan.project)
    named = f": {clean(large[0], limit=200)} has {large[1] / 1e6:,.0f} MB" if large[1] >= _LARGE else ""
    with ui.progress(f"taking in uncommitted changes{named}"):
        commit = worktree.write_wip(plan.project, plan.session.base, message, plan.identity)
    if commit is None:
        return plan
    return plan._replace(run=plan.run._replace(before=commit))
