"""The way in: what must answer at once is answered here, all else goes through the error boundary."""

from __future__ import annotations

import sys


def run(arguments: list[str]) -> int:
    """Run realm with ``arguments`` (without the program's name) and return its exit code.

    The version and completions never pay for the command line parser.
    """
    try:
        if arguments[:1] == ["_complete"]:
            from realm.cli.complete import complete

            return complete(arguments[1:])
        from realm.cli import boundary

        return boundary.guard(_version if arguments == ["--version"] else _application, arguments)
    except KeyboardInterrupt:
        return 130


def _version(_: list[str]) -> int:
    from realm import __version__

    sys.stdout.write(f"realm {__version__}\n")
    return 0


def _application(arguments: list[str]) -> int:
    from realm.cli.app import invoke

    return invoke(arguments)


def program() -> str:
    """Return the name realm was called by: ``realm``, or ``git realm`` when git called it."""
    name = sys.argv[0].rpartition("/")[2] if sys.argv else ""
    return "git realm" if name == "git-realm" else "realm"
