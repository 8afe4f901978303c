"""Takes in work in submodules and in repositories beside the project, before the project's own.

A commit that the sandbox made in one is rewritten in the host's clone of it, on ``refs/realm/<name>``, and
the project's trees are made to name that one; what else was left there is kept beside it.  Progress is noted
in the run's directory so that nothing is written twice; if the note is lost, some of it is.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError, RejectedError
from realm.paths import replace
from realm.sandbox.repositories import BESIDE
from realm.session import bounds, homes, large, leftout, neighbours, sight
from realm.session.lock import run_directory
from realm.store import history, refs, repo, submodules
from realm.store.commits import Twin
from realm.store.ingest import Intake, ingest
from realm.store.schema import is_oid
from realm.store.submodules import Links, There
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.model import Checkpoint, Kept, Project, TurnText
    from realm.sandbox.report import Report
    from realm.session.run import Plan
    from realm.store.submodules import Submodule


_MOST_PUBLISHED = 1000
_MOST_POINTERS = 20


class Inside(NamedTuple):
    """The result: the commits that the project's trees may name, notes, and commits by submodule.

    ``kept`` is what is kept beside these, by path, if it may have changed.
    """

    links: Links
    notes: Sequence[str] = ()
    commits: Mapping[str, int] = {}
    kept: Mapping[str, Sequence[Kept]] = {}


class _State(NamedTuple):
    """How far a submodule's work is taken in: ``onto`` is the host's commit for the sandbox's last state.

    ``twins`` maps the sandbox's commits to the host's.
    """

    onto: str
    head: str
    snapshot: str
    twins: dict[str, str]


class _Allowed(NamedTuple):
    """The commits that a submodule's own trees may name, as :class:`realm.store.submodules.Links` has it."""

    twins: Mapping[str, Mapping[str, str]]
    published: Sequence[tuple[str, str]]


class BesideError(RejectedError):
    """The work beside the project cannot be taken in; the project's own can."""


def take(plan: Plan, report: Report, texts: Mapping[int, TurnText], *, is_end: bool) -> Inside:
    """Take in the reported work in them; raises as :func:`realm.store.ingest.ingest`.

    A failure beside the project is left for later; at the run's end, after everything else, it raises
    :class:`BesideError`.
    """
    states = _remembered(plan)
    ends = (plan.session.base, plan.run.before)
    if not (report.inner or report.inner_others or report.published or states):
        return Inside(Links(plan.project, ends))
    found = submodules.find(plan.project, *ends)
    found += [one for one in plan.neighbours if one.parent == BESIDE]
    twins: dict[str, dict[str, Mapping[str, str]]] = {}
    published = _published(plan, report, found, twins)
    notes: list[str] = []
    commits: dict[str, int] = {}
    kept: dict[str, Sequence[Kept]] = {}
    failed: list[RealmError] = []
    for one in reversed(found):
        allowed = _Allowed(twins.get(one.key, {}), published.get(one.key, []))
        try:
            beside = _work(plan, report, one, states, texts, allowed, notes)
        except RealmError as error:
            if one.parent != BESIDE:
                raise
            failed.append(error)
            continue
        if beside is not None:
            kept[clean(one.path, limit=200)] = beside
        if state := states.get(one.key):
            below = twins.setdefault(one.parent, {})
            below[one.below] = {**below.get(one.below, {}), **state.twins, one.link: one.link}
            if one.clone and state.onto != one.link:
                commits[one.path] = repo.count_commits(one.clone, state.onto, [one.link])
    left = {key for key, others in report.inner_others.items() if others.left}
    lost = (report.inner.keys() | left) - {one.key for one in found}
    if lost:
        raise RejectedError(
            "work in a submodule, or beside the project, cannot be taken in: the repository no longer exists"
        )
    if failed and is_end:
        raise BesideError(failed[0].message, failed[0].hint)
    return Inside(Links(plan.project, ends, twins.get("", {}), published.get("", ())), notes, commits, kept)


def _work(
    plan: Plan, report: Report, one: Submodule, states: dict[str, _State], texts: Mapping[int, TurnText],
    allowed: _Allowed, notes: list[str],
) -> Sequence[Kept] | None:  # fmt: skip
    """Take in the work in one, and update its state; return what is kept beside it, if that is reported."""
    state = states.get(one.key) or _State(one.link, one.link, one.link, {})
    points = _new(report.inner.get(one.key, ()), state)
    others = report.inner_others.get(one.key)
    if not points and (others is None or not (others.left or one.clone)):
        return None
    there = _there(plan, one, allowed)
    if points:
        state = states[one.key] = _taken(plan, report, there, state, points, texts, notes)
        _remember(plan, states)
    return None if others is None else _beside(plan, report, there, state, notes)


def _new(points: Sequence[Checkpoint], state: _State) -> list[Checkpoint]:
    """Return the states that were not taken in yet."""
    last = (state.head, state.snapshot)
    at = max((at for at, point in enumerate(points, 1) if (point.head, point.snapshot) == last), default=0)
    return list(points[at:])


def _there(plan: Plan, one: Submodule, allowed: _Allowed) -> There:
    """Return the host's clone of it; raises :class:`RealmError` where work cannot be taken into it."""
    if one.clone is None:
        name = plan.session.name
        if one.parent == BESIDE:
            why = neighbours.absent(plan.project, plan.session, one.name)
            hint = f"bring it back, then realm resume {name}; realm rescue {name} DIRECTORY writes its files"
        else:
            why = "its repository is gone"
            hint = f"git submodule update --init, then realm resume {name}"
        raise RejectedError(f"the work in {clean(one.path, limit=200)} cannot be taken in: {why}", hint)
    if one.parent == BESIDE:
        name = homes.ref(plan.session, one.name)
        homes.check_own(one.clone, plan.session, name)
    else:
        name = homes.take_name(one.clone, plan.project, plan.session)
    links = Links(one.clone, (one.base, one.link), allowed.twins, allowed.published)
    return There(one, one.clone, name, links)


def _taken(
    plan: Plan, report: Report, there: There, state: _State, points: Sequence[Checkpoint],
    texts: Mapping[int, TurnText], notes: list[str],
) -> _State:  # fmt: skip
    one, clone, shown = there.one, there.clone, clean(there.one.path, limit=200)
    seen = sight.inside(plan, one, clone)
    last = report.points[-1].time if report.points else plan.run.started
    done = ingest(
        Intake(
            project=clone, session=plan.session.name, run=plan.run.number, tip=one.link,
            points=[point._replace(time=last) for point in points], texts=texts,
            pack=report.inner_packs.get(one.key), started=plan.run.started, identity=plan.identity,
            known=(*seen.tips, *seen.own), onto=state.onto, head=state.head, links=there.links,
        ),
        bounds.limits(plan.config),
    )  # fmt: skip
    notes += [f"in {shown}: {note}" for note in done.notes]
    notes += [f"in {shown}, left out: {path}" for path in done.dropped]
    notes += leftout.keep(plan, done.left, one.path)
    if _move(clone, there.name, state.onto, done.tip):
        name = there.name
        notes.append(f"refs/realm/{name} in {shown} had moved; its old commit is in refs/realm-trash/{name}")
    notes += _without_files(plan, there, one.link, done.tip)
    found = {oid: twin.oid for oid, twin in done.twins.items() if twin.exact}
    twins = {**state.twins, **found, **done.states}
    return _State(done.tip, points[-1].head, points[-1].snapshot, twins)


def _beside(plan: Plan, report: Report, there: There, state: _State, notes: list[str]) -> Sequence[Kept]:
    """Take in what else was left, on top of the commit ``state.onto``; return what is kept now."""
    from realm.session import left

    one, clone, name = there.one, there.clone, there.name
    shown = clean(one.path, limit=200)
    turn = report.points[-1].turn if report.points else 0
    twins = {oid: Twin(ours, exact=True) for oid, ours in state.twins.items()}
    found = left.take(plan, report, state.onto, turn, twins, there.links, there=there)
    updates = [*found.updates]
    if found.kept and refs.tips(clone, name).code is None:
        # By that it is found again.
        updates.append(refs.RefUpdate(refs.CODE + name, None, state.onto))
    refs.transact(clone, updates, "realm: work of a session")
    left.remember(plan, found.twins, one.key)
    notes += [f"in {shown}: {note}" for note in found.notes]
    notes += [note for row in found.kept for note in _without_files(plan, there, one.link, row.oid)]
    return [row._replace(path=shown) for row in found.kept]


def _without_files(plan: Plan, there: There, before: str, after: str) -> list[str]:
    """Return warnings about new Git LFS pointers to files that the clone lacks."""
    top, paths = there.one.path, large.take_inside(plan, there.clone, before, after)
    said = "is a pointer of Git LFS to a file that did not come out of the container"
    return [f"{clean(f'{top}/{path}', limit=200)} {said}" for path in paths[:_MOST_POINTERS]]


def _move(clone: Project, name: str, before: str, tip: str) -> bool:
    """Move a ref to ``tip``; tell whether its old commit is not an ancestor, and so went to the trash."""
    old = refs.tips(clone, name).code
    updates = [refs.RefUpdate(refs.CODE + name, old, tip)]
    is_other = bool(old) and old not in (before, tip) and not repo.is_ancestor(clone, old or "", tip)
    if is_other:
        updates += refs.keep_updates(clone, name, refs.Tips(old, None))
    refs.transact(clone, updates, "realm: work of a session")
    return is_other


def _published(
    plan: Plan, report: Report, found: Sequence[Submodule], twins: dict[str, dict[str, Mapping[str, str]]]
) -> dict[str, list[tuple[str, str]]]:
    """Return the commits that remotes reportedly have, by repository.

    Those that the host has go to ``twins``.  Of the latter only those count that the sandbox could see:
    anyone who knows an id could have it inserted.
    """
    kept: dict[str, list[tuple[str, str]]] = {}
    projects = {one.key: one.clone for one in found} | {"": plan.project}
    for oid, path in report.published[-_MOST_PUBLISHED:]:
        above = max(
            (one for one in found if one.clone and path.startswith(f"{one.path}/")),
            key=lambda one: len(one.path), default=None,
        )  # fmt: skip
        parent, below = (above.key, path.removeprefix(f"{above.path}/")) if above else ("", path)
        at = next((one for one in found if one.path == path), None)
        if at is not None and at.clone is None:
            around = projects.get(at.parent)
            if around is not None and submodules.is_known(around, at, oid):
                continue
        if at is None or at.clone is None or not repo.is_there(at.clone, oid):
            kept.setdefault(parent, []).append((oid, below))
            continue
        seen = sight.inside(plan, at, at.clone)
        if history.contains(at.clone, [oid], (*seen.tips, *seen.own)):
            known = twins.setdefault(parent, {})
            known[below] = {**known.get(below, {}), oid: oid}
    return kept


# -- how far it is ---------------------------------------------------------------------


def _file(plan: Plan) -> Path:
    return run_directory(plan.session.id) / "inner.json"


def _remember(plan: Plan, states: Mapping[str, _State]) -> None:
    with suppress(OSError):
        rows = {key: state._asdict() for key, state in states.items()}
        replace(_file(plan), json.dumps({"run": plan.run.number, "states": rows}).encode())


def _remembered(plan: Plan) -> dict[str, _State]:
    """Return the noted states of this run; empty if the file is damaged."""
    try:
        value = json.loads(_file(plan).read_bytes())
        if value["run"] != plan.run.number:
            return {}
        found = {str(key): _State(**row) for key, row in value["states"].items()}
        ids = [
            oid
            for state in found.values()
            for oid in (state.onto, state.head, state.snapshot, *state.twins, *state.twins.values())
        ]
        is_sound = all(is_oid(oid, plan.project.object_format) for oid in ids)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return found if is_sound else {}
