"""Merging a session's changes with others in memory: from trees to a tree.

The user's work tree and index are not needed.  git 2.38 merges in one step (``merge-tree``), with renames;
for older versions realm merges file by file.
"""

from __future__ import annotations

import itertools
import os
import re
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError, RealmError
from realm.git import git, reason
from realm.paths import scratched
from realm.store import names, sparse, worktree
from realm.store.commits import tree_of
from realm.text import clean, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from realm.git import GitResult
    from realm.model import Project

_PERSON = ("-c", "user.name=realm", "-c", "user.email=realm@localhost", "-c", "commit.gpgSign=false")
_ALONE = ("-c", "core.splitIndex=false", *sparse.WHOLE)
_OURS = b"2"
_STAGES = (_OURS, b"1", b"3")
"""Ours, the base, and theirs: the order of git-merge-file(1)."""
_CUT_OFF = re.compile("unable to (?:write|create) |cannot create directory ")
"""git's errors when it could write only some files: the disk is full, or part of it read-only."""
_UNKNOWN = 129
"""git's exit code for an unknown option."""


class ConflictError(RealmError):
    """Both sides changed the same lines of ``paths`` (clean text)."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(f"both sides changed {listed(list(paths) or ['the same files'])}")
        self.paths = tuple(paths)


class TornError(RealmError):
    """Some files of the work tree were rewritten and others not."""


def merge(project: Project, base: str, ours: str, theirs: str, *, keep: bool = False) -> str:
    """Return the tree of ``ours`` with the changes of ``theirs`` since ``base`` (commits or trees).

    For lines that both changed, ``keep`` prefers ``ours``; without it :class:`ConflictError` is raised.
    Only objects are written.
    """
    trees = [tree_of(project, rev) for rev in (base, ours, theirs)]
    if trees[0] == trees[1]:
        return trees[2]
    if trees[2] in trees[:2]:
        return trees[1]
    if keep:
        return _by_files(project, *trees, keep=True)
    root = nameless(project, trees[0])
    sides = [nameless(project, tree, root) for tree in trees[1:]]
    how = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages")
    done = git(*how, "--end-of-options", *sides, project=project, check=False)
    if done.code == _UNKNOWN:
        return _by_files(project, *trees)
    cells = done.out.decode("utf-8", "replace").split("\0")
    if done.code == 0:
        return cells[0].strip()
    if done.code == 1:
        raise ConflictError([clean(name, limit=200) for name in dict.fromkeys(cells[1:]) if name])
    raise GitError(f"git merge-tree: {reason(done.err)}", "git fsck")


def nameless(project: Project, tree: str, *parents: str) -> str:
    """Return a commit without a real author or ref, as git merges commits, not trees."""
    above = [word for parent in parents for word in ("-p", parent)]
    return git(*_PERSON, "commit-tree", *above, "-m", "realm", tree, project=project).text


def _by_files(project: Project, base: str, ours: str, theirs: str, *, keep: bool = False) -> str:
    """Merge trees as git's ``resolve`` strategy does, file by file, in a private index."""
    with scratched("merge") as directory:
        here = partial(git, *_ALONE, project=project, env={"GIT_INDEX_FILE": str(directory / "index")})
        here("read-tree", "-i", "-m", "--aggressive", base, ours, theirs)
        unmerged: dict[bytes, dict[bytes, tuple[bytes, bytes]]] = {}
        for row in here("ls-files", "-u", "-z").out.split(b"\0")[:-1]:
            words, _, name = row.partition(b"\t")
            mode, oid, stage = words.split()
            unmerged.setdefault(name, {})[stage] = mode, oid
        lines = [_merged(here, directory, name, sides, keep=keep) for name, sides in unmerged.items()]
        if keep:
            gone = (b"0", b"0" * len(base))
            for at, (name, sides) in enumerate(unmerged.items()):
                lines[at] = lines[at] or b"%s %s 0\t%s\0" % (*sides.get(_OURS, gone), name)
        if None in lines:
            paths = [name for name, line in zip(unmerged, lines, strict=True) if line is None]
            raise ConflictError([clean(path, limit=200) for path in paths])
        here("update-index", "-z", "--index-info", stdin=b"".join(filter(None, lines)))
        return here("write-tree").text


def _merged(
    here: Callable[..., GitResult], directory: Path, name: bytes, sides: Mapping[bytes, tuple[bytes, bytes]],
    *, keep: bool,
) -> bytes | None:  # fmt: skip
    """Return the index entry for a file that both sides changed, ``None`` for a conflict.

    ``keep`` prefers ours for lines that both changed.  ``sides`` has a mode and an object for each of git's
    stages.  The bytes are merged as stored, ignoring the project's attributes and the programs they run.
    """
    modes = {sides[stage][0] for stage in (b"2", b"3") if stage in sides}
    if len(sides) < len(_STAGES) or len(modes) != 1 or not modes < {b"100644", b"100755"}:
        return None
    files = [directory / stage.decode() for stage in _STAGES]
    for file, stage in zip(files, _STAGES, strict=True):
        file.write_bytes(here("cat-file", "blob", sides[stage][1].decode()).out)
    favour = ["--ours"] if keep else []
    done = here("merge-file", "-p", *favour, *map(str, files), check=False)
    if done.code != 0:
        return None
    made = here("hash-object", "-w", "--stdin", stdin=done.out).text
    return b"%s %s 0\t%s\0" % (modes.pop(), made.encode(), name)


def is_contained(project: Project, base: str, tip: str, onto: str) -> bool:
    """Tell whether ``onto`` has all changes from ``base`` to ``tip``: merging them changes nothing."""
    try:
        return merge(project, base, onto, tip) == tree_of(project, onto)
    except ConflictError:
        return False


def limited(project: Project, base: str, tip: str, paths: Sequence[str]) -> str:
    """Return the tree of ``base`` with ``paths`` as in ``tip``.

    They are git pathspecs relative to the user's directory.  Raises :class:`RealmError` for a path that
    neither has.
    """
    with scratched("paths") as directory:
        env = {"GIT_INDEX_FILE": str(directory / "index")}
        git("read-tree", tree_of(project, base), project=project, env=env)
        order = ("restore", "--staged", f"--source={tip}", "--", *paths)
        done = git(*order, project=project, cwd=project.root / project.subdir, env=env, check=False)
        if done.code != 0:
            raise RealmError(reason(done.err), "paths are seen from where you stand")
        return git("write-tree", project=project, env=env).text


def without_first(project: Project, commits: Sequence[str], onto: str) -> str:
    """Return the last of ``commits``, a chain, without the changes of the first.

    The others are recreated on ``onto``, with their authors and messages.  Raises :class:`ConflictError`
    when a later one builds on the first.
    """
    tip = onto
    for before, commit in itertools.pairwise(commits):
        tip = again(project, commit, merge(project, before, tip, commit), tip)
    return tip


def commit(project: Project, tree: str, parent: str, message: str) -> str:
    """Return a commit by the user; no ref points to it."""
    return git("commit-tree", "-p", parent, "-F", "-", tree, project=project, stdin=message.encode()).text


class Missing(NamedTuple):
    """A commit that is not an ancestor of another."""

    oid: str
    parents: tuple[str, ...]
    message: str


def missing(project: Project, wanted: str, tip: str) -> list[Missing]:
    """Return the commits that ``wanted`` reaches and ``tip`` does not, parents first.

    Those whose patch ``tip`` has in another commit are left out.
    """
    form = "--format=%H%x00%P%x00%B%x00"
    how = ("log", "--reverse", "--topo-order", "--no-show-signature", form, "--cherry-pick", "--right-only")
    cells = git(*how, "--end-of-options", f"{tip}...{wanted}", "--", project=project).text.split("\0")
    rows = zip(cells[::3], cells[1::3], cells[2::3], strict=False)
    return [Missing(oid.strip(), tuple(parents.split()), message) for oid, parents, message in rows]


def again(project: Project, commit: str, tree: str, parent: str, message: str = "") -> str:
    """Return a commit of ``tree`` on ``parent`` with the author of ``commit``, and its or another message.

    The same input always gives the same id, so that merging twice adds nothing.
    """
    form = "--format=%an%x00%ae%x00%ad%x00%cd%x00%B"
    told = git("log", "-1", "--no-show-signature", "--date=raw", form, commit, "--", project=project).text
    name, email, date, made, own = told.split("\0", 4)
    author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": date}
    env = {**author, "GIT_COMMITTER_DATE": made}
    order = ("commit-tree", "-p", parent, "-F", "-", tree)
    text = (message or own).encode("utf-8", "surrogateescape")
    return git(*order, project=project, env=env, stdin=text).text


def rewrite_files(project: Project, index: Path, before: str, after: str) -> None:
    """Change the work tree from the tree ``before``, which ``index`` describes, to the tree ``after``.

    The user's own index is not touched.  Raises :class:`RealmError`, and changes nothing, when an ignored
    file would be overwritten, the file system takes two names for one, or a file has changed meanwhile.
    """
    found = git("diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after, project=project)
    cells = found.out.split(b"\0")[:-1]
    kinds = dict(zip(cells[1::2], cells[::2], strict=True))
    asked = git("config", "--type=bool", "core.ignoreCase", project=project, check=False)
    same = names.seen if asked.text == "true" else os.fsdecode
    if blocked := _blocked(project, kinds, same):
        raise RealmError(
            f"nothing was changed: {listed(blocked)} would be overwritten, which git ignores or which came "
            "meanwhile",
            "git status --ignored",
        )
    if doubled := _doubled(project, after, kinds, same):
        raise RealmError(f"nothing was changed: {doubled} are one file here", "git config core.ignoreCase")
    env = {"GIT_INDEX_FILE": str(index)}
    sparse.uncover(project, env, (name for name, kind in kinds.items() if kind != b"A"))
    order = (*_ALONE, "read-tree", "-m", "-u", before, after)
    done = git(*order, project=project, env=env, check=False)
    if done.code != 0:
        why = reason(done.err)
        if done.code >= 0 and not _CUT_OFF.match(why):
            raise RealmError(f"nothing was changed: {why}", "git status --ignored")
        _put_back(project, index, kinds)
        raise RealmError(
            f"nothing was changed: {why or f'git ended with {done.code}'}",
            "df . shows whether the disk is full",
        )


def _put_back(project: Project, index: Path, kinds: Mapping[bytes, bytes]) -> None:
    """Restore the files that git was rewriting from ``index``; new files are removed first, to free space."""
    root = project.root.resolve()
    for path in (root / os.fsdecode(name) for name, kind in kinds.items() if kind == b"A"):
        with suppress(OSError):
            if path.parent.resolve() == path.parent:  # never through a symbolic link, which leads elsewhere
                path.unlink()
    before = b"".join(name + b"\0" for name, kind in kinds.items() if kind != b"A")
    order = (*_ALONE, "checkout-index", "-f", "-z", "--stdin")
    done = git(*order, project=project, env={"GIT_INDEX_FILE": str(index)}, stdin=before, check=False)
    if done.code != 0:
        raise TornError(
            f"your work tree was changed in part, and could not be put back: {reason(done.err)}",
            "df . shows whether the disk is full",
        )


def _doubled(project: Project, tree: str, kinds: Mapping[bytes, bytes], same: Callable[[bytes], str]) -> str:
    """Return names in ``tree`` that are the same on this file system, if one of them is new."""
    new = {same(name) for name, kind in kinds.items() if kind == b"A"}
    listing = git("ls-tree", "-r", "-z", "--name-only", tree, project=project).out if new else b""
    found: dict[str, list[str]] = {}
    for name in listing.split(b"\0")[:-1]:
        if same(name) in new:
            found.setdefault(same(name), []).append(clean(os.fsdecode(name), limit=200))
    return next((listed(each) for each in found.values() if len(each) > 1), "")


def _blocked(project: Project, kinds: Mapping[bytes, bytes], same: Callable[[bytes], str]) -> list[str]:
    """Return ignored files that new ones would overwrite.

    ``kinds`` are the changed files with git's status letters; ``same`` maps names that the file system
    takes for one to the same value.
    """
    known = {same(name) for name, kind in kinds.items() if kind != b"A"}
    blocked = []
    for name in (name for name, kind in kinds.items() if kind == b"A"):
        path = PurePosixPath(os.fsdecode(name))
        for part in (path, *path.parents[:-1]):
            there = project.root / part
            if there.is_dir() and not there.is_symlink():
                inside = worktree.files(project.root, str(part)) if part == path else ()
                blocked += [one for one in inside if same(os.fsencode(one)) not in known][:1]
            elif os.path.lexists(there) and same(os.fsencode(part)) not in known:
                blocked.append(str(part))
    return list(dict.fromkeys(clean(one, limit=200) for one in blocked))
