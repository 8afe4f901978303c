"""Fetching and pushing with the user's git: its credentials, hooks and settings apply."""

from __future__ import annotations

import itertools
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError, UsageError
from realm.git import git, reason
from realm.store import branches
from realm.store.refs import BRANCHES, CODE, META, is_name, temporary
from realm.store.schema import is_oid
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from realm.git import GitResult
    from realm.model import Project
    from realm.store.refs import RefUpdate

_LINES = 50
"""Lines kept of a server's answer."""
_MOST_BESIDE = 100
"""Limit for the other branches fetched with a session."""

_SAYS_NOTHING = re.compile(
    r"error: failed to push|fatal: Could not read|Please make sure you have|and the repository exists"
)
"""Lines that git prints whatever the reason."""
_MOVED = re.compile(rb"is at [0-9a-f]+ but expected|incorrect old value|reference already exists")
"""A server's errors for a branch that another push moved during ours."""


class RefusedError(RealmError):
    """A remote refused a branch; ``moved`` is whether the reason is somebody else's work on it.

    ``there`` is that work's commit, if it could be fetched.
    """

    def __init__(self, message: str, *, moved: bool = False, there: str = "") -> None:
        super().__init__(message, "realm push NAME --as BRANCH")
        self.moved = moved
        self.there = there


class PushOutcome(NamedTuple):
    """The result of a push: the server's own lines (clean text), and whether the branch was up to date."""

    lines: tuple[str, ...]
    unchanged: bool


def remotes(project: Project) -> list[str]:
    """Return the names of the repository's remotes."""
    return git("remote", project=project).lines


def place(project: Project, remote: str, directory: Path) -> str:
    """Return ``remote`` for git: a directory's path, relative to ``directory``, becomes absolute."""
    if not is_url(remote) or remote in remotes(project):
        return remote
    path = directory / os.path.expanduser(remote)  # noqa: PTH111 - Path's own raises where nobody is named so
    return str(path.resolve()) if path.is_dir() else remote


def is_url(remote: str) -> bool:
    """Tell whether ``remote`` looks like a URL or a path, not like the name of a remote."""
    return not remote.startswith("-") and (":" in remote or "/" in remote)


def urls(project: Project, remote: str) -> list[str]:
    """Return the push URLs of ``remote``: after git's rewriting, and as configured."""
    if is_url(remote):
        return [remote]
    asked = (
        ("remote", "get-url", "--push", remote),
        ("config", "--get", f"remote.{remote}.pushurl"),
        ("config", "--get", f"remote.{remote}.url"),
    )
    found = (git(*order, project=project, check=False) for order in asked)
    return [result.text for result in found if result.code == 0]


def shown(remote: str) -> str:
    """Return a remote for display and storage: a URL without user name and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/]*@", r"\1", clean(remote))


def _check_remote(project: Project, remote: str) -> None:
    if is_url(remote):
        return
    known = remotes(project)
    if remote not in known:
        there = "git remote add origin URL"
        if known:
            there = f"git config realm.remote NAME chooses one of those that there are: {', '.join(known)}"
        raise RealmError(f"there is no remote called '{clean(remote)}'", clean(there))


def _check_branch(branch: str) -> None:
    if is_name(branch):  # every session name is a valid branch name
        return
    good = git("check-ref-format", f"refs/heads/{branch}", check=False) if "\0" not in branch else None
    if good is None or good.code != 0 or branch.startswith(("-", "refs/")) or branch == "HEAD":
        raise UsageError(
            f"'{clean(branch)}' is not a valid branch name", "choose another one with --as BRANCH"
        )


def fetch_branch(project: Project, remote: str, branch: str) -> str:
    """Fetch a branch of ``remote`` and return its commit, without changing branches or FETCH_HEAD.

    Raises :class:`RealmError` when there is no such remote or branch, or the remote cannot be reached.
    """
    _check_remote(project, remote)
    _check_branch(branch)
    ref = temporary(project.zero)
    result = git(
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
        *("--recurse-submodules=no", "--refmap=", "--end-of-options", remote, f"+refs/heads/{branch}:{ref}"),
        project=project,
        check=False,
    )
    if result.code != 0:
        raise _fetch_failure(remote, branch, result)
    try:
        return git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}", project=project).text
    finally:
        git("update-ref", "-d", ref, project=project, check=False)


def _fetch_failure(remote: str, branch: str, result: GitResult) -> RealmError:
    if b"couldn't find remote ref" in result.err:
        return RealmError(
            f"{shown(remote)} has no branch '{clean(branch)}'", f"git ls-remote --heads {shown(remote)}"
        )
    return RealmError(
        f"cannot fetch from {shown(remote)}: {_why(remote, result)}", f"git fetch {shown(remote)}"
    )


def push(
    project: Project, *, oid: str, remote: str, branch: str, lease: str | None, force: bool = False
) -> PushOutcome:
    """Push the commit ``oid`` to a branch of ``remote``.

    With a ``lease`` the branch may move in any way if it still is at that commit; without one it must be new
    or a fast-forward; ``force`` overwrites anything.  Raises :class:`RefusedError`, with the commit that is
    there, when the push is refused, and :class:`RealmError` for any other reason.
    """
    _check_remote(project, remote)
    _check_branch(branch)
    ref = f"refs/heads/{branch}"
    how = ["--force"] if force else [f"--force-with-lease={ref}:{lease}"] if lease else []
    result = _push(project, how, remote, f"{oid}:{ref}")
    if lease and not force and _is_moved(result):
        # A fast-forward overwrites nobody's work, whoever moved the branch before.
        result = _push(project, [], remote, f"{oid}:{ref}")
    flag, _ = _answer(result)
    if result.code != 0 or flag == "!":
        raise _push_failure(project, oid, remote, branch, result)
    return PushOutcome(_server_lines(result), flag == "=")


def _push(project: Project, how: list[str], remote: str, refspec: str) -> GitResult:
    command = ("push", "--porcelain", "--no-follow-tags", *how, "--end-of-options", remote, refspec)
    return git(*command, project=project, check=False)


def _is_moved(result: GitResult) -> bool:
    """Tell whether a branch was not at the expected commit, for git or for the server a moment later."""
    summary = _answer(result)[1]
    late = summary.startswith("[remote rejected]") and _MOVED.search(result.out + result.err)
    return summary.startswith("[rejected]") or bool(late)


def _answer(result: GitResult) -> tuple[str, str]:
    """Return the flag and the summary of the one ref that was pushed (git-push(1), ``--porcelain``)."""
    for line in result.out.decode("utf-8", "replace").splitlines():
        cells = line.split("\t")
        if len(cells) > 2 and len(cells[0]) == 1:  # noqa: PLR2004 - flag, refs, summary
            return cells[0], clean(cells[2])
    return "", ""


def _server_lines(result: GitResult) -> tuple[str, ...]:
    text = result.err.decode("utf-8", "replace").replace("\r", "\n")
    lines = [
        clean(line.removeprefix("remote:")).strip() for line in text.split("\n") if line.startswith("remote:")
    ]
    return tuple(line for line in lines if line)[:_LINES]


def _push_failure(project: Project, oid: str, remote: str, branch: str, result: GitResult) -> RealmError:
    there, summary = shown(remote), _answer(result)[1]
    if _is_moved(result):
        theirs, work = _other_work(project, oid, remote, branch)
        message = f"'{clean(branch)}' on {there} has other work: {work}"
        return RefusedError(message, moved=True, there=theirs)
    if summary:
        said = "; ".join(_server_lines(result)[:5])
        return RefusedError(f"{there} refused '{clean(branch)}': {summary}{said and ': '}{said}")
    return RealmError(f"cannot push to {there}: {_why(remote, result)}", f"git push --dry-run {there}")


def _other_work(project: Project, oid: str, remote: str, branch: str) -> tuple[str, str]:
    """Return the branch's commit, and a text with its author and how many more commits ``oid`` lacks."""
    try:
        theirs = fetch_branch(project, remote, branch)
        newest = git(
            "log", "-1", "--format=%h by %an, %ar: %s", "--end-of-options", theirs, project=project
        ).text
        count = int(git("rev-list", "--count", "--end-of-options", theirs, f"^{oid}", project=project).out)
    except RealmError:
        return "", "it cannot be fetched"
    return theirs, clean(newest, limit=200) + (f" (and {count - 1} more)" if count > 1 else "")


def _why(remote: str, result: GitResult) -> str:
    """Return why git failed with a remote: its own or a hook's message, in one line."""
    said = result.err.decode("utf-8", "replace").replace(remote, shown(remote))
    lines = [clean(line, limit=300).strip() for line in said.splitlines()]
    spoken = [line for line in lines if line and not _SAYS_NOTHING.match(line)]
    return reason("\n".join(spoken).encode()) or "git gave no reason"


def squash(project: Project, base: str, tip: str, message: str, known: str | None = None) -> str:
    """Return one commit by the user on ``base`` with the files of ``tip`` and with ``message``.

    ``known``, the commit pushed last time, is returned if it is equivalent.
    """
    from realm.store.commits import commit_tree, tree_of
    from realm.store.repo import identity

    tree = tree_of(project, tip)
    if known:
        asked = ("log", "-1", "--format=%T %P", "--end-of-options", known, "--")
        if git(*asked, project=project, check=False).text.split() == [tree, base]:
            return known
    return commit_tree(project, tree=tree, parent=base, message=message, identity=identity(project))


# -- sessions as they are, under the same names --------------------------------


class SharedRefs(NamedTuple):
    """A session at a remote: its commits, its record, and its other branches by full ref."""

    code: str | None
    meta: str | None
    branches: Mapping[str, str] = {}


def session_there(project: Project, remote: str, name: str) -> SharedRefs:
    """Return the refs of the session ``name`` at ``remote``; of too many other branches only the first."""
    _check_remote(project, remote)
    wanted = (CODE + name, META + name, f"{BRANCHES}{name}/*")
    result = git("ls-remote", "--end-of-options", remote, *wanted, project=project, check=False)
    if result.code != 0:
        raise RealmError(
            f"cannot reach {shown(remote)}: {_why(remote, result)}", f"git ls-remote {shown(remote)}"
        )
    rows = (line.split("\t") for line in result.lines)
    form = project.object_format
    found = {row[1]: row[0] for row in rows if len(row) == 2 and is_oid(row[0], form)}  # noqa: PLR2004 - id, ref
    beside = (ref for ref in found if ref.startswith(f"{BRANCHES}{name}/") and branches.parts(ref))
    kept = {ref: found[ref] for ref in itertools.islice(beside, _MOST_BESIDE)}
    return SharedRefs(found.get(wanted[0]), found.get(wanted[1]), kept)


def push_session(project: Project, remote: str, updates: Sequence[RefUpdate]) -> None:
    """Move refs at ``remote``, all or none, each only from its expected value.

    Raises :class:`RefusedError` when one has another value, or the remote refuses it.
    """
    leases = [f"--force-with-lease={update.ref}:{update.old or ''}" for update in updates]
    specs = [f"{update.new}:{update.ref}" for update in updates]
    command = (
        "push",
        "--porcelain",
        "--atomic",
        "--no-follow-tags",
        *leases,
        "--end-of-options",
        remote,
        *specs,
    )
    result = git(*command, project=project, check=False)
    if result.code == 0:
        return
    if _is_moved(result) or _MOVED.search(result.out + result.err):
        raise RefusedError(f"it changed at {shown(remote)} just now", moved=True)
    said = "; ".join(_server_lines(result)[:5]) or _answer(result)[1] or _why(remote, result)
    raise RefusedError(f"{shown(remote)} refused it: {said}")


@contextmanager
def fetched_session(project: Project, remote: str, name: str, there: SharedRefs) -> Iterator[None]:
    """Fetch the session ``name`` from ``remote``, protected by temporary refs until the context ends.

    Git checks every object.  Raises :class:`RealmError` when the fetch fails.
    """
    pairs = ((CODE + name, there.code), (META + name, there.meta), *there.branches.items())
    once = {oid: ref for ref, oid in reversed(pairs) if oid is not None}  # git refuses repeated targets
    wanted = [(ref, oid, temporary(oid)) for oid, ref in once.items()]
    result = git(
        *(
            "-c",
            "fetch.fsckObjects=true",
            "-c",
            "fetch.fsck.hasDotgit=error",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
        ),
        *("--no-auto-maintenance", "--recurse-submodules=no", "--refmap=", "--end-of-options", remote),
        *(f"+{ref}:{kept}" for ref, _, kept in wanted),
        project=project,
        check=False,
    )
    try:
        if result.code != 0:
            raise RealmError(
                f"cannot fetch {name} from {shown(remote)}: {_why(remote, result)}", _again(name)
            )
        for ref, oid, kept in wanted:
            asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{kept}^{{commit}}")
            if git(*asked, project=project, check=False).text != oid:
                raise RealmError(
                    f"{ref} changed at {shown(remote)} just now, or is not a commit", _again(name)
                )
        yield
    finally:
        orders = b"".join(b"delete %s\0\0" % kept.encode() for _, _, kept in wanted)
        git("update-ref", "--stdin", "-z", project=project, stdin=orders, check=False)


def _again(name: str) -> str:
    return f"realm fetch {name}"
