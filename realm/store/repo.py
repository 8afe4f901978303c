"""Finding the project's repository and answering simple questions about it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import GitError, NotARepositoryError, RealmError, UsageError
from realm.git import GitResult, Place, Started, git, place, reason
from realm.model import Identity, Project, Totals
from realm.store.stores import object_stores, unreadable
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMATS = ("sha1", "sha256")
"""Object formats that realm reads and writes."""

_QUESTIONS = (
    "--is-bare-repository",
    "--is-inside-git-dir",
    "--absolute-git-dir",
    "--git-common-dir",
    "--show-object-format",
    "--show-toplevel",
)
_GIT_DIR = _QUESTIONS.index("--absolute-git-dir")


def begin(at: Place) -> Started:
    """Start asking git about the repository at ``at``, for :func:`discover`."""
    return Started("rev-parse", *_QUESTIONS, at=at)


def discover(start: Path, asked: Started | None = None) -> Project:
    """Return the project whose work tree has the directory ``start`` (see :func:`realm.git.place`).

    Runs one git process, unless :func:`begin` has ``asked`` already.  Raises :class:`NotARepositoryError`
    when there is no such directory, no repository, no work tree (a bare repository, a ``.git`` directory), or
    git refuses the repository because of its owner; :class:`GitError` when git cannot open it.
    """
    shown = clean(str(start))
    if not os.path.isdir(start):  # noqa: PTH112 - Path's own raises where access is denied
        what = "is not a directory" if os.path.lexists(start) else "does not exist"
        raise NotARepositoryError(f"{shown} {what}", "give the directory of a git repository")
    if not os.access(start, os.X_OK):
        raise NotARepositoryError(f"{shown} cannot be entered by this user", f"ls -ld '{shown}'")
    found = place(start)
    if found is None:
        raise _none(start, shown)
    result = (asked or begin(found)).result()
    answers = result.out.decode("utf-8", "surrogateescape").split("\n")[:-1]
    if result.code != 0 or len(answers) != len(_QUESTIONS):
        raise _refusal(shown, answers, result)
    bare, inside, git_dir, shared, object_format, root = answers
    common, here = (found.cwd / shared).resolve(), start.resolve()
    if bare == "true" or inside == "true":
        raise _refusal(shown, answers, result)
    if any(here.is_relative_to(directory) for directory in (Path(git_dir).resolve(), common)):
        raise _refusal(shown, ["false", "true"], result)
    if object_format not in FORMATS:
        raise NotARepositoryError(f"{shown} uses the object format {object_format}, which realm cannot read")
    return _project(Path(root), Path(git_dir), common, here, object_format)


def _none(start: Path, shown: str) -> NotARepositoryError:
    """Return the error for a directory in no repository with a work tree."""
    names = ("HEAD", "objects", "refs")
    if any(all((above / name).exists() for name in names) for above in (start, *start.resolve().parents)):
        return NotARepositoryError(
            f"{shown} is a bare repository, which has no work tree",
            "git worktree add DIRECTORY, then run realm there",
        )
    return NotARepositoryError(
        f"{shown} is not inside a git repository", "git init, or realm new NAME DIRECTORY"
    )


def _project(root: Path, git_dir: Path, common: Path, here: Path, object_format: str) -> Project:
    return Project(
        root=root,
        git_dir=git_dir.resolve(),
        common_dir=common,
        name=project_name(root, git_dir.resolve(), common),
        subdir="" if here == root or not here.is_relative_to(root) else here.relative_to(root).as_posix(),
        object_format=object_format,
        object_stores=tuple(object_stores(common / "objects")),
        shallow=_shallow(common / "shallow"),
    )


def _shallow(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text("ascii").split())
    except (FileNotFoundError, UnicodeDecodeError):
        return ()


def _refusal(shown: str, answers: list[str], result: GitResult) -> RealmError:
    """Return the error that says why git refuses to work in ``shown``."""
    err = result.err.decode("utf-8", "replace")
    if "dubious ownership" in err or "unsafe repository" in err:
        found = re.search(r"git config --global --add safe\.directory .*", err)
        advice = clean(found.group()) if found else f"git config --global --add safe.directory '{shown}'"
        return NotARepositoryError(f"the repository at {shown} belongs to another user", advice)
    if "not a git repository" in err:
        return NotARepositoryError(
            f"{shown} is not inside a git repository: {reason(result.err)}",
            "git init, or realm new NAME DIRECTORY",
        )
    if answers[:1] == ["true"]:
        return _bare(shown, answers)
    if answers[1:2] == ["true"]:
        return NotARepositoryError(
            f"{shown} is a git directory, not a work tree", "run realm in the work tree beside it"
        )
    if result.code == 0:
        return NotARepositoryError(
            f"the path of the repository at {shown} contains a line break", "rename the directory"
        )
    return GitError(f"git cannot open the repository at {shown}: {reason(result.err)}", "git status")


def _bare(shown: str, answers: list[str]) -> NotARepositoryError:
    """Return the error for a bare repository, also one that has an index but is bare by a setting."""
    if len(answers) > _GIT_DIR and Path(answers[_GIT_DIR], "index").exists():
        return NotARepositoryError(
            f"core.bare says that the repository at {shown} has no work tree", "git config core.bare false"
        )
    return NotARepositoryError(
        f"{shown} is a bare repository, which has no work tree",
        "git worktree add DIRECTORY, then run realm there",
    )


def project_name(root: Path, git_dir: Path, common: Path) -> str:
    """Return the repository's name: letters, digits, ``.``, ``_``, ``-``; safe as a directory name.

    It is the main work tree's directory name, also for linked work trees, and a bare repository's own name
    without ``.git``.
    """
    if git_dir == common:
        name = root.name
    elif common.name.startswith("."):
        name = common.parent.name
    else:
        name = common.name.removesuffix(".git")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("-")[:100]
    return name if name.strip("._-") and name.lower() != ".git" else "project"


def resolve_commit(project: Project, rev: str) -> str:
    """Return the id of the commit that ``rev`` names.

    Raises :class:`RealmError` when there is none, with its own message if the repository has no commit yet.
    """
    shown = clean(rev)
    if not rev or rev.startswith("-") or "\0" in rev:
        raise UsageError(f"'{shown}' is not a revision", "git log --oneline --all")
    result = git(
        *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"),
        project=project,
        check=False,
    )
    if result.code == 0:
        return result.text
    if rev in ("HEAD", "@"):
        if git("rev-parse", "--verify", "--quiet", "HEAD", project=project, check=False).code != 0:
            raise RealmError("the repository has no commit yet", "git commit --allow-empty -m 'Start'")
        raise unreadable(project, "the commit at HEAD cannot be read")
    raise RealmError(f"'{shown}' is not a commit", "git log --oneline --all")


def is_there(project: Project, oid: str) -> bool:
    """Tell whether the repository has the object ``oid``."""
    return git("cat-file", "-e", "--end-of-options", oid, project=project, check=False).code == 0


def is_ancestor(project: Project, old: str, new: str) -> bool:
    """Tell whether the commit ``new`` has ``old`` in its history; false when either is missing."""
    asked = ("merge-base", "--is-ancestor", "--end-of-options", old, new)
    return git(*asked, project=project, check=False).code == 0


def merge_base(project: Project, one: str, other: str) -> str | None:
    """Return the best common ancestor of two commits, ``None`` if there is none."""
    return git("merge-base", "--end-of-options", one, other, project=project, check=False).text or None


def changed_names(project: Project, before: str, after: str) -> frozenset[bytes]:
    """Return the raw names of the files that differ between two commits."""
    how = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--end-of-options", before, after)
    return frozenset(git(*how, project=project).out.split(b"\0")[:-1])


def branch(project: Project) -> str | None:
    """Return the name of the checked-out branch, cleaned; ``None`` if HEAD is detached."""
    return clean(git("symbolic-ref", "--quiet", "--short", "HEAD", project=project, check=False).text) or None


def count_commits(
    project: Project, tip: str, without: Iterable[str] = (), *, shared: bool = True, more: Iterable[str] = ()
) -> int:
    """Return how many commits are reached by ``tip`` or one of ``more``, and by none of ``without``.

    Ids of missing commits are skipped.  Without ``shared``, commits on a branch, tag or remote branch do not
    count.
    """
    known = [f"^{oid}" for oid in without]
    others = [] if shared else ["--not", "--branches", "--tags", "--remotes", "--not"]
    asked = ("rev-list", "--count", "--ignore-missing", *others, "--end-of-options", tip, *more, *known)
    return int(git(*asked, project=project).out)


def committed(project: Project, base: str, tip: str, paths: Sequence[str]) -> list[bytes]:
    """Return the files at or below ``paths`` that any commit from ``base`` to ``tip`` changed."""
    if not paths:
        return []
    asked = ("log", "--format=", "--name-only", "-z", "--end-of-options", f"{base}..{tip}", "--", *paths)
    done = git(*asked, project=project, env={"GIT_LITERAL_PATHSPECS": "1"}, check=False)
    names = dict.fromkeys(name.strip(b"\n") for name in done.out.split(b"\0"))
    return [name for name in names if name]


def subjects(project: Project, base: str, tip: str) -> list[str]:
    """Return the subjects of the commits from ``base`` to ``tip``, the oldest first; cleaned."""
    order = ("log", "-z", "--reverse", "--format=%s", "--end-of-options", f"{base}..{tip}", "--")
    shown = git(*order, project=project).out
    return [clean(line) for line in shown.split(b"\0") if line]


_RUN_AND_TURN = "%x00".join(
    f"%(trailers:key=Realm-{key},valueonly,separator=%x20)" for key in ("Run", "Turn")
)


def diffstat(project: Project, base: str, tip: str) -> Totals:
    """Return how many files and lines differ between two commits, as ``git diff`` counts them; no turns."""
    if base == tip:
        return Totals()
    how = ("diff-tree", "-r", "-M", "--shortstat", "--no-ext-diff", "--no-textconv", "--end-of-options")
    text = git(*how, base, tip, project=project).text
    found = {word: int(number) for number, word in re.findall(r"(\d+) (file|insertion|deletion)", text)}
    return Totals(
        files=found.get("file", 0), insertions=found.get("insertion", 0), deletions=found.get("deletion", 0)
    )


def changes(project: Project, before: str, after: str, columns: int) -> str:
    """Return the output of ``git diff --stat`` between two commits; cleaned."""
    how = ("diff", f"--stat={columns}", "--no-color", "--no-ext-diff", "--no-textconv", "--end-of-options")
    return clean(git(*how, before, after, "--", project=project).text, multiline=True)


def count_turns(project: Project, base: str, tip: str) -> int:
    """Return how many turns have commits between two commits, by their trailers."""
    if base == tip:
        return 0
    asked = ("log", f"--format={_RUN_AND_TURN}", "--end-of-options", f"{base}..{tip}", "--")
    lines = git(*asked, project=project).text.splitlines()
    return len({line for line in lines if line.strip("\0 ")})


def totals(project: Project, base: str, tip: str) -> Totals:
    """Return turns, files and lines of the work between two commits; two git processes."""
    return diffstat(project, base, tip)._replace(turns=count_turns(project, base, tip))


_CRUD = " .,:;<>\"\\'\t"
"""The characters that git strips from the ends of names."""


def _own(what: str, known: Mapping[str, str]) -> str:
    """Return the user's name or email; empty if only git can tell."""
    given = os.environ.get(f"GIT_AUTHOR_{what.upper()}")
    if given is None:
        given = known.get(f"author.{what}", known.get(f"user.{what}", ""))
    is_plain = given == given.strip(_CRUD) and given.isprintable() and not {"<", ">"} & set(given)
    return given if is_plain else ""


def identity(project: Project, known: Mapping[str, str] | None = None) -> Identity:
    """Return the user's git identity for this project; :class:`RealmError` when git has none.

    ``known`` are git's settings: if they are enough, no git process is run.
    """
    name, email = (_own(what, known or {}) for what in ("name", "email"))
    if name and email:
        return Identity(clean(name), clean(email))
    # A fixed date, since git fails if the user's own is invalid.
    result = git("var", "GIT_AUTHOR_IDENT", project=project, env={"GIT_AUTHOR_DATE": "@0 +0000"}, check=False)
    found = re.match(r"(.*?) ?<([^<>\n]*)> \d+ [+-]\d{4}$", result.text)
    if result.code != 0 or found is None:
        raise _unknown(project)
    return Identity(clean(found[1]), clean(found[2]))


def _unknown(project: Project) -> GitError:
    """Return the error for a user without a git identity; a name set to nothing overrides all others."""
    message = "git does not know your name and e-mail address"
    for what, example in (("name", '"Your Name"'), ("email", "you@example.com")):
        variable = f"GIT_AUTHOR_{what.upper()}"
        if not os.environ.get(variable, "x").strip(_CRUD):
            return GitError(f"{message}: {variable} is empty", f"unset {variable}")
        for key in (f"author.{what}", f"user.{what}"):
            found = git("config", "--local", "--get", key, project=project, check=False)
            if found.code == 0 and not found.text.strip(_CRUD):
                return GitError(
                    f"{message}: {key} is empty in this repository", f"git config {key} {example}"
                )
    return GitError(
        message,
        'git config --global user.name "Your Name"; git config --global user.email you@example.com',
    )
