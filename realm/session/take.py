"""Taking what a sandbox hands over into git: at the end of a turn while it runs, and of the run.

Both are one function, and so is the recovery of a run that was broken off.  It can be
called at any time by whoever holds the run: how far a run has been taken in stands in its
record, which moves together with the code, so that nothing is taken twice, and what is
killed in the middle is done again from there.
"""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError, RefRaceError
from realm.model import State, Taken, Totals, TurnText
from realm.session import audit, bounds, inner, large, leftout, readonly, refusals, secrets, talk
from realm.session.lock import run_directory
from realm.session.recordings import Screens, Shown
from realm.session.run import Outcome
from realm.store import lfs, record, refs, repo, risky, unusual
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.model import Checkpoint, Run, Session
    from realm.sandbox.answers import Conditions
    from realm.sandbox.report import Report
    from realm.session.run import Plan
    from realm.store.commits import Twin
    from realm.store.ingest import Ingested
    from realm.store.left import Found
    from realm.store.submodules import Links

_NOT_RUN = (126, 127)
"""A shell's exit codes when it cannot run a program, or does not find it."""
_SIGNALLED = 128
"""The lowest exit code of a program that a signal ended."""
_TRIES = 5
_POINTERS = 20
"""The most Git LFS pointers without files that are named."""
NO_SCREENS = Screens()


class Ending(NamedTuple):
    """The end of a run.

    The agent's exit code, what its terminal showed, its cause of death, and the conditions it ran under.
    """

    exit_code: int
    shown: Shown | None = None
    died: str = ""
    conditions: Conditions | None = None


class _Now(NamedTuple):
    """A run as git has it; ``meta`` and ``code`` are what its refs are expected to be (``None``: gone)."""

    session: Session
    run: Run
    meta: str | None
    code: str | None
    previous: str


def take(
    plan: Plan, report: Report, notes: Sequence[str] = (), *, number: int = 0, ending: Ending | None = None,
    screens: Screens = NO_SCREENS,
) -> Outcome:  # fmt: skip
    """Take in what ``report`` has and git has not, and renew the run's record; both refs move together.

    ``number`` is that of the hand-over where the run goes on, and without ``ending`` it does;
    ``screens`` are those of turns that have ended.  An empty report has nothing but these.
    ``notes`` go into the record before what is found here.  Raises :class:`RealmError`
    with the way out when it cannot be done: nothing has moved then.
    """
    large.take(plan, report)
    for tries in range(_TRIES):
        now = _now(plan)
        try:
            return _taken(plan, now, report, notes, number, ending, screens)
        except RefRaceError:
            # A push notes in the record where it went; any other move of a ref is not ours to undo.
            if tries == _TRIES - 1 or _now(plan) == now:
                raise
    raise AssertionError("unreachable")


def earlier(session_id: str) -> Path:
    """Return where the packs of a run are kept until its end: later ones, and branches, build on them."""
    return run_directory(session_id) / "earlier"


def way_out(plan: Plan) -> str:
    """Return advice about work that could not be taken in."""
    name = plan.session.name
    return f"realm resume {name} tries again, realm rescue {name} DIRECTORY writes its files there"


def _now(plan: Plan) -> _Now:
    """Return the run as git has it; refs deleted meanwhile are recreated from the run's beginning."""
    project, name = plan.project, plan.session.name
    tips = refs.tips(project, name)
    session, run, meta = plan.session, plan.run, plan.meta
    if tips.meta is not None and record.parent(project, tips.meta) == plan.parent:
        with record.Record(project, name) as found:
            noted = found.session()
            if (
                found.commit() == tips.meta
                and noted.id == session.id
                and found.numbers()[-1:] == [run.number]
            ):
                session, run, meta = noted, found.run(run.number), tips.meta
    if tips.meta is None or tips.code is None:
        run = run._replace(taken=None, after=None)
    before = (run.after if run.taken is not None else None) or run.before
    return _Now(session, run, meta if tips.meta else None, before if tips.code else None, meta)


def _taken(
    plan: Plan, now: _Now, report: Report, before: Sequence[str], number: int, ending: Ending | None,
    screens: Screens,
) -> Outcome:  # fmt: skip
    project, run = plan.project, now.run
    begun = run.taken or Taken(0, 0, run.before, run.before)
    code = (run.after if run.taken is not None else None) or run.before
    if number and number <= begun.number:
        raise RealmError(f"hand-over {number} of run {run.number} is in git already")
    points = [point for point in report.points if point.turn >= begun.turn]
    redactor = secrets.of_plan(plan)
    texts = talk.texts(now.session, report, redactor)
    twins: Mapping[str, Twin] = {}
    inside = inner.take(plan, report, texts, is_end=ending is not None)
    notes = [*_noted(now, report, before), *inside.notes]
    ingested = _ingest(plan, report, points, texts, begun, code, number, inside.links)
    if ingested is not None:
        notes += _unusual(plan, code, ingested.tip)
        code, twins = ingested.tip, ingested.twins
        notes += [
            *ingested.notes, *(f"left out: {path}" for path in ingested.dropped),
            *leftout.keep(plan, ingested.left),
            *_let_out(plan, code, plan.included),
            *_without_files(plan, code),
        ]  # fmt: skip
    last = points[-1] if points else None
    turn = last.turn if last else begun.turn
    with record.Record(project, now.session.name, now.previous) as found:
        said = talk.heard(
            talk.Talk(now.session, run, {}), found if now.meta else None, report, turn,
            bounds.transcript(plan.config),
        )  # fmt: skip
        shown = (ending.shown if ending else None) or Shown()
        if ending is not None:
            screens = shown.of_turns(report.points, found.screens(run.number) if now.meta else ())
        audited = _audited(found, run, ending)
    if ending is not None and (lost := talk.too_long(plan, report)):
        notes.append(lost)
    beside = _beside(plan, run, report, code, turn, twins, ending, inside.links)
    if beside is not None:
        notes += beside.notes
        twins = {**twins, **beside.twins}
    run = talk.with_prompts(said, texts, turn)
    files = {**said.files, **screens.files, **shown.files}
    lacking = [*(name for name in run.incomplete if f"{name}.ans" not in screens.files), *screens.incomplete]
    is_new = ending is not None or code != now.run.after
    run = run._replace(
        risky=risky.kinds(risky.find(project, now.session.base, code)) if is_new else run.risky,
        after=code, notes=tuple(dict.fromkeys([*notes, *readonly.notes(files.values())])),
        incomplete=tuple(dict.fromkeys(lacking)),
        kept=(
            *(beside.kept if beside else [one for one in run.kept if not one.path]),
            *(one for one in run.kept if one.path and one.path not in inside.kept),
            *(one for found in inside.kept.values() for one in found),
        ),
        ends=_turn_ends(run, points),
    )  # fmt: skip
    if ending is None:
        taken = begun if last is None else Taken(number, turn, last.head, last.snapshot, last.time)
        run = run._replace(taken=taken)
    else:
        run = _over(run, plan, ending)
    commits = repo.count_commits(project, code, [run.before]) if code != run.before else 0
    totals = _totals(plan, code, len(run.prompts) or int(commits > 0))
    meta = record.write(
        project, parent=plan.parent,
        previous=now.previous if now.meta or repo.is_there(project, now.previous) else None,
        session=said.session, run=run, totals=totals, state=State.RUNNING if ending is None else State.EXITED,
        files={**secrets.without(redactor, files), **audited},
    )  # fmt: skip
    _move(plan, now, code, meta, beside.updates if beside else (), is_end=ending is not None)
    if ending is None and twins:
        from realm.session import left

        left.remember(plan, twins)
    exit_code = ending.exit_code if ending else 0
    failed = exit_code in _NOT_RUN or (plan.agent.conversations is not None and 0 < exit_code < _SIGNALLED)
    made = commits or inside.commits or run.prompts or said.files or run.kept
    return Outcome(
        code, meta, totals, commits, exit_code, run.notes, failed and not made, run.kept, run.risky,
        is_partial=ingested is not None and ingested.is_partial,
        inside=tuple(inside.commits.items()),
    )  # fmt: skip


def _noted(now: _Now, report: Report, before: Sequence[str]) -> list[str]:
    """Return the record's notes, those to be added, and the sandbox's own."""
    notes = [
        *now.run.notes,
        *before,
        *(f"the container reported: {clean(text, limit=200)}" for text in report.errors),
    ]
    if now.code is None or now.meta is None:
        notes.append(f"the refs of {now.session.name} were deleted during the run: they were created again")
    return [
        *notes,
        *(
            f"{clean(path, limit=200)} was a repository of its own: its files are kept, its history is not"
            for path in report.nested
        ),
        *(
            f"{clean(path, limit=200)} is a submodule of which there is no clone here: its files are kept in "
            "its place"
            for path in report.plain
        ),
    ]


def _turn_ends(run: Run, points: Sequence[Checkpoint]) -> tuple[float, ...]:
    """Return when the turn of each prompt ended; times from the sandbox are limited to the run's duration."""
    now = time.time()
    found = {point.turn: min(max(point.time, run.started), now) for point in reversed(points)}
    found |= {at: moment for at, moment in enumerate(run.ends, 1) if moment}
    return tuple(found.get(at, 0.0) for at in range(1, len(run.prompts) + 1))


def _beside(
    plan: Plan, run: Run, report: Report, code: str, turn: int, twins: Mapping[str, Twin],
    ending: Ending | None, links: Links,
) -> Found | None:  # fmt: skip
    """Take in what else is in the sandbox's repository, if the report lists it."""
    others = report.others
    if not others.left and (plan.run.number == 1 or ending is None) and not (others.is_all and run.kept):
        return None
    from realm.session import left

    return left.take(plan, report, code, turn, twins, links, earlier=earlier(plan.session.id))


def _over(run: Run, plan: Plan, ending: Ending) -> Run:
    """Return the run as one that has ended."""
    return run._replace(
        ended=time.time(),
        exit_code=ending.exit_code,
        stopped=plan.run.stopped,
        taken=None,
        died=ending.died,
        refused=refusals.recorded(plan.session.id),
        dropped=ending.shown.dropped if ending.shown is not None else run.dropped,
    )


def _audited(found: record.Record, run: Run, ending: Ending | None) -> dict[str, bytes]:
    """Return the audit file for the record, if the run has ended."""
    if ending is None:
        return {}
    before = found.file(f"{record.run_directory(run.number)}/{audit.FILE}", audit.LIMIT)
    return {audit.FILE: audit.ended(before, ending.conditions)}


def _totals(plan: Plan, code: str, turns: int) -> Totals:
    """Return the size of the session; ``turns`` are those of this run."""
    base = plan.session.base
    size = repo.diffstat(plan.project, base, code) if code != base else Totals()
    return size._replace(turns=record.count_turns(plan.project, plan.parent) + turns)


def _unusual(plan: Plan, old: str, new: str) -> list[str]:
    """Return warnings about likely accidents, with the command that drops them."""
    if old == new:
        return []
    name = plan.session.name
    return [
        f"{one.what}: " + (f"realm drop {name} {shlex.quote(clean(one.path))} leaves it out" if one.path
                           else f"realm diff {name} --stat shows which")
        for one in unusual.find(plan.project, old, new)
    ]  # fmt: skip


def _let_out(plan: Plan, code: str, included: Sequence[str]) -> list[str]:
    """Return warnings about ignored files that were copied in and are now in commits."""
    return [
        f"the agent committed {clean(path, limit=200)}, which git ignores and which was copied into the "
        "container: look at it before a push"
        for path in repo.committed(plan.project, plan.run.before, code, included)
    ]


def _without_files(plan: Plan, code: str) -> list[str]:
    """Return warnings about pointers of Git LFS to files that are not here."""
    return [
        f"{clean(path, limit=200)} is a pointer of Git LFS to a file that did not come out of the container"
        for path in lfs.missing(plan.project, plan.run.before, code)[:_POINTERS]
    ]


def _ingest(
    plan: Plan,
    report: Report,
    points: Sequence[Checkpoint],
    texts: dict[int, TurnText],
    begun: Taken,
    code: str,
    number: int,
    links: Links,
) -> Ingested | None:
    """Take in the new states; ``None`` if there are none."""
    if all((point.head, point.snapshot) == (begun.head, begun.snapshot) for point in points):
        return None
    from realm.store import ingest

    keeps = bool(number or report.others.left)  # what else it left may build on what is in this pack

    intake = ingest.Intake(
        project=plan.project,
        session=plan.session.name,
        run=plan.run.number,
        tip=plan.run.before,
        points=points,
        texts=texts,
        pack=report.pack,
        started=plan.run.started,
        identity=repo.identity(plan.project),
        onto=code,
        head=begun.head,
        earlier=earlier(plan.session.id) if keeps else None,
        keep=f"{number:04d}" if keeps else "",
        links=links,
    )
    return ingest.ingest(intake, bounds.limits(plan.config))


# -- moving the refs -------------------------------------------------------------


def _move(
    plan: Plan, now: _Now, code: str, meta: str, beside: Sequence[refs.RefUpdate], *, is_end: bool
) -> None:
    """Move both refs from their expected values to the new ones, together with those ``beside``."""
    name = plan.session.name
    updates = [refs.RefUpdate(refs.META + name, now.meta, meta), *beside]
    if code != now.code:
        updates.append(refs.RefUpdate(refs.CODE + name, now.code, code))
    try:
        refs.transact(plan.project, updates, f"realm: run {plan.run.number}", patient=is_end)
    except RealmError as error:
        raise type(error)(
            f"the work of run {plan.run.number} could not be recorded, it is still in its container: "
            f"{error.message}",
            _after_a_race(plan, now),
        ) from error


def _after_a_race(plan: Plan, now: _Now) -> str:
    """Return advice on work that could not be recorded."""
    name = plan.session.name
    tip = refs.tips(plan.project, name).code
    if tip is None or tip == now.code:
        return way_out(plan)
    return (
        f"git branch {name}-other {tip[:12]} && git update-ref {refs.CODE}{name} {now.code}, "
        f"then realm resume {name} takes it in; merge the two afterwards"
    )
