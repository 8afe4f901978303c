"""Decides what a sandbox may see: the history of the project and its submodules, and what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.config import HISTORY, HISTORY_REFS, REMOTE
from realm.sandbox.repositories import BESIDE
from realm.session import homes
from realm.store import branches, stores
from realm.store import history as histories

if TYPE_CHECKING:
    from realm.model import Project
    from realm.session.run import Plan
    from realm.store.history import History
    from realm.store.submodules import Submodule

_LARGE = 64 * 1024**2
"""Bytes of packs from which a submodule counts as large."""
_NEWEST = 100
"""Commits of a large submodule that a sandbox gets."""


def find(plan: Plan, *more: str) -> History:
    """Return the history that the plan's sandbox may see; ``more`` are commits that it needs besides."""
    own = dict.fromkeys([plan.run.before, *kept(plan).values()])
    return histories.find(plan.project, _choice(plan), plan.session.base, *more, own=[*own])


def kept(plan: Plan) -> dict[str, str]:
    """Return what was kept beside the session's work, by its refs; a first run has nothing."""
    if plan.run.number == 1:
        return {}
    return branches.listed(plan.project, plan.session.name)


def kept_inside(plan: Plan, one: Submodule, clone: Project) -> dict[str, str]:
    """Return what was kept in a submodule beside the work there, as :func:`kept` does of the project."""
    if plan.run.number == 1:
        return {}
    session = plan.session
    wanted = (homes.ref(session, one.name),) if one.parent == BESIDE else homes.names(plan.project, session)
    own = homes.own_of(clone, session, wanted)
    return branches.listed(clone, own) if own else {}


def inside(plan: Plan, one: Submodule, clone: Project) -> History:
    """Return what a sandbox may see of a submodule, whose clone is the host's.

    Each sandbox gets that anew, so of a large one it is the newest commits.
    """
    choice = _choice(plan)._replace(patterns=())
    if not choice.limit and stores.packed(clone) > _LARGE:
        choice = choice._replace(limit=_NEWEST)
    own = dict.fromkeys([one.link, *kept_inside(plan, one, clone).values()])
    return histories.find(clone, choice, one.base, own=[*own])


def _choice(plan: Plan) -> histories.HistoryChoice:
    config = plan.config
    return histories.HistoryChoice(
        remote=config.value(REMOTE),
        default=config.of_git().get("init.defaultbranch", ""),
        patterns=tuple(config.values(HISTORY_REFS)),
        limit=config.value(HISTORY),
    )
