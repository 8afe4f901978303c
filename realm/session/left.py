"""What else an agent left in its repositories: taken in beside its work, at a turn's end and at the run's."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.paths import replace
from realm.session import bounds, sandboxes
from realm.session.lock import run_directory
from realm.store import left
from realm.store.commits import Twin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.model import Project
    from realm.sandbox.report import Report
    from realm.session.run import Plan
    from realm.store.left import Found
    from realm.store.submodules import Links, Submodule

_TWIN = re.compile(r"([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ([01])")


def take(
    plan: Plan, report: Report, code: str, turn: int, twins: Mapping[str, Twin], earlier: Path, links: Links
) -> Found:
    """Take in what else ``report`` has of a run that came to the commit ``code``."""

    def visible() -> Sequence[str]:
        seen = sandboxes.sight(plan)
        return (*seen.tips, *seen.own)

    return left.take(
        left.Wanted(
            project=plan.project,
            session=plan.session.name,
            run=plan.run.number,
            turn=turn,
            tip=plan.run.before,
            code=code,
            left=report.others.left,
            is_all=report.others.is_all,
            pack=report.others.pack,
            started=plan.run.started,
            identity=plan.identity,
            twins={**_remembered(plan), **twins},
            visible=visible,
            earlier=earlier,
            links=links,
        ),
        bounds.limits(plan.config),
    )


def take_inside(
    plan: Plan, report: Report, one: Submodule, clone: Project, name: str, code: str,
    twins: Mapping[str, str], links: Links,
) -> Found:  # fmt: skip
    """Take in what else there is in a submodule, in whose clone the session is called ``name``.

    It came to the commit ``code`` there, which is already in git, and ``twins`` are the host's commits by the
    sandbox's.
    """
    others = report.inner_others[one.key]

    def visible() -> Sequence[str]:
        seen = sandboxes.inner_sight(plan, one, clone)
        return (*seen.tips, *seen.own)

    return left.take(
        left.Wanted(
            project=clone,
            session=name,
            run=plan.run.number,
            turn=report.points[-1].turn if report.points else 0,
            tip=one.link,
            code=code,
            left=others.left,
            is_all=others.is_all,
            pack=others.pack,
            started=plan.run.started,
            identity=plan.identity,
            twins={
                **_remembered(plan, one.key),
                **{oid: Twin(ours, exact=True) for oid, ours in twins.items()},
            },
            visible=visible,
            links=links,
        ),
        bounds.limits(plan.config),
    )


def _file(plan: Plan, key: str) -> Path:
    return run_directory(plan.session.id) / f"twins{key}"


def remember(plan: Plan, twins: Mapping[str, Twin], key: str = "") -> None:
    """Keep, while a run goes on, which commits of ours stand for the agent's: a branch may begin at one.

    Where that is lost, such a branch has another commit like ours.  ``key`` is a submodule's.
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
