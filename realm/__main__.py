"""The programs ``realm`` and ``git-realm``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import NoReturn

_OBJECTS = 100_000
"""New objects before the collector looks for cycles: what a command imports stays below that."""

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and exit with its code.

    The process ends at once: taking the interpreter apart, module by module,
    takes some 20 ms that nobody needs.
    """
    code = _INTERRUPTED
    with contextlib.suppress(KeyboardInterrupt):
        gc.set_threshold(_OBJECTS)
        from realm.cli.main import run

        code = run(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None:
                    stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
