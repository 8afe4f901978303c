"""Takes in what else an agent left in its repositories, beside its work, at the end of turns and runs."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.paths import replace
from realm.session import bounds, sight
from realm.session.lock import run_directory
from realm.store import left
from realm.store.commits import Twin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.sandbox.report import Report
    from realm.session.run import Plan
    from realm.store.left import Found
    from realm.store.submodules import Links, There

_TWIN = re.compile(r"([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ([01])")


def take(
    plan: Plan, report: Report, code: str, turn: int, twins: Mapping[str, Twin], links: Links, *,
    earlier: Path | None = None, there: There | None = None,
) -> Found:  # fmt: skip
    """Take in what else a run at the commit ``code`` left, by ``report``; its trees may name ``links``.

    With ``there`` it was left in that submodule, and ``code`` is a commit there.  The rest is as in
    :class:`realm.store.left.Wanted`.
    """
    project, name, tip, key = plan.project, plan.session.name, plan.run.before, ""
    others, points = report.others, report.points
    if there is not None:
        project, name, tip, key = there.clone, there.name, there.one.link, there.one.key
        others, points = report.inner_others[key], report.inner.get(key, ())

    # The last snapshot, and so the checked-out branch, corresponds to the session's commit.
    state = {points[-1].snapshot: Twin(code, exact=True)} if points else {}

    def visible() -> Sequence[str]:
        seen = sight.inside(plan, there.one, there.clone) if there else sight.find(plan)
        return (*seen.tips, *seen.own)

    return left.take(
        left.Wanted(
            project=project,
            session=name,
            run=plan.run.number,
            turn=turn,
            tip=tip,
            code=code,
            left=others.left,
            is_all=others.is_all,
            pack=others.pack,
            started=plan.run.started,
            identity=plan.identity,
            twins={**_remembered(plan, key), **twins, **state},
            visible=visible,
            earlier=earlier,
            links=links,
        ),
        bounds.limits(plan.config),
    )


def _file(plan: Plan, key: str) -> Path:
    return run_directory(plan.session.id) / f"twins{key}"


def remember(plan: Plan, twins: Mapping[str, Twin], key: str = "") -> None:
    """Keep, during a run, which host commits correspond to the agent's: a branch may begin at one.

    Without this, such a branch gets a second copy of it.  ``key`` is a submodule's.
    """
    known = {**_remembered(plan, key), **twins}
    lines = (f"{oid} {twin.oid} {int(twin.exact)}\n" for oid, twin in known.items())
    with suppress(OSError):
        replace(_file(plan, key), "".join([f"{plan.run.number}\n", *lines]).encode())


def _remembered(plan: Plan, key: str = "") -> dict[str, Twin]:
    try:
        run, *lines = _file(plan, key).read_text("ascii", "replace").splitlines()
    except (OSError, ValueError):
        return {}
    found = (match for line in lines if (match := _TWIN.fullmatch(line)))
    return (
        {match[1]: Twin(match[2], match[3] == "1") for match in found} if run == str(plan.run.number) else {}
    )
