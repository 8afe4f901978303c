"""Taking in what else a sandbox left in its repository (:mod:`realm.store.branches`).

Each commit is verified and rewritten like the session's own, on its newest first-parent ancestor that the
host has already.  A fault here does not affect the session's work.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RejectedError
from realm.git import git
from realm.model import Checkpoint, Kept
from realm.store import history
from realm.store.branches import ASIDE, in_order, listed, parts, place, unescape
from realm.store.commits import Chain, Naming, Twin, moment, parse_commit
from realm.store.ingest import Intake, ingest
from realm.store.objects import Objects
from realm.store.quarantine import Limits, UncleanError, quarantine
from realm.store.refs import BRANCHES, KEEP_DAYS, TRASH, RefUpdate, Tips, keep_updates
from realm.store.verify import Findings, Verifier
from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from pathlib import Path

    from realm.model import Identity, Left, Project
    from realm.store.batch import CatFile
    from realm.store.commits import BoxCommit
    from realm.store.quarantine import Quarantine
    from realm.store.submodules import Links


class Wanted(NamedTuple):
    """A sandbox's report of what else it left; see :class:`realm.store.ingest.Intake` for other fields."""

    project: Project
    session: str
    run: int
    turn: int
    tip: str
    code: str
    """The session's newest commit."""
    left: Sequence[Left]
    """Commits and names, newest stash first."""
    is_all: bool
    """Whether refs kept so far that are not in ``left`` were deleted."""
    pack: Path | None
    started: float
    identity: Identity
    twins: Mapping[str, Twin] = {}
    """The host's commits by the sandbox's, whose objects may be in ``earlier``."""
    visible: Callable[[], Sequence[str]] = tuple
    """Returns the other commits that the sandbox could see."""
    earlier: Path | None = None
    links: Links | None = None


class Found(NamedTuple):
    """The result: ref updates (to objects already in the project), the refs kept now, notes.

    ``twins`` maps the sandbox's commits to the host's, for the next intake.
    """

    updates: Sequence[RefUpdate] = ()
    kept: Sequence[Kept] = ()
    notes: Sequence[str] = ()
    twins: Mapping[str, Twin] = {}


def take(wanted: Wanted, limits: Limits | None = None) -> Found:
    """Take in what else a sandbox left; overwritten and deleted refs go to the trash.

    Commits that fail a check are left out, with a note.  Raises :class:`GitError` when the project or the
    quarantine cannot be written.
    """
    project, session = wanted.project, wanted.session
    before = listed(project, session)
    if not wanted.left and not before:
        return Found()
    notes = Findings()
    after: dict[str, str] = {} if wanted.is_all else dict(before)
    named = _named(wanted.left, notes)
    made, twins = _made(wanted, named, limits or Limits(), before, notes)
    for at, oid in list(made.items()):
        if at.startswith("detached/") and history.contains(project, [oid], [wanted.code]):
            del made[at]  # an earlier turn's, which the session has
    for at in named:
        ref = f"{BRANCHES}{session}/{at}"
        if ref in before:
            after[ref] = before[ref]  # also if its new commit was left out
    after |= {f"{BRANCHES}{session}/{at}": oid for at, oid in made.items()}
    old = {
        ref: oid
        for ref, oid in before.items()
        if oid not in after.values() and not (ref in after and history.contains(project, [oid], [after[ref]]))
    }
    for ref in old.keys() & after.keys():
        kind, part = parts(ref) or ("", "")
        if kind == "heads":
            notes.add(
                f"the branch {unescape(part) or part} was replaced: git for-each-ref "
                f"{TRASH}{session} has what it was, for {KEEP_DAYS} days"
            )
    updates = keep_updates(project, session, Tips(None, None), old) if old else []
    for ref in sorted({*before, *after}):
        if before.get(ref) != after.get(ref):
            updates.append(RefUpdate(ref, before.get(ref), after.get(ref)))
    return Found(updates, _rows(wanted, after), notes.lines(), twins)


def _named(left: Sequence[Left], notes: Findings) -> dict[str, Left]:
    """Return the commits by kind and escaped name; of two with the same name the first counts."""
    found: dict[str, Left] = {}
    number = sum(item.name == "stash" for item in left)
    for item in sorted(left, key=lambda item: item.name.startswith(ASIDE)):
        if item.name == "stash":
            at = f"stash/{number}"
            number -= 1
        elif item.name == "detached":
            at = f"detached/{item.oid[:12]}"
        else:
            at = place(item.name)
            if not at:
                notes.add(f"the ref {clean(item.name, limit=100)} was left out: its name is not valid")
                continue
        found.setdefault(at, item)
    return found


def _made(
    wanted: Wanted, named: Mapping[str, Left], limits: Limits, before: Mapping[str, str], notes: Findings
) -> tuple[dict[str, str], Mapping[str, Twin]]:
    """Give the commits to the project; return those that were not dropped, by kind and name.

    The second value is the twins of all commits along the way.
    """
    with quarantine(wanted.project, wanted.earlier) as held:
        try:
            sizes = held.earlier(limits)
            sizes |= held.take_in(wanted.pack, limits) if wanted.pack is not None else {}
        except UncleanError:
            return _files(wanted, named, limits, notes), {}
        except RejectedError as refused:
            notes.add(f"other branches and stashes were left out: {refused.message}")
            sizes = {}
        with held.cat_file() as objects:
            writer = _Writer(wanted, limits, objects, sizes, before)
            made: dict[str, str] = {}
            for at, left in named.items():
                try:
                    made[at] = writer.twin(left)
                except RejectedError as refused:
                    notes.add(_left_out(left, refused))
        for note in writer.notes():
            notes.add(note)
        return writer.given(held, named, made, notes), writer.twins


def _left_out(left: Left, refused: RejectedError) -> str:
    return f"{clean(left.name, limit=100)} was left out: {refused.message}"


def _files(wanted: Wanted, named: Mapping[str, Left], limits: Limits, notes: Findings) -> dict[str, str]:
    """Take in only the files of each, not its history, as git refused an object."""
    made = {}
    for at, left in named.items():
        point = Checkpoint(left.oid, left.oid, wanted.turn, time.time())
        try:
            done = ingest(
                Intake(
                    wanted.project, wanted.session, wanted.run, wanted.tip, [point], {}, wanted.pack,
                    wanted.started, wanted.identity, links=wanted.links,
                ),
                limits,
            )  # fmt: skip
        except RejectedError as refused:
            notes.add(_left_out(left, refused))
            continue
        for note in done.notes:
            notes.add(f"{clean(left.name, limit=100)}: {note}")
        made[f"detached/{left.oid[:12]}" if left.name == "stash" else at] = done.tip
    return made


class _Writer:
    """Writes the host's commits for a sandbox's; ``sizes`` are types and sizes of its pack's objects."""

    def __init__(
        self, wanted: Wanted, limits: Limits, objects: CatFile, sizes: Mapping[str, tuple[str, int]],
        before: Mapping[str, str],
    ) -> None:  # fmt: skip
        project = wanted.project
        self._wanted = wanted
        self._limits = limits
        self._objects = objects
        self._fresh: Container[str] = sizes
        self._sizes = sizes
        self._made = Objects(project.object_format)
        self._verifier = Verifier(objects, sizes, self._made, limits, project.object_format, wanted.links)
        self._naming = Naming(wanted.session, wanted.run, wanted.identity, wanted.started, {})
        self.twins = dict(wanted.twins)
        self._known = [wanted.tip, wanted.code, *before.values()]
        self._asked = False
        self._notes = Findings()

    def notes(self) -> list[str]:
        """Return notes for the user."""
        dropped = [f"left out: {path}" for path in self._verifier.dropped.lines()]
        return [*self._notes.lines(), *dropped, *self._verifier.notes.lines()]

    def twin(self, left: Left) -> str:
        """Return the host's commit for one of the sandbox's; :class:`RejectedError` if none is possible."""
        return self._stash(left.oid) if left.name == "stash" else self._commit(left.oid)

    def _commit(self, oid: str) -> str:
        if oid in self.twins and self._objects.get(self.twins[oid].oid, self._limits.commit) is None:
            del self.twins[oid]  # of a branch that the user has deleted meanwhile
        if oid in self.twins:
            return self.twins[oid].oid
        start = self._start(oid)
        if start == oid:
            return self.twins[oid].oid if oid in self.twins else oid
        onto = self.twins[start].oid if start in self.twins else start
        chain = Chain(
            onto, self._objects, self._made, self._verifier, self._naming,
            limits=self._limits, fresh=self._fresh, base=onto, head=start,
        )  # fmt: skip
        chain.add(Checkpoint(oid, oid, self._wanted.turn, time.time()))
        self.twins |= chain.twins
        for note in chain.notes.lines():
            self._notes.add(f"in another branch, {note}")
        return chain.tip

    def _start(self, oid: str) -> str:
        """Return the newest first-parent ancestor that has a twin or is the project's."""
        start, steps = oid, 0
        while start in self._fresh and steps <= self._limits.commits:
            if start in self.twins and self.twins[start].exact:
                return start
            commit = self._read(start)
            if not commit.parents:
                self._root(commit)
                return start
            start, steps = commit.parents[0], steps + 1
        if start in self._fresh:
            return self._wanted.tip
        if start not in self.twins:
            self._check_visible(start)
        return start

    def _root(self, commit: BoxCommit) -> None:
        """Write the host's commit for one without parents, which begins a separate history."""
        tree = self._verifier.tree(commit.tree, self._read(self._wanted.tip).tree)
        message = self._naming.agents(commit.message, self._wanted.turn)
        who, now = self._naming.identity, time.time()
        dates = (who, moment(min(commit.when, now))), (who, moment(now))
        self.twins[commit.oid] = Twin(self._made.commit(tree, [], message, *dates), tree == commit.tree)

    def _check_visible(self, oid: str) -> None:
        """Raise unless the sandbox was given this commit: an agent could name any of the project's ids."""
        if self._read(oid).oid in self._known:
            return
        if not history.contains(self._wanted.project, [oid], self._known):
            if not self._asked:
                self._known += self._wanted.visible()
                self._asked = True
            if not history.contains(self._wanted.project, [oid], self._known):
                raise RejectedError(f"it builds on the commit {oid[:12]}, which was not in the container")

    def _stash(self, oid: str) -> str:
        """Write a stash: a commit of the work tree, whose parents are its base, its index and new files."""
        if oid not in self._fresh:
            return self._commit(oid)
        found = self._read(oid)
        if not 2 <= len(found.parents) <= 3:  # noqa: PLR2004
            return self._commit(oid)
        base = self._commit(found.parents[0])
        below = self._read(base).tree
        index = self._bare(self._read(found.parents[1]), below, [base])
        new = [self._bare(self._read(parent), below, []) for parent in found.parents[2:]]
        return self._bare(found, below, [base, index, *new])

    def _bare(self, commit: BoxCommit, below: str, parents: list[str]) -> str:
        """Write a commit with only its message, as git does in a stash."""
        who = self._naming.identity, moment(min(commit.when, time.time()))
        message = clean(first_line(commit.message), limit=200) or "stash"
        return self._made.commit(self._verifier.tree(commit.tree, below), parents, message, who, who)

    def _read(self, oid: str) -> BoxCommit:
        made = self._made.data(oid)
        if made is not None:
            return parse_commit(oid, made)
        found = self._objects.get(oid, self._limits.commit)
        if found is None or found.kind != "commit":
            raise RejectedError("it is not all there")
        return parse_commit(oid, found.data)

    def given(
        self, held: Quarantine, named: Mapping[str, Left], made: dict[str, str], notes: Findings
    ) -> dict[str, str]:
        """Give the project the new commits, except any that refer to objects the sandbox was not given."""
        ids = self._made.ids
        fresh = {*self._sizes, *ids}
        new = [oid for oid in dict.fromkeys(made.values()) if oid in ids]
        if not new:
            return made
        self._made.write(held.path / "objects" / "pack")
        try:
            held.check_closed(new, self._known, fresh, self._limits)
        except RejectedError:
            for at, oid in list(made.items()):
                try:
                    held.check_closed([oid], self._known, fresh, self._limits)
                except RejectedError as refused:
                    notes.add(_left_out(named[at], refused))
                    del made[at]
        for oid in new:
            if oid in made.values():
                held.give(oid, [self._wanted.code])
        return made


def _rows(wanted: Wanted, after: Mapping[str, str]) -> list[Kept]:
    rows = []
    for ref, oid in in_order(after).items():
        kind, part = parts(ref) or ("", "")
        asked = (
            "rev-list",
            "--count",
            "--not",
            "--branches",
            "--tags",
            "--remotes",
            wanted.code,
            "--not",
            oid,
        )
        count = git(*asked, "--", project=wanted.project, check=False).text
        name = unescape(part)
        shown = clean(part if name is None else name, limit=200)
        rows.append(Kept(kind, shown, oid, int(count) if count.isdigit() else 0))
    return rows
