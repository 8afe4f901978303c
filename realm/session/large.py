"""Tracks the Git LFS files that a session has made; its sandboxes get these, and those of its base.

A pointer is only a name, which an agent can write; its file may belong to another branch.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from realm.paths import make_private, realm_home, replace
from realm.store import lfs

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project
    from realm.sandbox.report import Report
    from realm.session.run import Plan
    from realm.store.lfs import Pointer
    from realm.store.submodules import Submodule


def take(plan: Plan, report: Report) -> None:
    """Put reported files where Git LFS looks for them, and note that they are the session's."""
    if not report.large:
        return
    before = _noted(plan)
    after = before.union(lfs.store(plan.project, report.large))
    if after != before:
        make_private(_file(plan).parent)
        replace(_file(plan), "".join(f"{oid}\n" for oid in sorted(after)).encode())


def take_inside(plan: Plan, clone: Project, before: str, after: str) -> list[str]:
    """Put the sandboxes' files for pointers that are only in ``after`` into a submodule's clone too.

    Returns the paths whose files it lacks.
    """
    new = [pointer for pointer in lfs.changed(clone, before, after)[1] if pointer.file is None]
    noted = _noted(plan) if new else set()
    return [
        pointer.path
        for pointer in new
        if not (pointer.oid in noted and lfs.share(plan.project, clone, pointer.oid))
    ]


def given(plan: Plan) -> list[Pointer]:
    """Return the pointers in the run's starting commit whose files its sandbox may have."""
    return _given(plan, plan.project, plan.session.base, plan.run.before)


def given_inside(plan: Plan, one: Submodule, clone: Project) -> list[Pointer]:
    """Return them in a submodule, whose clone is the host's."""
    return _given(plan, clone, one.base, one.link)


def _given(plan: Plan, project: Project, base: str, before: str) -> list[Pointer]:
    found = lfs.pointers(project, before)
    if not found:
        return []
    old, new = lfs.changed(project, base, before)
    own = {pointer.path for pointer in new}
    of_base = [*old, *(pointer for pointer in found if pointer.path not in own)]
    known = {pointer.oid for pointer in of_base} | _noted(plan)
    return [pointer for pointer in found if pointer.oid in known]


def _file(plan: Plan) -> Path:
    return realm_home() / "large" / plan.session.id


def _noted(plan: Plan) -> set[str]:
    with suppress(OSError, UnicodeDecodeError):
        return set(_file(plan).read_text("ascii").split())
    return set()
