"""The programs ``realm`` and ``git-realm``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import NoReturn

_OBJECTS = 100_000
"""New objects before the collector looks for cycles: what a command imports stays below that."""

_SWITCH = 0.0005
"""Seconds that a thread may keep others waiting: who has git's or the engine's answer goes on soon."""

_INTERRUPTED = 130


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


def main() -> NoReturn:
    """Run the command line and exit with its code.

    The process ends at once: taking the interpreter apart, module by module,
    takes some 20 ms that nobody needs.
    """
    code = _INTERRUPTED
    with contextlib.suppress(KeyboardInterrupt):
        gc.set_threshold(_OBJECTS)
        sys.setswitchinterval(_SWITCH)
        open_closed()
        from realm.cli.app import run

        code = run(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None:
                    stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
