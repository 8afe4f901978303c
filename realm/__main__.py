"""The programs ``realm`` and ``git-realm``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import NoReturn

from realm.interrupts import once

_OBJECTS = 100_000
"""New objects before the collector looks for cycles: what a command imports stays below that."""

_SWITCH = 0.0005
"""Seconds that a thread may keep others waiting: who has git's or the engine's answer goes on soon."""

_INTERRUPTED = 130
_LOOKING = ("diff", "log", "show")
"""Verbs that have git show something about the session that stands after them."""
_ARG_START = 45
"""Where the address of the arguments stands, of what follows the name in /proc/self/stat."""


def open_closed() -> None:
    """Open /dev/null for each standard stream that is closed.

    The next file that is opened would take its number: an agent could read, or
    a message be written to, whatever that is.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def pass_by_project() -> None:
    """Look for programs in whole paths of PATH alone.

    With ``.`` or ``node_modules/.bin`` there, a project, where realm stands, would choose what runs as git.
    """
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(filter(os.path.isabs, places)) or os.defpath


def take_name() -> None:
    """Be called ``realm``, not ``python``, in tmux and ps, which show what lies where the arguments lay.

    The first of these becomes realm's name, the others stay (proc(5): ``cmdline``,
    and ``arg_start`` and ``arg_end`` in ``stat``).  Elsewhere, and where that may
    not be written, nothing happens.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - no pathlib before it is needed
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
        words = b"\0".join([b"realm", *map(os.fsencode, sys.argv[1:])]) + b"\0"
        if start > 0 and len(words) <= end - start:
            with open("/proc/self/mem", "r+b", buffering=0) as memory:  # noqa: PTH123 - as above
                memory.seek(start)
                memory.write(words.ljust(end - start, b"\0"))


def look_ahead(arguments: list[str]) -> None:
    """Let git look for a session that is to be shown while Python loads the command line."""
    if len(arguments) > 1 and arguments[0] in _LOOKING and "-C" not in "".join(arguments):
        from realm.session.find import look_ahead

        look_ahead(arguments[1].partition("@")[0])


def main() -> NoReturn:
    """Run the command line and exit with its code.

    The process ends at once: taking the interpreter apart, module by module,
    takes some 20 ms that nobody needs.
    """
    code = _INTERRUPTED
    with contextlib.suppress(KeyboardInterrupt):
        gc.set_threshold(_OBJECTS)
        sys.setswitchinterval(_SWITCH)
        once()
        open_closed()
        pass_by_project()
        take_name()
        look_ahead(sys.argv[1:])
        from realm.cli.app import run

        code = run(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None:
                    stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
