"""What a sandbox may see of a project's history, and that history as packs.

A sandbox sees the history of its base, of the branch that HEAD is to be merged
with (its upstream), of the default branch here and at the remote, the tags that
point into these, and what ``realm.historyRefs`` adds.  Nothing else of the
repository goes in: no stash, no other branch, no other session.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError
from realm.git import git
from realm.paths import make_private, realm_home, replace, scratched
from realm.store.schema import is_oid
from realm.store.stores import is_partial, lend
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from realm.model import Project

_HEADS, _REMOTES, _TAGS = "refs/heads/", "refs/remotes/", "refs/tags/"
_LISTED = "%(refname)%00%(objectname)%00%(symref)%00%(HEAD)%00%(upstream)"
_NAMED = "%(refname)%00%(objectname)%00%(objecttype)%00%(*objectname)%00%(*objecttype)"
_ANSWERS = 16
"""The most remembered answers, for each project, to which tags a history has."""


class Tag(NamedTuple):
    """A tag: its own object, and the one that it finally points to."""

    oid: str
    peeled: str


class History(NamedTuple):
    """The part of a project's history that a sandbox may see."""

    project: Project
    trunk: tuple[str, ...]
    """The default branch's commits, here and at the remote, which every sandbox of the project sees."""
    tips: tuple[str, ...]
    """All commits whose history it is, including ``trunk``."""
    own: tuple[str, ...]
    """The session's own commits, which no other sandbox sees."""
    refs: Mapping[str, str]
    """Ids by full name."""
    symbolic: Mapping[str, str]
    """Symbolic refs' targets by full name."""
    tags: Mapping[str, Tag]
    """The tags that point into the history."""
    limit: int = 0
    """The number of commits of a shallow history, 0 for all."""
    shallow: tuple[str, ...] = ()
    """Commits whose parents are left out."""
    unmatched: tuple[str, ...] = ()
    """Patterns of the settings that match nothing."""

    @property
    def key(self) -> str:
        """A key that identifies the project's repository."""
        return key(self.project)

    @property
    def place(self) -> str:
        """Where the repository is."""
        return str(self.project.common_dir)

    @property
    def annotated(self) -> tuple[str, ...]:
        """The ids of annotated tags."""
        return _annotated(self.tags)

    def of_trunk(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the default branch's commits and the annotated tags that point into these."""
        return self.trunk, _annotated(_merged(self.project, self.trunk, self.tags))

    def contains(self, commits: Sequence[str]) -> bool:
        """Tell whether all ``commits`` are in the history."""
        return contains(self.project, commits, (*self.tips, *self.own))

    def stands_on(self, known: Sequence[str]) -> bool:
        """Tell whether a history cut off below ``known`` is enough: all else stands on these very commits."""
        new = [oid for oid in (*self.tips, *self.own) if oid not in known]
        if not new:
            return True
        count, below = _borders(self.project, new, known)
        return count <= self.limit and below <= set(known)

    def pack(
        self, wanted: Iterable[str], known: Iterable[str], directory: Path, *, whole: bool = False
    ) -> Pack | None:
        """See :func:`pack`; a ``whole`` history ends at ``shallow``."""
        return pack(self.project, wanted, known, self.shallow if whole else (), directory)

    def complete(self, directory: Path) -> Pack | None:
        """Return, for a partial clone, the files of the sandbox's own commits that are present here."""
        if not is_partial(self.project):
            return None
        listed = _here(self.project, ["rev-list", "--no-walk"], [*self.tips[:1], *self.own])
        return _written(self.project, [], listed, directory)


class HistoryChoice(NamedTuple):
    """What the settings say: the remote, what git calls a new branch, ``historyRefs`` and ``history``."""

    remote: str = "origin"
    default: str = ""
    patterns: tuple[str, ...] = ()
    limit: int = 0


def find(project: Project, choice: HistoryChoice, base: str, *more: str, own: Sequence[str] = ()) -> History:
    """Return what a sandbox that starts from the commit ``base`` may see; it must have ``more``.

    ``own`` are the session's own commits.
    """
    listed, tags, (added, unmatched) = together(
        lambda: _branches(project), lambda: _tags(project), lambda: _added(project, choice.patterns)
    )
    commits = (base, *more)
    trunk, refs, symbolic = _visible(listed, choice, commits)
    refs |= added
    tips = _commits(project, dict.fromkeys((*commits, *refs.values())))
    refs = {name: oid for name, oid in refs.items() if oid in tips}
    found = History(
        project, tuple(dict.fromkeys(refs[name] for name in trunk if name in refs)), tips,
        tuple(oid for oid in own if oid not in tips), refs, symbolic, {}, choice.limit, project.shallow,
        unmatched,
    )  # fmt: skip
    if not choice.limit:
        return found._replace(tags=_merged(project, tips, tags))
    seen, shallow = _newest(project, (*tips, *found.own), choice.limit)
    kept = {name: tag for name, tag in tags.items() if tag.peeled in seen}
    return found._replace(tags=kept, shallow=shallow)


def key(project: Project) -> str:
    """Return a key that identifies a project's repository."""
    return hashlib.sha256(os.fsencode(project.common_dir.resolve())).hexdigest()[:16]


def _annotated(tags: Mapping[str, Tag]) -> tuple[str, ...]:
    return tuple(sorted({tag.oid for tag in tags.values() if tag.oid != tag.peeled}))


class _Branch(NamedTuple):
    oid: str
    target: str
    """The ref that a symbolic one stands for."""
    is_head: bool
    upstream: str


def _branches(project: Project) -> dict[str, _Branch]:
    shown = git("for-each-ref", f"--format={_LISTED}", _HEADS, _REMOTES, project=project)
    found = {}
    for line in shown.lines:
        name, oid, target, head, upstream = line.split("\0")
        found[name] = _Branch(oid, target, head == "*", upstream)
    return found


def _visible(
    listed: Mapping[str, _Branch], choice: HistoryChoice, commits: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]]:
    """Return the names of the default branch, of all visible refs, and of symbolic ones."""
    here = f"{_REMOTES}{choice.remote}/"
    head = listed.get(f"{here}HEAD")
    named = [head.target.removeprefix(here)] if head is not None and head.target.startswith(here) else []
    default = next(
        (
            name
            for name in (*named, choice.default, "main", "master")
            if name and (_HEADS + name in listed or here + name in listed)
        ),
        "",
    )
    trunk = tuple(name for name in (_HEADS + default, here + default) if default and name in listed)
    seen = list(trunk)
    for name, branch in listed.items():
        if branch.is_head:
            seen += [branch.upstream] if branch.upstream in listed else []
            seen += [name] if branch.oid in commits else []
    refs = {name: listed[name].oid for name in seen}
    symbolic = {f"{here}HEAD": head.target} if head is not None and head.target in refs else {}
    return trunk, refs, symbolic


def _added(project: Project, patterns: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the refs that ``realm.historyRefs`` adds, and its patterns that match none.

    They are git's patterns, for full names or short ones.
    """
    found: dict[str, str] = {}
    unmatched = []
    for pattern in patterns:
        places = [""] if pattern.startswith("refs/") else [_HEADS, _REMOTES, _TAGS]
        full = [place + pattern for place in places]
        shown = git("for-each-ref", f"--format={_NAMED}", "--end-of-options", *full, project=project)
        named = {}
        for line in shown.lines:
            name, oid, kind, peeled, peeled_kind = line.split("\0")
            if "commit" in (kind, peeled_kind):
                named[name] = oid if kind == "commit" else peeled
        found |= named
        if not named:
            unmatched.append(pattern)
    return found, tuple(unmatched)


def _commits(project: Project, oids: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``oids`` that are existing commits."""
    asked = [oid for oid in oids if oid]
    done = git(
        *("cat-file", "--batch-check=%(objectname) %(objecttype)"),
        project=project,
        env={"GIT_NO_LAZY_FETCH": "1"},
        stdin="".join(f"{oid}\n" for oid in asked).encode(),
    )
    kinds = dict(line.split(" ", 1) for line in done.text.splitlines())
    return tuple(oid for oid in asked if kinds.get(oid) == "commit")


# -- tags ----------------------------------------------------------------------


def _tags(project: Project) -> dict[str, Tag]:
    """Return every tag: git has what they stand for beside packed refs, so no object is read."""
    shown = git("show-ref", "--tags", "-d", project=project, check=False)
    found: dict[str, Tag] = {}
    for line in shown.lines:
        oid, _, name = line.partition(" ")
        peeled = name.removesuffix("^{}")
        found[peeled] = Tag(found[peeled].oid if peeled != name else oid, oid)
    return found


def _merged(project: Project, tips: Sequence[str], tags: Mapping[str, Tag]) -> dict[str, Tag]:
    """Return the tags that point into the history of ``tips``.

    Git must walk all of that history; the answer is remembered, so that later it walks only what is new.
    """
    if not tags or not tips:
        return {}
    path = realm_home() / "history" / f"{key(project)}.tags"
    answers = _remembered(path, project.object_format)
    for answer in answers:
        if set(answer.tips) == set(tips) and _unchanged(answer, tags) == set(tags):
            return {name: tags[name] for name in answer.merged if name in tags}
    names = next(
        (found for answer in answers[:4] if (found := _since(project, answer, tips, tags)) is not None), None
    )
    if names is None:
        names = _walked(project, tips, ())
    kept = sorted(names & set(tags))
    oids = {name: tag.oid for name, tag in tags.items()}
    kept_answers = [_Answer(tuple(tips), oids, tuple(kept)), *answers][:_ANSWERS]
    with suppress(OSError):
        make_private(path.parent)
        replace(path, json.dumps([answer._asdict() for answer in kept_answers]).encode())
    return {name: tags[name] for name in kept}


class _Answer(NamedTuple):
    """Which tags, by their names and ids, were found in the history of ``tips``: ``merged``."""

    tips: tuple[str, ...]
    tags: Mapping[str, str]
    merged: tuple[str, ...]


def _remembered(path: Path, object_format: str) -> list[_Answer]:
    """Return the remembered answers; empty if the file is damaged."""
    try:
        answers = [
            _Answer(
                tuple(map(str, value["tips"])),
                {str(name): str(oid) for name, oid in value["tags"].items()},
                tuple(map(str, value["merged"])),
            )
            for value in json.loads(path.read_bytes())
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
    oids = {oid for answer in answers for oid in (*answer.tips, *answer.tags.values())}
    return answers if all(is_oid(oid, object_format) for oid in oids) else []


def _unchanged(answer: _Answer, tags: Mapping[str, Tag]) -> set[str]:
    return {name for name, tag in tags.items() if answer.tags.get(name) == tag.oid}


def _since(
    project: Project, answer: _Answer, tips: Sequence[str], tags: Mapping[str, Tag]
) -> set[str] | None:
    """Return the tags in the history of ``tips``, based on an earlier answer; ``None`` if that is no help."""
    if not contains(project, answer.tips, tips):
        return None
    known = _unchanged(answer, tags)
    asked = [*tips, *(f"^{oid}" for oid in answer.tips)]
    grown = set(git("rev-list", *asked, "--", project=project).text.split())
    names = {name for name, tag in tags.items() if tag.peeled in grown} | (set(answer.merged) & known)
    new = set(tags) - known - names
    return names | (_walked(project, tips, new) if new else set())


def _walked(project: Project, tips: Sequence[str], names: Iterable[str]) -> set[str]:
    among = [f"--merged={tip}" for tip in tips]
    asked = ("for-each-ref", "--format=%(refname)", *among, "--end-of-options", *(names or (_TAGS,)))
    return set(git(*asked, project=project).lines)


# -- packs ---------------------------------------------------------------------


def contains(project: Project, commits: Sequence[str], tips: Sequence[str]) -> bool:
    """Tell whether the history of ``tips`` has all ``commits``, none of which may be gone."""
    others = [oid for oid in commits if oid not in tips]
    if not others:
        return True
    asked = [*others, *(f"^{tip}" for tip in tips)]
    done = git("rev-list", "--max-count=1", *asked, "--", project=project, check=False)
    return done.code == 0 and not done.text


def _borders(project: Project, commits: Sequence[str], known: Sequence[str]) -> tuple[int, set[str]]:
    """Return how many commits ``commits`` reach and ``known`` do not, and the boundary commits."""
    asked = [*commits, *(f"^{oid}" for oid in known)]
    lines = git("rev-list", "--boundary", *asked, "--", project=project).text.split()
    below = {line[1:] for line in lines if line.startswith("-")}
    return len(lines) - len(below), below


def _newest(project: Project, tips: Sequence[str], limit: int) -> tuple[set[str], tuple[str, ...]]:
    """Return the newest ``limit`` commits, always with ``tips``, and those whose parents are left out."""
    shown = git("rev-list", "--parents", f"--max-count={limit}", *tips, "--", project=project).text
    parents = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    cut = [oid for oid, older in parents.items() if not parents.keys() >= set(older)]
    seen = parents.keys() | set(tips)
    return seen, tuple({*cut, *(seen - parents.keys()), *(oid for oid in project.shallow if oid in seen)})


class Pack(NamedTuple):
    """A pack on the host: its files, and their size in bytes."""

    files: tuple[Path, ...]
    size: int


def pack(
    project: Project, wanted: Iterable[str], known: Iterable[str], shallow: Iterable[str], directory: Path
) -> Pack | None:
    """Write what ``wanted`` reach and ``known`` do not into ``directory``, as a pack with its index.

    ``shallow`` are commits that end the history.  Nothing is written into the
    project, and ``directory`` may be on another disk.  ``None`` when there is
    nothing to write.
    """
    revisions = [*wanted, *(f"^{oid}" for oid in known)]
    if is_partial(project):
        with scratched("shallow") as place:
            cut = place / "shallow"
            cut.write_text("".join(f"{oid}\n" for oid in (*shallow, *project.shallow)))
            return _written(
                project, [], _here(project, ["--shallow-file", str(cut), "rev-list"], revisions), directory
            )
    lines = [*(f"--shallow {oid}" for oid in shallow), *revisions]
    return _written(project, ["--revs"], "".join(f"{line}\n" for line in lines).encode(), directory)


def _here(project: Project, order: Sequence[str], revisions: Sequence[str]) -> bytes:
    """Return the objects of ``order`` that a partial clone has, as input for ``git pack-objects``.

    On its own, that requires every tree.
    """
    asked = "".join(f"{line}\n" for line in revisions).encode()
    listed = git(*order, "--objects", "--missing=print", "--stdin", project=project, stdin=asked).out
    return b"".join(line for line in listed.splitlines(keepends=True) if not line.startswith(b"?"))


def _written(project: Project, options: list[str], lines: bytes, directory: Path) -> Pack | None:
    objects = directory / "objects"
    (objects / "pack").mkdir(parents=True)
    lend(objects, project.object_stores)
    try:
        done = git(
            *("-c", "pack.packSizeLimit=0", "-c", "pack.writeReverseIndex=false"),
            *("pack-objects", *options, "--quiet", "--non-empty", "--delta-base-offset"),
            str(objects / "pack" / "pack"),
            project=project,
            env={"GIT_OBJECT_DIRECTORY": str(objects), "GIT_GRAFT_FILE": os.devnull},
            stdin=lines,
        )
    except GitError as error:
        message = f"the project's history cannot be packed: {error.message}"
        raise GitError(message, error.hint or "git fsck") from error
    if not done.text:
        return None
    stem = objects / "pack" / f"pack-{done.text}"
    found = [stem.with_suffix(".pack"), stem.with_suffix(".idx")]
    if is_partial(project):
        # What it lacks is missing on purpose.
        found.append(stem.with_suffix(".promisor"))
        found[-1].touch()
    return Pack(tuple(found), sum(path.stat().st_size for path in found))
