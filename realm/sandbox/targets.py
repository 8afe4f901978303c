"""Where in a box the user's flags may mount something: not over what realm itself has there.  Pure."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from realm.errors import UsageError
from realm.sandbox import flags
from realm.sandbox.parcel import ENTRY
from realm.sandbox.policy import OBJECTS, STATE, WORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.sandbox.dockerargs import DockerArgs

_OPEN = (f"{STATE}/home", f"{STATE}/claude")
"""Directories of realm's in which there may be others' mounts, for caches and the like."""
_OWN = (STATE, OBJECTS, posixpath.dirname(ENTRY))
_DEPTH = len(PurePosixPath(WORK).parts) + 1
"""Parts of a work tree's path in a box."""


def check(args: DockerArgs) -> None:
    """Raise ``UsageError`` for a mount over the work tree, its git directory or a place of realm's own."""
    for flag, target in _targets(args):
        path = PurePosixPath("/" + posixpath.normpath(target).lstrip("/"))
        if _is_own(path):
            raise UsageError(
                f"docker flag --{flag}: {path} is realm's own place in the box",
                "choose another, such as /data, or a directory in the work tree",
            )


def _targets(args: DockerArgs) -> Iterator[tuple[str, str]]:
    for flag, value in args.given:
        if flag == "volume":
            yield flag, value.split(":")[1 if ":" in value else 0]
        elif flag == "mount":
            yield flag, flags.mount(value)["Target"]
        elif flag == "tmpfs":
            yield flag, value.partition(":")[0]


def _is_own(path: PurePosixPath) -> bool:
    if any(PurePosixPath(place) in path.parents for place in _OPEN):
        return False
    if any(path.is_relative_to(place) for place in _OWN):
        return True
    return path.is_relative_to(WORK) and (len(path.parts) <= _DEPTH or path.parts[_DEPTH] == ".git")
