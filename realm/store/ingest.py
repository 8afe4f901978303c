"""Taking in a sandbox's work: unpacked and checked in quarantine, rewritten, then moved to the project.

No object of a sandbox's pack reaches the project unverified, and only objects that the host's own commits
reach are fetched into it.

An agent can make or fetch a commit that fails git's strict check: old repositories have dates and modes that
git would not write today.  The snapshots of its work tree may be valid all the same.  Then their trees are
taken out of the refused pack, put on the host's own commits, and packed anew; the new pack goes through
every check from the beginning, and nothing that was refused reaches the project.  A file that git itself
reads, such as ``.gitattributes``, can be refused as well: it is left out of these trees.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RejectedError
from realm.paths import scratched
from realm.store import signing
from realm.store.commits import Chain, Naming
from realm.store.objects import Objects
from realm.store.quarantine import Limits, UncleanError, quarantine
from realm.store.schema import is_oid
from realm.store.submodules import Links
from realm.store.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.model import Checkpoint, Identity, Project, TurnText
    from realm.store.commits import Twin
    from realm.store.quarantine import Quarantine

_PERSON = ("-c", "user.name=realm", "-c", "user.email=realm@localhost")


class Intake(NamedTuple):
    """A sandbox's report of a run, of which a part may have been taken in before."""

    project: Project
    session: str
    run: int
    tip: str
    """The commit that the run started on."""
    points: Sequence[Checkpoint]
    """In the order in which they happened."""
    texts: Mapping[int, TurnText]
    """The turns' prompts and answers by number."""
    pack: Path | None
    """The sandbox's file of objects; ``None`` if nothing is new."""
    started: float
    """Seconds since the epoch."""
    identity: Identity
    """The author of the commits."""
    known: Sequence[str] = ()
    """Further commits that the sandbox began with."""
    replay: bool = False
    """Whether to keep the messages, as the commits are realm's own, rebased."""
    onto: str = ""
    """The host's commit for the part that was taken in before."""
    head: str = ""
    """The sandbox's own commit at that point."""
    earlier: Path | None = None
    """An object directory with packs of that part, for objects that only the sandbox has."""
    keep: str = ""
    """The name by which to add ``pack`` to ``earlier`` if it is valid."""
    links: Links | None = None
    """The submodules' commits that trees may name; by default those named before."""


class Ingested(NamedTuple):
    """The result of an intake."""

    tip: str
    """The session's new tip, held in the project until a session's ref has it; the old one if unchanged."""
    turns: Mapping[int, tuple[str, ...]] = {}
    """The commits of each turn."""
    dropped: Sequence[str] = ()
    """The files that were left out, and why; clean text, like ``notes``."""
    left: Mapping[bytes, bytes] = {}
    """Contents of such files, and targets of links, by their paths; not all."""
    notes: Sequence[str] = ()
    twins: Mapping[str, Twin] = {}
    """The host's commits by the sandbox's."""
    states: Mapping[str, str] = {}
    """The host's commits by the sandbox's snapshots."""
    is_partial: bool = False
    """Whether git refused an object, and only files were taken in."""


def ingest(intake: Intake, limits: Limits | None = None) -> Ingested:
    """Take in a sandbox's work.

    If git refuses an object of the agent's history, only the files are taken in, with a note.  Raises
    :class:`RejectedError` when the work as a whole fails a check, and :class:`GitError` when the project or
    the quarantine cannot be written.  Then nothing of it is in the project, and the caller should keep the
    sandbox and its pack.
    """
    limits = limits or Limits()
    form = intake.project.object_format
    if not all(is_oid(oid, form) for point in intake.points for oid in (point.head, point.snapshot)):
        raise RejectedError("the container reported a state that is not a commit's id")
    try:
        return _taken(intake, limits)
    except UncleanError as refused:
        if not intake.replay:
            for points in (intake.points, intake.points[-1:]):
                with suppress(RejectedError):
                    return _files_of(intake, points, limits, refused)
        raise


def _files_of(
    intake: Intake, points: Sequence[Checkpoint], limits: Limits, refused: UncleanError,
    known: Mapping[str, str] = {},
) -> Ingested:  # fmt: skip
    """Take in only the files of ``points``, not the commits.

    ``known`` are files with problems that ``refused`` does not name.
    """
    attributes = {**known, **_attributes(refused)}
    with scratched("files") as directory:
        without, dropped, left = _without_commits(intake, points, limits, directory, attributes)
        try:
            done = _taken(without, limits)
        except UncleanError as again:  # git checks files only if nothing else is wrong
            if _attributes(again).keys() <= attributes.keys():
                raise
            return _files_of(intake, points, limits, refused, {**attributes, **_attributes(again)})
    pairs = zip(points, without.points, strict=True)
    states = {was.snapshot: done.states[now.snapshot] for was, now in pairs}
    notes = list(done.notes)
    if not dropped or any(point.head != intake.tip for point in points):
        notes.insert(0, f"{refused.message}: the agent's files were kept, its commits not")
    return done._replace(
        dropped=[*dropped, *done.dropped], left={**left, **done.left}, notes=notes, states=states,
        is_partial=True,
    )  # fmt: skip


def _attributes(refused: UncleanError) -> dict[str, str]:
    """Return the ``.gitattributes`` that are too large for git, or have too long a line, by their ids."""
    return {oid: why for oid, why in refused.problems.items() if why.startswith("gitattributes")}


def _without_commits(
    intake: Intake, points: Sequence[Checkpoint], limits: Limits, directory: Path,
    attributes: Mapping[str, str],
) -> tuple[Intake, list[str], Mapping[bytes, bytes]]:  # fmt: skip
    """Return an intake of only the files of ``points``, and ``dropped`` and ``left`` of it.

    Its pack is made in ``directory``, without the files ``attributes``.  Raises :class:`RejectedError` when
    files are missing.
    """
    if intake.pack is None:
        return intake, [], {}
    project = intake.project
    made = Objects(project.object_format)
    with quarantine(project) as held:
        fresh = held.take_in(intake.pack, limits, strict=False)
        trees = {oid: f"{oid}^{{tree}}" for oid in (intake.tip, *(point.snapshot for point in points))}
        dropped, left = list[str](), dict[bytes, bytes]()
        if attributes:
            order = ("rev-parse", "--verify", "--end-of-options")
            trees = {oid: _asked(held, limits, *order, tree) for oid, tree in trees.items()}
            with held.cat_file() as objects:
                verifier = Verifier(objects, fresh, made, limits, project.object_format, refused=attributes)
                trees = {oid: verifier.tree(tree, trees[intake.tip]) for oid, tree in trees.items()}
                left = verifier.contents()
            dropped = verifier.dropped.lines()
        ours = made.ids
        made.write(held.path / "objects" / "pack")
        commits = {
            point.snapshot: _commit(held, limits, intake.tip, point.snapshot, trees[point.snapshot])
            for point in points
        }
        tips = list(commits.values())
        held.check_closed(tips, (intake.tip, *intake.known), {*fresh, *ours, *tips}, limits)
        pack = _pack(held, limits, intake.tip, tips, directory)
    kept = [point._replace(head=intake.tip, snapshot=commits[point.snapshot]) for point in points]
    return intake._replace(points=kept, pack=pack, head=intake.tip), dropped, left


def _commit(held: Quarantine, limits: Limits, tip: str, snapshot: str, tree: str) -> str:
    """Return a host's commit, in quarantine, of ``tree``: a snapshot's, or that cleaned."""
    if snapshot == tip:
        return tip
    order = ("commit-tree", "-p", tip, "-m", "snapshot", "--end-of-options", tree)
    return _asked(held, limits, *_PERSON, *order)


def _pack(held: Quarantine, limits: Limits, tip: str, commits: list[str], directory: Path) -> Path:
    wanted = "".join(f"{oid}\n" for oid in [*commits, f"^{tip}"]).encode()
    order = ("pack-objects", "-q", "--revs", "--delta-base-offset", str(directory / "files"))
    name = _asked(held, limits, *order, stdin=wanted)
    return directory / f"files-{name}.pack"


def _asked(held: Quarantine, limits: Limits, *arguments: str, stdin: bytes | None = None) -> str:
    result = held.limited(limits, *arguments, stdin=stdin)
    if result.code != 0:
        raise RejectedError("the container's files are not all there")
    return result.out.decode("ascii", "replace").strip()


def _taken(intake: Intake, limits: Limits) -> Ingested:
    project, onto = intake.project, intake.onto or intake.tip
    made = Objects(project.object_format)
    links = intake.links or Links(project, (intake.tip, onto, *intake.known))
    naming = Naming(intake.session, intake.run, intake.identity, intake.started, intake.texts, intake.replay)
    with quarantine(project, intake.earlier) as held:
        sizes = held.earlier(limits) | _unpacked(intake, held, limits)
        with held.cat_file() as objects:
            verifier = Verifier(objects, sizes, made, limits, project.object_format, links)
            chain = Chain(
                onto, objects, made, verifier, naming,
                limits=limits, fresh=sizes, base=intake.tip, head=intake.head or intake.tip,
            )  # fmt: skip
            for point in intake.points:
                chain.add(point)
            left = verifier.contents()
        signed = signing.Signed(chain.tip)
        if chain.tip != onto:
            fresh = {*sizes, *made.ids}
            made.write(held.path / "objects" / "pack")
            held.check_closed([chain.tip], (intake.tip, onto, *intake.known), fresh, limits)
            signed = signing.sign(project, held, onto, chain.tip)
            held.give(signed.tip, [onto])
        if intake.keep:
            held.keep(intake.keep)
    anew = signed.anew
    return Ingested(
        tip=signed.tip,
        turns={turn: tuple(anew.get(oid, oid) for oid in commits) for turn, commits in chain.turns.items()},
        dropped=verifier.dropped.lines(),
        left=left,
        notes=chain.notes.lines() + verifier.notes.lines() + ([signed.problem] if signed.problem else []),
        twins={oid: twin._replace(oid=anew.get(twin.oid, twin.oid)) for oid, twin in chain.twins.items()},
        states={oid: anew.get(made, made) for oid, made in chain.states.items()},
    )


def _unpacked(intake: Intake, held: Quarantine, limits: Limits) -> dict[str, tuple[str, int]]:
    """Unpack the sandbox's pack, and return the type and size of each object by id."""
    if intake.pack is None or intake.pack.lstat().st_size == 0:
        return {}
    sizes = held.take_in(intake.pack, limits)
    if intake.keep and held.bases:
        # Kept with the pack, the bases would count as the sandbox's own next time.
        raise RejectedError("the container's pack was refused: it builds on objects that are not in it")
    return sizes
