"""Runs the user's ``git``, always by argument lists and in a controlled environment.

git takes any directory that looks like a bare repository for one, and obeys its configuration; an agent can
create such a directory, and a merge brings it into the work tree.  So realm looks for the repository itself
(:func:`place`): one with a real ``.git`` at its top, or the one named by the user's ``GIT_DIR``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn

from realm.errors import GitError, NoGitError
from realm.text import clean
from realm.together import Begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.model import Project

# Variables that would lead git to another repository, index or object store than the one named, or make it
# read paths differently (compare ``git rev-parse --local-env-vars``).
_MISLEADING = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DEFAULT_HASH", "GIT_DIFF_OPTS",
    "GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_GLOB_PATHSPECS", "GIT_GRAFT_FILE", "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE", "GIT_NOGLOB_PATHSPECS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
})  # fmt: skip

_OF_THE_USER = frozenset({
    "GIT_DIFF_OPTS", "GIT_EXTERNAL_DIFF", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
})  # fmt: skip
"""Those among them that only say how the user wants to see things."""

_READABLE = ("-c", "i18n.logOutputEncoding=UTF-8", "-c", "diff.orderFile=/dev/null")
"""What realm reads is in UTF-8 and git's order; what git writes for the user is in their own."""
_FULL_DISK = ("No space left on device", "Disk quota exceeded", "Out of diskspace")


class GitResult(NamedTuple):
    """How a git command ended: its exit code and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output as text, without the last line end."""
        return self.out.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def lines(self) -> list[str]:
        """The lines of standard output, split at line feeds only: a ref's name may hold other line ends."""
        return self.text.split("\n") if self.out else []


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment for git.

    Messages are in English, so that they can be recognised, but the locale stays the user's, for hooks and
    filters. Replacement objects are off, because a sandbox does not have them; optional locks are off,
    because realm has no need to refresh the user's index.
    """
    found = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
    found.update(LANGUAGE="en", GIT_NO_REPLACE_OBJECTS="1", GIT_OPTIONAL_LOCKS="0")
    found.update(extra or {})
    return found


class Place(NamedTuple):
    """Where to start git, and with which variables, so that it finds the intended repository."""

    cwd: Path
    env: Mapping[str, str]


def place(start: Path) -> Place | None:
    """Return how git finds the repository around the directory ``start``; ``None`` when there is none.

    It is the nearest directory with a ``.git``, and never a bare repository below it; like git this stops at
    ``GIT_CEILING_DIRECTORIES`` and at another file system.  Without one it is the user's ``GIT_DIR``, if
    ``start`` is in its work tree.
    """
    start = start.resolve()
    ceilings = {Path(path) for path in os.environ.get("GIT_CEILING_DIRECTORIES", "").split(":") if path}
    for top in (start, *start.parents):
        if top != start and (top in ceilings or not _is_same_disk(start, top)):
            break
        if _is_git(top / ".git"):
            # After an empty entry, links are not resolved.
            return Place(top, {"GIT_CEILING_DIRECTORIES": f":{top.parent}"})
    named = os.environ.get("GIT_DIR")
    tree = Path(os.environ.get("GIT_WORK_TREE") or ".").resolve()
    if named and start.is_relative_to(tree):
        return Place(tree, {"GIT_DIR": str(Path(named).resolve()), "GIT_WORK_TREE": str(tree)})
    return None


def _is_git(path: Path) -> bool:
    """Tell whether ``path`` is a git directory or the file of a linked one (gitrepository-layout(5))."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                return file.read(8) == b"gitdir: "
        return os.path.lexists(path / "HEAD") and (
            (path / "commondir").exists() or ((path / "objects").is_dir() and (path / "refs").is_dir())
        )
    except OSError:
        return False


def _is_same_disk(one: Path, other: Path) -> bool:
    if os.environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM", "").lower() in ("1", "true", "yes", "on"):
        return True
    try:
        return one.stat().st_dev == other.stat().st_dev
    except OSError:
        return True


def command(*args: str, project: Project | None = None) -> list[str]:
    """Return the argument list that runs git, in ``project`` when one is given."""
    start = ["git", "-c", "safe.bareRepository=explicit"]  # git 2.38; older ones do not know it
    if project is None:
        return [*start, *args]
    return [*start, f"--git-dir={project.git_dir}", f"--work-tree={project.root}", *args]


def git(
    *args: str,
    cwd: Path | None = None,
    project: Project | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> GitResult:
    """Run git and return its result.

    ``project`` names the repository; ``env`` adds variables; ``stdin`` is git's input (default: empty);
    ``timeout`` is in seconds.  Raises :class:`GitError` when git is missing, takes too long or, with
    ``check``, exits with another code than 0.
    """
    return run(
        command(*_READABLE, *args, project=project),
        cwd=cwd or (project.root if project else None),
        env=environment({**_aside(project), **(env or {})}),
        stdin=stdin,
        timeout=timeout,
        check=check,
    )


def _aside(project: Project | None) -> dict[str, str]:
    return {"GIT_OBJECT_DIRECTORY": str(project.aside)} if project and project.aside else {}


class Started:
    """A git command in the background; its output is read by a thread, so that it need not wait.

    Raises :class:`GitError` when git is missing.
    """

    def __init__(self, *args: str, at: Place) -> None:
        try:
            self._process = subprocess.Popen(
                command(*_READABLE, *args),
                cwd=at.cwd,
                env=environment(at.env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as problem:
            raise missing(problem, at.cwd) from problem
        self._output = Begun(self._process.communicate)

    def result(self) -> GitResult:
        """Wait for its end and return the result."""
        out, err = self._output.result()
        return GitResult(self._process.returncode, out, err)


def become(*args: str, project: Project) -> NoReturn:
    """Replace this process by git, as if the user had typed the command in their directory.

    Their pager, colours, format aliases and language apply; only the repository is given.  Raises
    :class:`GitError` when git is missing.
    """
    argv, env = command(*args, project=project), _of_the_user()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    cwd = project.root / project.subdir
    try:
        os.chdir(cwd)
        os.execvpe(argv[0], argv, env)  # noqa: S606 - no shell is wanted
    except OSError as problem:
        raise missing(problem, cwd) from problem


def type_in(*args: str, project: Project, env: Mapping[str, str] | None = None) -> int:
    """Run git as if the user had typed it, and return its exit code; see :func:`become`.

    Ctrl-C is git's, or an editor's that it runs.  Whatever interrupts git or realm, git takes its locks away.
    """
    argv, cwd = command(*args, project=project), project.root / project.subdir
    given = _of_the_user() | _aside(project) | dict(env or {})
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # which git inherits
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with subprocess.Popen(argv, cwd=cwd, env=given) as process:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.terminate()
                raise
    except OSError as problem:
        raise missing(problem, cwd) from problem
    finally:
        signal.signal(signal.SIGINT, before)
    if code == -signal.SIGINT:
        raise KeyboardInterrupt(signal.SIGINT)
    return code


def user_environment() -> dict[str, str]:
    """Return this process's environment without variables that redirect git, for the user's programs."""
    return {key: value for key, value in os.environ.items() if key not in _MISLEADING - _OF_THE_USER}


def _of_the_user() -> dict[str, str]:
    return user_environment() | {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}


def run(
    argv: list[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str],
    stdin: bytes | IO[bytes] | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> GitResult:
    """Run ``argv``, a git command with any prefix; see :func:`git`."""
    text = stdin if isinstance(stdin, bytes) else None
    file = subprocess.DEVNULL if stdin is None or isinstance(stdin, bytes) else stdin
    is_move = _verb(argv) in ("update-ref", "read-tree")
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE if text is not None else file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C at the terminal must not stop git while it moves refs or rewrites files.
            process_group=0 if is_move else None,
        )
        with process:
            out, err = _communicated(process, text, timeout, wait=is_move)
    except OSError as problem:
        raise missing(problem, cwd) from problem
    except subprocess.TimeoutExpired as problem:
        raise GitError(f"git {_verb(argv)} did not end within {timeout:.0f} seconds") from problem
    result = GitResult(process.returncode, out, err)
    if check and result.code != 0:
        raise failure(_verb(argv), result.err)
    return result


def _communicated(
    process: subprocess.Popen[bytes], text: bytes | None, timeout: float | None, *, wait: bool
) -> tuple[bytes, bytes]:
    """Return a process's output at its end; an interrupt kills it, unless it is to be waited for."""
    interrupted: KeyboardInterrupt | None = None
    while True:
        try:
            # A second call continues where the first was interrupted.
            found = process.communicate(text if interrupted is None else None, timeout=timeout)
        except BaseException as problem:
            if not wait or interrupted is not None or not isinstance(problem, KeyboardInterrupt):
                process.kill()
                process.wait()
                raise
            interrupted = problem
            continue
        if interrupted is not None:
            raise interrupted
        return found


def without_hooks() -> None:
    """Keep every git started from now on from running hooks, or a program that watches the files."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    settings = {"core.hooksPath": os.devnull, "core.fsmonitor": "false"}
    for number, (key, value) in enumerate(settings.items(), first):
        os.environ[f"GIT_CONFIG_KEY_{number}"], os.environ[f"GIT_CONFIG_VALUE_{number}"] = key, value
    os.environ["GIT_CONFIG_COUNT"] = str(first + len(settings))


def missing(problem: OSError, cwd: Path | None) -> GitError:
    """Return the error for a missing git, or a missing directory to run it in."""
    if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112 - Path's own raises where nothing may be looked at
        return GitError(f"the directory {clean(str(cwd))} does not exist, or cannot be entered")
    if cwd is not None and not os.access(cwd, os.X_OK):
        return GitError(f"the directory {clean(str(cwd))} cannot be entered", f"ls -ld '{clean(str(cwd))}'")
    if isinstance(problem, FileNotFoundError):
        return NoGitError("git is not installed, or not on PATH", "install git 2.30 or newer")
    return NoGitError(f"git cannot be run: {problem.strerror}", "git --version; ulimit -a")


def failure(verb: str, err: bytes) -> GitError:
    """Return the error for a git command that failed with ``err`` on standard error."""
    message = reason(err) or "failed without a message"
    hint = ""
    if any(word in message for word in _FULL_DISK):
        hint = "the disk is full: free some space, then run the command again"
    return GitError(f"git {verb}: {message}", hint)


def reason(err: bytes) -> str:
    """Return the line of git's standard error with the reason, cleaned and cut, and what it announces."""
    lines = [clean(line, limit=400).strip() for line in err.replace(b":\n\t", b": ").splitlines()]
    for prefix in ("fatal: ", "error: "):
        for line in lines:
            if line.startswith(prefix):
                return line.removeprefix(prefix)
    return next((line for line in reversed(lines) if line), "")


def _verb(argv: list[str]) -> str:
    names = iter(argv[argv.index("git") + 1 :] if "git" in argv else argv)
    for name in names:
        if name in ("-c", "-C"):
            next(names, None)
        elif not name.startswith("-"):
            return name
    return ""
