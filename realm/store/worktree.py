"""The user's work tree, which is read and never changed, and temporary linked ones."""

from __future__ import annotations

import os
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError, UsageError
from realm.git import git
from realm.store import sparse
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realm.model import Identity, Project

INCLUDE_FILE = ".worktreeinclude"
"""Patterns, in .gitignore's syntax, of ignored files that sandboxes get a copy of."""


class Include(NamedTuple):
    """A file to copy into the sandbox: ``path`` in the work tree with ``/``, ``source`` on the host.

    ``place`` is the path that ignore rules name: its ignored parent directory's, or its own.
    """

    path: str
    source: Path
    place: str


def dirty(project: Project) -> list[str]:
    """Return the paths of files that differ from HEAD or are new and not ignored."""
    asked = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    found = _list(project, *asked, "--ignore-submodules=dirty")
    return list(dict.fromkeys(line[3:] for line in found))  # after two letters and a space


def tracked_count(project: Project) -> int:
    """Return how many files git tracks, from the index's header (gitformat-index(5)); 0 without an index."""
    try:
        with (project.git_dir / "index").open("rb") as file:
            head = file.read(12)
    except OSError:
        return 0
    return int.from_bytes(head[8:12], "big") if head[:4] == b"DIRC" else 0


def largest(project: Project) -> tuple[str, int]:
    """Return the largest file that is changed, or new and not ignored, and its bytes; 0 if there is none."""
    found = [("", 0)]
    for path in _list(project, "ls-files", "--others", "--modified", "--exclude-standard", "-z"):
        with suppress(OSError):
            found.append((path, (project.root / path).lstat().st_size))
    return max(found, key=lambda one: one[1])


def snapshot(project: Project, index: Path, objects: Path | None = None) -> str:
    """Return a tree of the work tree's current files that git does not ignore, and write its ``index``.

    New objects go to the directory ``objects``, by default the project's own.
    """
    import shutil

    try:
        # Keeps the time, as git compares files' times with the index's.
        shutil.copy2(project.git_dir / "index", index)
    except FileNotFoundError:
        raise RealmError("the work tree has no index to compare with", "git reset") from None
    env = {"GIT_INDEX_FILE": str(index)} | ({"GIT_OBJECT_DIRECTORY": str(objects)} if objects else {})
    settings = ("core.splitIndex=false", "advice.addEmbeddedRepo=false", "core.safecrlf=false")
    quiet = [word for setting in settings for word in ("-c", setting)]
    sparse.notice(project, env)
    # Untracked repositories are listed as one path with a trailing slash.
    untracked = _list(project, "ls-files", "--others", "--exclude-standard", "-z")
    without = [f":(exclude,top,literal){path[:-1]}" for path in untracked if path.endswith("/")]
    git(*quiet, *sparse.WHOLE, "add", "--all", "--", ".", *without, project=project, env=env)
    return git(*quiet, "write-tree", project=project, env=env).text


def write_wip(project: Project, base: str, message: str, identity: Identity) -> str | None:
    """Commit the work tree on ``base``; return the commit, or ``None`` if it equals ``base``'s tree.

    All files that are not ignored are included, except untracked nested repositories, whose commits a sandbox
    does not have.  This uses a quarantine and a private copy of the index; the user's index, stash and files
    are not touched.
    """
    from realm.store import signing
    from realm.store.commits import moment, tree_of
    from realm.store.objects import Objects
    from realm.store.quarantine import quarantine

    with quarantine(project) as held:
        tree = snapshot(project, held.path / "index", held.path / "objects")
        if tree == tree_of(project, base):
            return None
        made, author = Objects(project.object_format), (identity, moment(time.time()))
        commit = made.commit(tree, [base], message, author, author)
        made.write(held.path / "objects" / "pack")
        commit = signing.sign(project, held, base, commit).tip
        held.give(commit, [base])
    return commit


def _excludes(project: Project, known: Mapping[str, str] | None) -> str:
    path = None if known is None else known.get("core.excludesfile", "")
    if path is not None and not path.startswith(("~", "%(")):
        return path
    asked = git("config", "--type=path", "--get", "core.excludesFile", project=project, check=False)
    return asked.text if asked.code == 0 else ""


def ignore_lines(project: Project, known: Mapping[str, str] | None = None) -> bytes:
    """Return the ignore rules that are not in the tree: ``info/exclude`` and ``core.excludesFile``.

    ``known`` are git's settings, if they were read already.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    own = Path(_excludes(project, known) or Path(home, "git", "ignore"))
    parts = []
    for path in (own, project.common_dir / "info" / "exclude"):
        try:
            parts.append((project.root / path).read_bytes())
        except OSError:
            continue
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts if part)


def named(project: Project, paths: Sequence[str]) -> tuple[str, ...]:
    """Return ``paths`` of the command line, relative to the user's directory, as paths from the top."""
    return tuple(_inside(project, path, project.root / project.subdir) for path in paths)


def included(
    project: Project, paths: Sequence[str], settings: Sequence[str] = (), before: Sequence[str] = ()
) -> list[Include]:
    """Return the untracked files to copy into the sandbox, sorted by path.

    ``paths`` are from the command line, relative to the user's directory; each must exist, be inside the work
    tree and not be tracked.  ``settings`` (``realm.include``) are relative to the top, and skipped if
    missing, as are an earlier run's paths, ``before``, which may be tracked by now.
    """
    wanted = [*named(project, paths), *_existing(project, settings)]
    again = _existing(project, before)
    found: set[str] = set()
    if wanted or again:
        patterns = [f":(literal,top){path}" for path in (*wanted, *again)]
        tracked = set(_list(project, "ls-files", "-z", "--", *patterns))
        for path in wanted:
            if path in tracked:
                raise UsageError(
                    f"{clean(path)} is tracked by git: the container has it already",
                    "--wip includes uncommitted changes",
                )
        for path in (*wanted, *again):
            found.update(set(files(project.root, path)) - tracked)
    return _placed(project, sorted(found))


def _existing(project: Project, paths: Sequence[str]) -> list[str]:
    there = [path for path in paths if os.path.lexists(project.root / path)]
    return [_inside(project, path, project.root) for path in there]


def _inside(project: Project, path: str, start: Path) -> str:
    """Return ``path`` relative to the top of the work tree; :class:`UsageError` when it may not be copied."""
    shown = clean(path)
    if not path or "\0" in path:
        raise UsageError("a path to include is empty", "--include PATH")
    full = Path(os.path.normpath(start / path))
    if not os.path.lexists(full):
        raise UsageError(f"{shown} does not exist", "ls -a")
    real, root = full.parent.resolve() / full.name, project.root.resolve()
    if full == project.root or not real.is_relative_to(root):
        raise UsageError(
            f"{shown} is not a path inside the work tree", "--include takes files of the project only"
        )
    relative = real.relative_to(root)
    if any(part.lower() == ".git" for part in relative.parts):
        raise UsageError(
            f"{shown} belongs to git: it is never copied into a container",
            "--include takes files of the project only",
        )
    if _kind(real) is None:
        raise UsageError(f"{shown} is neither a file nor a directory", "leave it out of --include")
    return relative.as_posix()


def _kind(path: Path) -> str | None:
    """Return ``file``, ``link`` or ``directory``; ``None`` for sockets, devices and missing files."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory"}
    return kinds.get(stat.S_IFMT(mode))


def files(root: Path, path: str, failed: Callable[[OSError], None] | None = None) -> Iterator[str]:
    """Yield the files and links at or below ``path``, without repositories' ``.git``.

    Unreadable directories are skipped; ``failed`` is called for each.
    """
    if _kind(root / path) != "directory":
        yield path
        return
    for directory, names, files in os.walk(root / path, onerror=failed):
        below = Path(directory).relative_to(root)
        links = [name for name in names if _kind(Path(directory, name)) == "link"]
        names[:] = [name for name in names if name not in links and name.lower() != ".git"]
        for name in files + links:
            if name.lower() != ".git" and _kind(Path(directory, name)) in ("file", "link"):
                yield (below / name).as_posix()


def pattern_file(project: Project) -> bytes | None:
    """Return the content of ``.worktreeinclude``, ``None`` if there is no such regular file.

    As it is part of the project, it is used only after the user has approved it.
    """
    path = project.root / INCLUDE_FILE
    return path.read_bytes() if _kind(path) == "file" else None


def matched(project: Project) -> list[Include]:
    """Return the files that ``.worktreeinclude`` matches and git ignores; sorted by path."""
    patterns = project.root / INCLUDE_FILE
    if _kind(patterns) != "file":
        return []
    matches = _list(project, "ls-files", "--others", "--ignored", "-z", f"--exclude-from={patterns}")
    if not matches:
        return []
    asked = b"".join(os.fsencode(path) + b"\0" for path in matches)
    ignored = git("check-ignore", "-z", "--stdin", project=project, stdin=asked, check=False).out
    names = sorted(os.fsdecode(name) for name in ignored.split(b"\0") if name)
    there = [name for name in names if _kind(project.root / name) in ("file", "link")]
    return _placed(project, there)


def _placed(project: Project, paths: Sequence[str]) -> list[Include]:
    """Return the files with their places, as one ignore rule for each of thousands would be too many."""
    above = {
        path: [parent.as_posix() for parent in reversed(PurePosixPath(path).parents)][1:] for path in paths
    }
    asked = b"".join(
        os.fsencode(path) + b"\0" for path in sorted({one for each in above.values() for one in each})
    )
    told = (
        git("check-ignore", "-z", "--stdin", project=project, stdin=asked, check=False).out if asked else b""
    )
    ignored = {os.fsdecode(path) for path in told.split(b"\0")}
    return [
        Include(path, project.root / path, next((one for one in above[path] if one in ignored), path))
        for path in paths
    ]


def _list(project: Project, *args: str) -> list[str]:
    return [os.fsdecode(name) for name in git(*args, project=project).out.split(b"\0") if name]


@contextmanager
def linked(project: Project, directory: Path, base: str, commit: str) -> Iterator[None]:
    """Make ``directory`` a linked work tree at ``commit`` until the context ends.

    If the user's is sparse, so is this one, except for files changed since ``base``.  No hooks and no filters
    are run, whatever attributes the commit's tree has.  The records of linked work trees in other scratch
    directories that are gone, as after a killed process, are removed first.
    """
    env = _without_programs(project)
    _forget(project, directory.parents[1].resolve(), env)
    how = ("--quiet", "--detach", "--no-checkout")
    git("worktree", "add", *how, str(directory), commit, project=project, env=env)
    try:
        found = git("rev-parse", "--absolute-git-dir", cwd=directory, env=env).text
        there = (f"--git-dir={found}", f"--work-tree={directory}")
        git(*there, "read-tree", "--reset", "-u", commit, cwd=directory, env=env)
        if changed := b"".join(name + b"\0" for name in sparse.changed(project, base, commit)):
            for order in ("update-index", "--no-skip-worktree"), ("checkout-index", "-q", "-u"):
                full = (*there, *sparse.WHOLE, *order, "-z", "--stdin")
                git(*full, cwd=directory, env=env, stdin=changed, check=False)
        yield
    finally:
        git("worktree", "remove", "--force", "--force", str(directory), project=project, env=env, check=False)


def _forget(project: Project, scratches: Path, env: Mapping[str, str]) -> None:
    """Remove git's records of missing linked work trees below ``scratches``; a user's may be unmounted."""
    for file in (project.common_dir / "worktrees").glob("*/gitdir"):
        place = Path(os.fsdecode(file.read_bytes().rstrip(b"\n"))).parent
        if place.is_relative_to(scratches) and not os.path.lexists(place):
            order = ("worktree", "remove", "--force", "--force", "--end-of-options", str(place))
            git(*order, project=project, env=env, check=False)


def _without_programs(project: Project) -> dict[str, str]:
    """Return variables that turn off hooks and every configured filter (git-config(1))."""
    asked = ("config", "-z", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process|required)$")
    found = git(*asked, project=project, check=False).text.split("\0")
    names = dict.fromkeys(name for name in found if name)
    settings = {"core.hooksPath": os.devnull, "core.fsmonitor": "false"}
    settings |= {name: "false" if name.endswith(".required") else "" for name in names}
    pairs = [
        (f"GIT_CONFIG_{kind}_{number}", value)
        for number, pair in enumerate(settings.items())
        for kind, value in zip(("KEY", "VALUE"), pair, strict=True)
    ]
    return {"GIT_CONFIG_COUNT": str(len(settings)), **dict(pairs)}
