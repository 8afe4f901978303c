"""The one place where errors become words and exit codes.

====  =========================================================================
code  meaning
====  =========================================================================
0     all went well
1     an expected failure, said in one sentence
2     the command line is wrong
3     a bug in realm; the message names a log file
125   ``new``, ``resume``, ``attach``, ``try``, ``exec`` and ``wait`` only: realm itself failed,
      whichever of the above it was; every other code of these is their program's own, as with ``docker run``
130   interrupted; other signals that end it 128 and their number
141   whoever read the output went away
====  =========================================================================
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING

from realm import errors, interrupts
from realm.cli import output
from realm.cli.verbs import RUNNING, find_verb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

EXIT_PIPE = 141
_REFUSALS = (
    "ENOSPC",
    "EDQUOT",
    "EROFS",
    "EACCES",
    "EPERM",
    "EMFILE",
    "ENFILE",
    "EIO",
    "EFBIG",
    "ENOTDIR",
    "EEXIST",
    "EAGAIN",
    "ENOMEM",
)
_ENVIRONMENT = frozenset(getattr(errno, name) for name in _REFUSALS)
"""Errors by which the operating system refuses something, which are no bugs of realm's."""
_ROOM = 1024 * 1024
"""Bytes; a disk with less free space counts as full."""
_NO_THREAD = "can't start new thread"
"""Python's error at the limit of processes."""


class CommandLineError(errors.UsageError):
    """The command line is wrong; ``usage`` is the command's usage line."""

    def __init__(self, message: str, hint: str = "", usage: str = "") -> None:
        super().__init__(message, hint)
        self.usage = usage


def guard(command: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run ``command`` with ``arguments``; show any error and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    verb, _ = find_verb(arguments)
    try:
        code = command(arguments)
        _flush(verb)
    except KeyboardInterrupt as wish:
        output.newline()
        for text in getattr(wish, "__notes__", ()):
            output.warning(text)
        return interrupts.code(wish)
    except BrokenPipeError:
        _discard_output()
        return EXIT_PIPE
    except Exception as error:  # noqa: BLE001 - this is the boundary
        code = _report(error, verb)
        return errors.EXIT_RUN_FAILURE if verb in RUNNING else code
    return code


def _flush(verb: str | None) -> None:
    """Flush the output, to find out whether it arrived; but an agent's exit code takes precedence."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _discard_output()
        if verb not in RUNNING:
            raise


def _discard_output() -> None:
    """Keep the interpreter from complaining about output that nobody reads."""
    with contextlib.suppress(OSError):
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: Exception, verb: str | None) -> int:
    debug = os.environ.get("REALM_DEBUG", "") not in ("", "0")
    if debug:
        import traceback

        output.say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, FileNotFoundError):
        error = _lost_place() or error
    if isinstance(error, errors.RealmError):
        hint = error.hint
        if isinstance(error, errors.UsageError) and not hint and verb:
            hint = f"realm {verb} --help explains it"
        output.error(error.message, hint, error.usage if isinstance(error, CommandLineError) else "")
        return error.exit_code
    if isinstance(error, MemoryError) or str(error) == _NO_THREAD:
        error = OSError(errno.ENOMEM, "out of memory, or no room for another process")
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        path = os.fsdecode(error.filename) if error.filename else _full_disk(error)
        where = f": {path}" if path else ""
        output.error(f"{error.strerror}{where}", _refusal_hint(error))
        return errors.EXIT_FAILURE
    _report_bug(error, verb)
    return errors.EXIT_BUG


def _lost_place() -> errors.RealmError | None:
    """Return the error for a deleted current directory, which makes any search for files fail."""
    from realm.paths import current_directory

    try:
        current_directory()
    except errors.RealmError as lost:
        return lost
    return None


def _full_disk(error: OSError) -> str:
    """Return the first full disk that realm uses, for a failed write whose error names no file."""
    from realm.paths import realm_home

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        for place in (realm_home(), os.environ.get("TMPDIR", "/tmp"), "."):  # noqa: S108 - only looked at
            with contextlib.suppress(OSError):
                found = os.statvfs(place)
                if found.f_bavail * found.f_frsize < _ROOM or (found.f_files and not found.f_favail):
                    return os.path.abspath(place)  # noqa: PTH100 - Path's own follows links
    return ""


def _refusal_hint(error: OSError) -> str:
    """Return the hint for an error of the operating system."""
    from realm.paths import realm_home

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space on that disk (ulimit -f and quotas limit it too), then run the command again"
    if error.errno in (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE):
        return "ulimit -a shows this shell's limits, free -m the machine's memory"
    if error.filename and os.fsdecode(error.filename).startswith(str(realm_home())):
        return "realm keeps its own files there: make it writable, or set REALM_HOME to another directory"
    return "REALM_DEBUG=1 shows where"


def _report_bug(error: Exception, verb: str | None) -> None:
    message = f"this is a bug in realm: {type(error).__name__}: {error}"
    try:
        log = write_log(error, verb)
    except OSError as failure:
        output.error(message, f"no log could be written: {failure.strerror}; REALM_DEBUG=1 shows more")
    else:
        output.error(message, f"please report it with the log {log}")


def write_log(error: Exception, verb: str | None) -> Path:
    """Write a bug's details to a log below ``logs`` in realm's directory, and return the file.

    The command line is left out: prompts are private.
    """
    import platform
    import time
    import traceback

    from realm import __version__
    from realm.paths import make_private, realm_home

    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    log = make_private(realm_home() / "logs") / f"bug-{stamp}-{os.getpid()}.log"
    lines: Sequence[str] = (
        f"realm {__version__}, verb {verb or 'none'}\n",
        f"Python {platform.python_version()} on {platform.platform()}\n\n",
        *traceback.format_exception(error),
    )
    log.touch(mode=0o600)
    log.write_text("".join(lines), encoding="utf-8", errors="replace")
    return log
