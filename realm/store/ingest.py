"""Taking in what a box made: unpacked and looked at in quarantine, rewritten, then moved.

Nothing of a box's pack touches the project before it has been verified, and
only what the host's own commits reach is moved.  The moved pack carries a
``.keep`` file until :meth:`Ingested.release`, so that no garbage collection
takes it before the caller has moved the session's ref.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from realm.errors import RejectedError
from realm.paths import scratched
from realm.store.commits import Chain, Naming, commit_tree
from realm.store.limits import Limits
from realm.store.move import move, sweep
from realm.store.objects import Objects
from realm.store.quarantine import UncleanError, quarantine
from realm.store.stats import count_turns, diffstat, totals
from realm.store.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.model import Checkpoint, Identity, Project, TurnText
    from realm.store.quarantine import Quarantine

__all__ = [
    "Ingested",
    "Intake",
    "Limits",
    "commit_tree",
    "count_turns",
    "diffstat",
    "ingest",
    "sweep",
    "totals",
]


class Intake(NamedTuple):
    """What a box reported of a run.

    ``tip`` is the commit that the run started on, ``points`` are in the order
    in which they happened, ``texts`` are the turns' prompts and answers by
    number, ``pack`` is the file that came out (``None``: nothing new),
    ``started`` is in seconds since the epoch, ``identity`` signs the commits.
    ``replay`` keeps messages as they are: the commits are realm's own, rebased.
    """

    project: Project
    session: str
    run: int
    tip: str
    points: Sequence[Checkpoint]
    texts: Mapping[int, TurnText]
    pack: Path | None
    started: float
    identity: Identity
    replay: bool = False


class Ingested(NamedTuple):
    """What was taken in; use it in a ``with`` statement, or call :meth:`release`.

    ``tip`` is the session's new tip (the old one when nothing changed),
    ``turns`` the commits of each turn, ``dropped`` says which files were left
    out and why, ``notes`` what else is worth a word; both are clean text.
    """

    tip: str
    turns: Mapping[int, tuple[str, ...]] = {}
    dropped: Sequence[str] = ()
    notes: Sequence[str] = ()
    keep: Path | None = None

    def release(self) -> None:
        """Let git's garbage collection treat the new pack as any other; call it once a ref holds it."""
        if self.keep is not None:
            with suppress(FileNotFoundError):
                self.keep.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def ingest(intake: Intake, limits: Limits | None = None) -> Ingested:
    """Take in what a box made.

    Where git refuses an object of the agent's history, the files are taken in
    without it (:mod:`realm.store.files`), and a note says so.  Raises
    :class:`RejectedError` when it fails a check as a whole, and :class:`GitError`
    when the project or the quarantine cannot be written; nothing of it is in
    the project then, and the box and its pack should stay.
    """
    limits = limits or Limits()
    sweep(intake.project)
    _check_points(intake)
    try:
        return _taken(intake, limits)
    except UncleanError as refused:
        if not intake.replay:
            for points in (intake.points, intake.points[-1:]):
                with suppress(RejectedError):
                    return _files_of(intake, points, limits, refused)
        raise


def _files_of(
    intake: Intake, points: Sequence[Checkpoint], limits: Limits, refused: UncleanError
) -> Ingested:
    from realm.store.files import without_commits

    with scratched("files") as directory:
        done = _taken(without_commits(intake, points, limits, directory), limits)
    note = f"{refused.message}: the agent's files were kept, its commits not"
    return done._replace(notes=[note, *done.notes])


def _taken(intake: Intake, limits: Limits) -> Ingested:
    with quarantine(intake.project) as held:
        filled = intake.pack is not None and intake.pack.lstat().st_size > 0
        sizes = held.take_in(intake.pack, limits) if intake.pack is not None and filled else {}
        return _rewritten(intake, limits, held, sizes)


def _rewritten(
    intake: Intake, limits: Limits, held: Quarantine, sizes: Mapping[str, tuple[str, int]]
) -> Ingested:
    project = intake.project
    made = Objects(project.object_format)
    naming = Naming(intake.session, intake.run, intake.identity, intake.started, intake.texts, intake.replay)
    with held.cat_file() as objects:
        verifier = Verifier(objects, sizes, made, limits, project.object_format)
        chain = Chain(intake.tip, objects, made, verifier, naming, limits=limits, fresh=sizes)
        for point in intake.points:
            chain.add(point)
    keep = None
    if chain.tip != intake.tip:
        made.store_with(held.prefix, held.env, held.path)
        keep = move(held, intake.tip, chain.tip)
    return Ingested(
        tip=chain.tip,
        turns={turn: tuple(commits) for turn, commits in chain.turns.items()},
        dropped=verifier.dropped.lines(),
        notes=chain.notes.lines() + verifier.notes.lines(),
        keep=keep,
    )


def _check_points(intake: Intake) -> None:
    digits = len(intake.project.zero)
    for point in intake.points:
        for oid in (point.head, point.snapshot):
            if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", oid):
                raise RejectedError("the box reported a state that is not a commit's id")
