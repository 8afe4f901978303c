"""The files of a box without its commits, for a pack in which git refuses an object.

An agent can make a commit that passes no strict check, or fetch one: old
repositories have dates and modes that git would not write today.  The
snapshots of its work tree may be sound all the same.  Their trees are taken out of
the refused pack, on commits of our own, and make a new pack that goes through
every check from the beginning: what was refused gets no nearer to the project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import RejectedError
from realm.store.quarantine import quarantine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import Checkpoint
    from realm.store.ingest import Intake
    from realm.store.limits import Limits
    from realm.store.quarantine import Quarantine

_PERSON = ("-c", "user.name=realm", "-c", "user.email=realm@localhost")


def without_commits(intake: Intake, points: Sequence[Checkpoint], limits: Limits, directory: Path) -> Intake:
    """Return an intake of the files of ``points`` alone; its pack is made in ``directory``.

    Raises :class:`RejectedError` when they are not all there.
    """
    if intake.pack is None:
        return intake
    with quarantine(intake.project) as held:
        held.take_in(intake.pack, limits, strict=False)
        made = {point.snapshot: _commit(held, limits, intake.tip, point.snapshot) for point in points}
        pack = _pack(held, limits, intake.tip, list(made.values()), directory)
    kept = [point._replace(head=intake.tip, snapshot=made[point.snapshot]) for point in points]
    return intake._replace(points=kept, pack=pack)


def _commit(held: Quarantine, limits: Limits, tip: str, snapshot: str) -> str:
    """Return a commit of our own, in quarantine, with a snapshot's tree."""
    if snapshot == tip:
        return tip
    order = ("commit-tree", "-p", tip, "-m", "snapshot", "--end-of-options", f"{snapshot}^{{tree}}")
    return _asked(held, limits, *_PERSON, *order).decode("ascii", "replace").strip()


def _pack(held: Quarantine, limits: Limits, tip: str, commits: list[str], directory: Path) -> Path:
    wanted = "".join(f"{oid}\n" for oid in [*commits, f"^{tip}"]).encode()
    order = ("pack-objects", "-q", "--revs", "--delta-base-offset", str(directory / "files"))
    name = _asked(held, limits, *order, stdin=wanted).decode("ascii", "replace").strip()
    return directory / f"files-{name}.pack"


def _asked(held: Quarantine, limits: Limits, *arguments: str, stdin: bytes | None = None) -> bytes:
    result = held.limited(limits, *arguments, stdin=stdin)
    if result.code != 0:
        raise RejectedError("the box's files are not all there")
    return result.out
