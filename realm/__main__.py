"""The programs ``realm`` and ``git-realm``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import NoReturn

from realm.interrupts import once

_OBJECTS = 100_000
"""New objects before the garbage collector runs: what a command imports stays below that."""

_SWITCH = 0.0005
"""Seconds after which Python switches threads: one with git's or the engine's answer goes on soon."""

_INTERRUPTED = 130
_LOOKING = ("diff", "log", "show")
"""Verbs that show something about the session named after them."""
_ARG_START = 45
"""The index of ``arg_start`` among the fields after the name in /proc/self/stat."""


def open_closed() -> None:
    """Open /dev/null for each standard stream that is closed.

    Otherwise the next opened file would get its number, and an agent could read it, or a message be written
    to it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def pass_by_project() -> None:
    """Remove relative entries from PATH.

    With ``.`` or ``node_modules/.bin`` in it, the project in the current directory would choose which program
    runs as git.
    """
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(filter(os.path.isabs, places)) or os.defpath


def take_name() -> None:
    """Appear as ``realm``, not ``python``, in tmux and ps, which show the memory of the command line.

    Its first argument becomes realm's name, the others stay (proc(5): ``cmdline``, and ``arg_start`` and
    ``arg_end`` in ``stat``).  On other systems, and where that memory cannot be written, nothing happens.
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
    """Start looking for the session to be shown, or for all, while Python loads the command line."""
    verb, name = [*arguments, "", ""][:2]
    if (verb == "list" or (verb in _LOOKING and name)) and "-C" not in "".join(arguments):
        from realm.session.find import look_ahead

        look_ahead("" if verb == "list" else name.partition("@")[0])


def main() -> NoReturn:
    """Run the command line and exit with its code.

    The process exits at once: shutting the interpreter down would take some 20 ms.
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
